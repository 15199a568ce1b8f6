"""A diagnostic report: what the specimen's pictures say together, and what a person signed."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from devices.models import Device
from diagnostics.models.analysis import CLASS_NAMES, probability_bars
from diagnostics.models.specimen import Specimen
from hospital.accounts.models import Clinic
from hospital.base.states import Transitions, in_choices
from patients.models import Patient


class ReportStatus(models.TextChoices):
    """FHIR R5 DiagnosticReport.status, with FHIR's meanings."""

    REGISTERED = "registered", _("Registered")
    PARTIAL = "partial", _("Unverified (computer only)")
    PRELIMINARY = "preliminary", _("Preliminary")
    FINAL = "final", _("Signed")
    AMENDED = "amended", _("Amended")
    CORRECTED = "corrected", _("Corrected")
    CANCELLED = "cancelled", _("Cancelled")
    ENTERED_IN_ERROR = "entered-in-error", _("Entered in error")


class Conclusion(models.TextChoices):
    """What a reader may conclude: the four classes, or that the pictures do not tell."""

    BENIGN = "benign", CLASS_NAMES["benign"]
    EARLY_PRE_B = "early_pre_b", CLASS_NAMES["early_pre_b"]
    PRE_B = "pre_b", CLASS_NAMES["pre_b"]
    PRO_B = "pro_b", CLASS_NAMES["pro_b"]
    UNDETERMINED = "undetermined", "Undetermined, further tests needed"

    @property
    def malignant(self) -> bool:
        """Whether it names a subtype of acute lymphoblastic leukaemia."""
        return self not in {Conclusion.BENIGN, Conclusion.UNDETERMINED}


class Certainty(models.TextChoices):
    """How sure the model is, in words; see `services.findings.certainty_of`."""

    CLEAR = "clear", "Clear"
    LEANING = "leaning", "Leaning"
    UNCERTAIN = "uncertain", "Uncertain, needs review"


S = ReportStatus
SIGNED = (S.FINAL, S.AMENDED, S.CORRECTED)
UNSIGNED = (S.REGISTERED, S.PARTIAL, S.PRELIMINARY)
WITHDRAWN = (S.CANCELLED, S.ENTERED_IN_ERROR)


class Stage(models.IntegerChoices):
    """Which part of the worklist a report is in, by its status."""

    REVIEW = 0, "Needs review"
    SIGNED = 1, _("Signed")
    WITHDRAWN = 2, "Withdrawn"


class Urgency(models.IntegerChoices):
    """How soon a person should look at a report, beside others of the clinic."""

    UNREADABLE = 0, "Nobody can read it"
    ORDINARY = 1, "In its turn"
    ATTENTION = 2, "The model is not sure"
    CRITICAL = 3, "Malignant pattern"


class ModelReading(models.TextChoices):
    """What the model makes of a report's pictures, as the worklist is filtered by it."""

    BENIGN = "benign", CLASS_NAMES["benign"]
    EARLY_PRE_B = "early_pre_b", CLASS_NAMES["early_pre_b"]
    PRE_B = "pre_b", CLASS_NAMES["pre_b"]
    PRO_B = "pro_b", CLASS_NAMES["pro_b"]
    UNCERTAIN = "uncertain", "Uncertain"
    UNFAMILIAR = "unfamiliar", "Unfamiliar"


# A malignant pattern that the model is clear about, or leans to. Where readers call first, a
# report's place on a list tells nothing of what the model says.
_MALIGNANT = Q(status__in=UNSIGNED, blind=False) & ~Q(impression__in=["", "benign"])
CRITICAL_PATTERN = _MALIGNANT & ~Q(certainty=Certainty.UNCERTAIN)
# What a person should look at next: all but a clear and unanimous benign, and pictures on which
# the model has no opinion.
NEEDS_ATTENTION = Q(status__in=UNSIGNED) & (
    Q(findings__fields__failed__gt=0)
    | Q(findings__fields__held__gt=0)
    | Q(blind=False)
    & (
        (~Q(impression="") & ~Q(impression="benign", certainty=Certainty.CLEAR))
        | Q(findings__dissent__gt=0)
        | Q(findings__fields__unfamiliar__gt=0)
    )
)
_WAITS = Q(status=S.REGISTERED) | Q(findings__fields__pending__gt=0)
# Nobody can read these: every picture was spoilt.
_NOTHING_USABLE = Q(status__in=UNSIGNED, impression="", blind=False)


class DiagnosticReport(models.Model):
    """One per specimen, rebuilt from all its analyses until it is signed."""

    TRANSITIONS: Transitions = {
        S.REGISTERED: frozenset({S.PARTIAL, S.CANCELLED, S.ENTERED_IN_ERROR}),
        S.PARTIAL: frozenset(
            {S.REGISTERED, S.PRELIMINARY, S.FINAL, S.CANCELLED, S.ENTERED_IN_ERROR}
        ),
        # New pictures take a technician's verification and a first reading back: they did not cover
        # them. So does a hold; when it leaves no picture that counts, there is nothing to verify.
        S.PRELIMINARY: frozenset(
            {S.REGISTERED, S.PARTIAL, S.FINAL, S.CANCELLED, S.ENTERED_IN_ERROR}
        ),
        S.FINAL: frozenset({S.AMENDED, S.CORRECTED, S.ENTERED_IN_ERROR}),
        S.AMENDED: frozenset({S.AMENDED, S.CORRECTED, S.ENTERED_IN_ERROR}),
        S.CORRECTED: frozenset({S.AMENDED, S.CORRECTED, S.ENTERED_IN_ERROR}),
        S.CANCELLED: frozenset({S.ENTERED_IN_ERROR}),
        S.ENTERED_IN_ERROR: frozenset(),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    specimen = models.OneToOneField(Specimen, on_delete=models.PROTECT, related_name="report")
    # Kept beside the specimen's own so that the worklist and the portal need no join.
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="reports")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="reports")
    status = models.CharField(max_length=20, choices=ReportStatus.choices, default=S.REGISTERED)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now)

    # What the model found, over all fields: see services.findings.findings_of.
    findings = models.JSONField(default=dict)
    impression = models.CharField(max_length=20, blank=True, help_text="The model's leading class.")
    certainty = models.CharField(max_length=20, choices=Certainty.choices, blank=True)

    # What a person concluded.
    conclusion = models.CharField(max_length=20, choices=Conclusion.choices, blank=True)
    comment = models.TextField(blank=True)
    words = models.JSONField(
        default=dict, help_text="What the family reads: see services.plain_words."
    )
    verified_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    verified_at = models.DateTimeField(null=True)
    signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    signed_at = models.DateTimeField(null=True)
    # Where the clinic wants two: whose reading `signed_by` confirmed, and what waits for that.
    read_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    waiting = models.ForeignKey(
        "Signature", on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    # The portal: see services.release.
    portal_from = models.DateTimeField(
        null=True, editable=False, help_text="From when the family may read it as it stands."
    )
    released_at = models.DateTimeField(
        null=True, help_text="When the family was let in to what stands now, or stood before."
    )
    mail_due = models.BooleanField(default=False, editable=False)
    mailing_until = models.DateTimeField(
        null=True, editable=False, help_text="Somebody is at it, unless they died."
    )
    # With a default of the database's: what fills an archive need not know it.
    blind = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Readers make their own call before the model's is shown: see own_call.hides.",
    )

    # The order of the worklist. Stored, so that an index holds the rows in it; `urgency` and
    # `stage` by the database itself, so that no write can forget them.
    last_picture = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When the specimen's newest one arrived."
    )
    microscope = models.ForeignKey(
        Device,
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="+",
        db_index=False,  # report_by_microscope serves
        help_text="That sent the newest one.",
    )
    urgency = models.GeneratedField(
        expression=Case(
            When(CRITICAL_PATTERN, then=Value(Urgency.CRITICAL.value)),
            When(NEEDS_ATTENTION, then=Value(Urgency.ATTENTION.value)),
            When(_WAITS, then=Value(Urgency.ORDINARY.value)),
            When(_NOTHING_USABLE, then=Value(Urgency.UNREADABLE.value)),
            default=Value(Urgency.ORDINARY.value),
        ),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )
    stage = models.GeneratedField(
        expression=Case(
            When(status__in=SIGNED, then=Value(Stage.SIGNED.value)),
            When(status__in=WITHDRAWN, then=Value(Stage.WITHDRAWN.value)),
            default=Value(Stage.REVIEW.value),
        ),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )
    # What the list is filtered by.
    reading = models.GeneratedField(
        expression=Case(
            When(blind=True, status__in=UNSIGNED, then=Value("")),
            When(
                impression="",
                findings__fields__unfamiliar__gt=0,
                then=Value(ModelReading.UNFAMILIAR.value),
            ),
            When(certainty=Certainty.UNCERTAIN, then=Value(ModelReading.UNCERTAIN.value)),
            default=F("impression"),
        ),
        output_field=models.CharField(max_length=20),
        db_persist=True,
    )
    last_reader = models.GeneratedField(
        expression=Coalesce("signed_by", "verified_by"),
        output_field=models.UUIDField(null=True),
        db_persist=True,
    )
    failing = models.GeneratedField(
        expression=Case(
            When(status__in=UNSIGNED, findings__fields__failed__gt=0, then=Value(True)),
            default=Value(False),
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["-updated_at"]
        permissions = [
            ("verify_diagnosticreport", "Can verify a report as a technician"),
            ("sign_diagnosticreport", "Can sign a report"),
            ("tell_family", "Can mark that the family was told"),
        ]
        indexes = [
            models.Index(fields=["clinic", "-updated_at"]),
            models.Index(fields=["patient", "-released_at"]),
            # The worklist's tabs, each in its order; see diagnostics.pages.listing.
            models.Index(
                fields=["clinic", "stage", "-urgency", "-last_picture", "-id"],
                name="report_worklist",
            ),
            models.Index(
                fields=["clinic", "-urgency", "-last_picture", "-id"], name="report_worklist_all"
            ),
            # Its filters, each within a stage; see diagnostics.pages.filters.
            models.Index(
                fields=["clinic", "stage", "reading", "-urgency", "-last_picture", "-id"],
                name="report_by_reading",
            ),
            models.Index(
                fields=["clinic", "stage", "microscope", "-urgency", "-last_picture", "-id"],
                name="report_by_microscope",
            ),
            models.Index(
                fields=["clinic", "stage", "last_reader", "-urgency", "-last_picture", "-id"],
                condition=Q(last_reader__isnull=False),
                name="report_by_reader",
            ),
            models.Index(
                fields=["clinic", "-urgency", "-last_picture", "-id"],
                condition=Q(failing=True),
                name="report_failing",
            ),
            models.Index(
                fields=["clinic", "signed_at"],
                condition=Q(signed_at__isnull=False),
                name="report_signed_lately",
            ),
            # What the sweep has to tell of: next to nothing, whatever there is.
            models.Index(
                fields=["portal_from"],
                condition=Q(portal_from__isnull=False)
                & (Q(released_at=None) | Q(released_at__lt=F("portal_from"))),
                name="report_to_release",
            ),
            models.Index(fields=["id"], condition=Q(mail_due=True), name="report_to_mail"),
            # Lists over several clinics, latest change first: the API's and the admin's.
            models.Index(fields=["-updated_at", "id"], name="report_changed_lately"),
        ]
        constraints = [
            in_choices("status", ReportStatus, name="report_status_known"),
            models.CheckConstraint(
                condition=~Q(status__in=SIGNED)
                | (Q(signed_by__isnull=False, signed_at__isnull=False) & ~Q(conclusion="")),
                name="report_signed_by_someone",
            ),
            models.CheckConstraint(
                condition=Q(read_by=None) | Q(signed_by=None) | ~Q(read_by=F("signed_by")),
                name="report_nobody_confirms_their_own",
            ),
        ]

    # Whether this copy is without the model's word: see services.own_call.veil.
    veiled = False

    def __str__(self) -> str:
        return f"report {self.specimen_id}"

    @property
    def is_signed(self) -> bool:
        """Whether a haematologist has signed it."""
        return self.status in SIGNED

    @property
    def bars(self) -> list[dict[str, Any]]:
        """The specimen's four probabilities for drawing."""
        return probability_bars(self.findings.get("probabilities"))

    def get_impression_display(self) -> str:
        """The model's leading class in words, '' when there is none."""
        return CLASS_NAMES.get(self.impression, "")


class ReportVersion(models.Model):
    """A report as it stood when a person put a name to it. Never changed afterwards."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.ForeignKey(DiagnosticReport, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    status = models.CharField(max_length=20, choices=ReportStatus.choices)
    content = models.JSONField()
    sha256 = models.CharField(max_length=64, help_text="Of the content as canonical JSON.")
    signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    signed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["report", "version"], name="report_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.report_id} v{self.version}"
