"""Critical results: the call-back, what raised it, who is told when nobody calls, every try."""

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from diagnostics.models.report import Conclusion, DiagnosticReport
from hospital.accounts.models import Clinic
from hospital.accounts.roles import Role
from hospital.base.states import Transitions, in_choices
from patients.models import Patient


class CallBackState(models.TextChoices):
    """Where a call-back stands."""

    OPEN = "open", _("To be told")
    CONFIRMED = "confirmed", _("Told and read back")
    DROPPED = "dropped", _("Not critical any more")


class CallBack(models.Model):
    """That somebody must be told of a patient's critical result, until it was read back.

    One for a patient at a time: what comes meanwhile is counted, as a `CriticalFinding`.
    """

    TRANSITIONS: Transitions = {
        CallBackState.OPEN: frozenset({CallBackState.CONFIRMED, CallBackState.DROPPED}),
        CallBackState.CONFIRMED: frozenset(),
        CallBackState.DROPPED: frozenset(),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="call_backs")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="call_backs")
    state = models.CharField(
        max_length=10, choices=CallBackState.choices, default=CallBackState.OPEN
    )
    raised_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    # The escalation: see services.escalation.
    told_minutes = models.SmallIntegerField(
        default=-1, help_text="The step of the chain that was taken last; -1 before the first."
    )
    next_at = models.DateTimeField(null=True, help_text="When the next step is due.")

    class Meta:
        ordering = ["raised_at"]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="open"), name="call_back_next"),
            models.Index(
                fields=["clinic", "raised_at"], condition=Q(state="open"), name="call_back_open"
            ),
        ]
        constraints = [
            in_choices("state", CallBackState, name="call_back_state_known"),
            models.CheckConstraint(
                condition=Q(state=CallBackState.OPEN, closed_at=None)
                | ~Q(state=CallBackState.OPEN) & Q(closed_at__isnull=False),
                name="call_back_closed_with_time",
            ),
            models.UniqueConstraint(
                fields=["patient"], condition=Q(state="open"), name="call_back_once_at_a_time"
            ),
        ]

    # What of it somebody may see, the latest first, and what was done: selectors.open_call_backs.
    shown: "list[CriticalFinding]"
    tries: int
    escalated: int

    def __str__(self) -> str:
        return f"call-back {self.pk}"


class CriticalSource(models.TextChoices):
    """Whose word a critical result is."""

    MODEL = "model", _("the model, not yet reviewed")
    SIGNED = "signed", _("signed")
    CHANGED = "changed", _("signed, instead of what was told")
    WITHDRAWN = "withdrawn", _("was told, and is withdrawn")


class CriticalFindings(models.QuerySet["CriticalFinding"]):
    """Findings, and those of them that belong where they stand."""

    def staying(self) -> "CriticalFindings":
        """But for those that a call left untold: they moved on as they were, to a new call-back."""
        same = {name: models.OuterRef(name) for name in ("report", "source", "value", "at")}
        moved = CriticalFinding.objects.filter(**same, pk__gt=models.OuterRef("pk"))
        return self.exclude(models.Exists(moved))


class CriticalFinding(models.Model):
    """A critical result that became known: once for each report, value and source, for good."""

    call_back = models.ForeignKey(CallBack, on_delete=models.PROTECT, related_name="findings")
    report = models.ForeignKey(
        DiagnosticReport, on_delete=models.PROTECT, related_name="critical_findings"
    )
    version = models.PositiveIntegerField(help_text="Of the report.")
    source = models.CharField(max_length=10, choices=CriticalSource.choices)
    value = models.CharField(max_length=20, choices=Conclusion.choices)
    at = models.DateTimeField(default=timezone.now)

    objects = CriticalFindings.as_manager()

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["call_back", "report", "source", "value"], name="critical_finding_once"
            ),
            in_choices("source", CriticalSource, name="critical_finding_source_known"),
            in_choices("value", Conclusion, name="critical_finding_value_known"),
        ]

    def __str__(self) -> str:
        return f"{self.report_id}: {self.value} ({self.source})"


class EscalationStep(models.Model):
    """Whom a clinic tells of a call-back that is still open after so many minutes."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="escalation_steps")
    minutes = models.PositiveSmallIntegerField(
        "after minutes",
        default=0,
        validators=[MaxValueValidator(7 * 24 * 60)],
        help_text="0: at once. At most a week.",
    )
    role = models.CharField(
        max_length=20, choices=Role.choices, blank=True, help_text="Everybody in this role; or:"
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["clinic__name", "minutes", "role"]
        constraints = [
            models.CheckConstraint(
                condition=Q(role="") ^ Q(person=None),
                name="escalation_step_to_somebody",
                violation_error_message="Give a role or a person, and not both.",
            ),
            models.UniqueConstraint(
                fields=["clinic", "minutes", "role"],
                condition=Q(person=None),
                name="escalation_step_once_for_role",
            ),
            models.UniqueConstraint(
                fields=["clinic", "minutes", "person"],
                condition=Q(person__isnull=False),
                name="escalation_step_once_for_person",
            ),
        ]

    def __str__(self) -> str:
        return f"after {self.minutes} min: {self.get_role_display() or self.person}"


class Escalation(models.Model):
    """That a step of the chain was taken for a call-back: once, whoever sweeps."""

    call_back = models.ForeignKey(CallBack, on_delete=models.PROTECT, related_name="escalations")
    minutes = models.PositiveSmallIntegerField()
    role = models.CharField(max_length=20, choices=Role.choices, blank=True)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    at = models.DateTimeField(default=timezone.now)
    mailed_at = models.DateTimeField(null=True)
    mailing_until = models.DateTimeField(
        null=True, help_text="Somebody is at it, unless they died."
    )

    class Meta:
        ordering = ["at", "id"]
        indexes = [
            models.Index(fields=["at"], condition=Q(mailed_at=None), name="escalation_to_mail")
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["call_back", "minutes", "role"],
                condition=Q(person=None),
                name="escalation_once_for_role",
            ),
            models.UniqueConstraint(
                fields=["call_back", "minutes", "person"],
                condition=Q(person__isnull=False),
                name="escalation_once_for_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.call_back_id} after {self.minutes} min"


class Recipient(models.TextChoices):
    """Who was called, seen from the patient."""

    CLINICIAN = "clinician", _("The clinician in charge")
    COLLEAGUE = "colleague", _("Somebody of their ward or practice")
    PATIENT = "patient", _("The patient")
    GUARDIAN = "guardian", _("A parent or guardian")


class CallEnd(models.TextChoices):
    """How a try ended."""

    CONFIRMED = "confirmed", _("Told, and read back to me")
    REACHED = "reached", _("Told, not read back")
    UNREACHED = "unreached", _("Nobody was reached")


FAMILY = (Recipient.PATIENT, Recipient.GUARDIAN)
TOLD = (CallEnd.CONFIRMED, CallEnd.REACHED)


class ContactTry(models.Model):
    """One try to tell somebody what a report says: whom, by whom, when, what, how it ended.

    The one record of it: the call-back ends by it, and release 'after the call' rests on it. The
    database refuses to change or delete it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.ForeignKey(DiagnosticReport, on_delete=models.PROTECT, related_name="contacts")
    call_back = models.ForeignKey(
        CallBack, on_delete=models.PROTECT, null=True, related_name="contacts"
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    relation = models.CharField(max_length=10, choices=Recipient.choices)
    name = models.CharField(max_length=120, blank=True)
    role = models.CharField(max_length=120, blank=True)
    outcome = models.CharField(max_length=10, choices=CallEnd.choices)
    # A copy, made by the server: what was told, however the report reads later.
    version = models.PositiveIntegerField(help_text="Of the report.")
    value = models.CharField(max_length=20, choices=Conclusion.choices, blank=True)
    source = models.CharField(max_length=10, choices=CriticalSource.choices)
    note = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            in_choices("relation", Recipient, name="contact_relation_known"),
            in_choices("outcome", CallEnd, name="contact_outcome_known"),
            in_choices("source", CriticalSource, name="contact_source_known"),
            models.CheckConstraint(
                condition=Q(outcome=CallEnd.UNREACHED) | ~Q(name=""), name="contact_told_by_name"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.report_id}: {self.outcome}"

    @property
    def confirmed(self) -> bool:
        """Whether it was read back."""
        return self.outcome == CallEnd.CONFIRMED
