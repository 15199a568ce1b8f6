"""Patients and the people who may read about them."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hospital.accounts.languages import offered
from hospital.accounts.models import Clinic
from hospital.base.states import Transitions, in_choices
from patients.ages import AgeBand, band_of


class Sex(models.TextChoices):
    """FHIR's administrative-gender codes."""

    FEMALE = "female", "Female"
    MALE = "male", "Male"
    OTHER = "other", "Other"
    UNKNOWN = "unknown", "Unknown"


class Patient(models.Model):
    """A person under the care of one clinic."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="patients")
    mrn = models.CharField("medical record number", max_length=40)
    family_name = models.CharField(max_length=100)
    given_names = models.CharField(max_length=100)
    birth_date = models.DateField()
    sex = models.CharField("administrative sex", max_length=10, choices=Sex.choices)
    language = models.CharField("preferred language", max_length=10, choices=offered, default="en")
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    erased_at = models.DateTimeField(
        null=True, editable=False, help_text="Since then nothing here tells who it was."
    )

    class Meta:
        ordering = ["family_name", "given_names"]
        constraints = [
            models.UniqueConstraint(fields=["clinic", "mrn"], name="patient_mrn_once_per_clinic"),
            in_choices("sex", Sex, name="patient_sex_known"),
        ]
        indexes = [
            models.Index(fields=["family_name", "given_names"]),
            # For hospital.base.search; PostgreSQL has trigrams besides, see the migration.
            models.Index("clinic", Upper("mrn"), name="patient_by_mrn"),
            models.Index("clinic", Upper("family_name"), name="patient_by_family_name"),
            models.Index("clinic", Upper("given_names"), name="patient_by_given_names"),
        ]

    def __str__(self) -> str:
        return f"{self.family_name}, {self.given_names} ({self.mrn})"

    @property
    def full_name(self) -> str:
        """The name as it is spoken."""
        return f"{self.given_names} {self.family_name}"

    @property
    def age_band(self) -> AgeBand:
        """Which of the three bands they are in today."""
        return band_of(self.birth_date, timezone.localdate())


class Relation(models.TextChoices):
    """What a portal account is to the patient."""

    SELF = "self", _("The patient")
    GUARDIAN = "guardian", _("Parent or guardian")


class AccessStanding(models.TextChoices):
    """Whether an access lets anybody read today, and why not."""

    LIVE = "live", "In force"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"
    OF_AGE = "of_age", "Ended: the patient is of age"
    TOO_YOUNG = "too_young", "Begins when the patient is 12"


class PortalAccess(models.Model):
    """Lets an account read one patient's released reports, from a day and until a day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="portal_access")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="portal_access"
    )
    relation = models.CharField(max_length=10, choices=Relation.choices)
    granted_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "portal access"
        verbose_name_plural = "portal access"
        ordering = ["-granted_at"]
        constraints = [
            in_choices("relation", Relation, name="portal_relation_known"),
            models.UniqueConstraint(
                fields=["patient", "user"],
                condition=models.Q(revoked_at__isnull=True),
                name="portal_access_live_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} for {self.patient}"

    @property
    def standing(self) -> AccessStanding:
        """What `selectors.standing` says of one in memory."""
        if self.revoked_at:
            return AccessStanding.REVOKED
        if self.expires_at and self.expires_at <= timezone.now():
            return AccessStanding.EXPIRED
        if self.relation == Relation.GUARDIAN and self.patient.age_band == AgeBand.ADULT:
            return AccessStanding.OF_AGE
        if self.relation == Relation.SELF and self.patient.age_band == AgeBand.CHILD:
            return AccessStanding.TOO_YOUNG
        return AccessStanding.LIVE


class InvitationState(models.TextChoices):
    """An invitation is good once."""

    OPEN = "open", "Open"
    ACCEPTED = "accepted", "Accepted"
    REVOKED = "revoked", "Revoked"
    VOID = "void", "Void: too many wrong birth dates"


class Invitation(models.Model):
    """A sheet of paper with which somebody becomes a reader of a patient's released reports.

    Of the secret in its link only the digest is kept, so it can be printed once. Whoever has the
    sheet also has to know the patient's birth date.
    """

    TRANSITIONS: ClassVar[Transitions] = {
        InvitationState.OPEN: frozenset(
            {InvitationState.ACCEPTED, InvitationState.REVOKED, InvitationState.VOID}
        ),
        InvitationState.ACCEPTED: frozenset(),
        InvitationState.REVOKED: frozenset(),
        InvitationState.VOID: frozenset(),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="invitations")
    relation = models.CharField(max_length=10, choices=Relation.choices, default=Relation.GUARDIAN)
    access_until = models.DateTimeField(
        "access ends", null=True, blank=True, help_text="Empty: until it is revoked."
    )
    secret_digest = models.CharField(max_length=64, unique=True, editable=False)
    state = models.CharField(
        max_length=10,
        choices=InvitationState.choices,
        default=InvitationState.OPEN,
        editable=False,
    )
    wrong_dates = models.PositiveSmallIntegerField(default=0, editable=False)
    issued_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(editable=False)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="invitations",
        editable=False,
    )
    accepted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-issued_at"]
        constraints = [
            in_choices("relation", Relation, name="invitation_relation_known"),
            in_choices("state", InvitationState, name="invitation_state_known"),
            models.CheckConstraint(
                condition=models.Q(state="accepted", accepted_by__isnull=False)
                | (~models.Q(state="accepted") & models.Q(accepted_by__isnull=True)),
                name="invitation_accepted_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_relation_display()} of {self.patient}"

    @property
    def is_open(self) -> bool:
        """Whether it can still be accepted."""
        return self.state == InvitationState.OPEN and self.expires_at > timezone.now()


class Kept(models.TextChoices):
    """What is kept for a period of its own."""

    PATIENTS = "patients", "Patients, from their last specimen or registration on"
    EVENTS = "events", "The log that screens catch up from"
    LOOKS = "looks", "Which pictures a reader was shown"


class RetentionRule(models.Model):
    """How long a kind is kept. Without a rule: for good."""

    kind = models.CharField(max_length=20, choices=Kept.choices, unique=True)
    days = models.PositiveIntegerField()
    until_age = models.PositiveSmallIntegerField(
        default=0, help_text="Patients in years: never before, however long ago they were here."
    )

    class Meta:
        ordering = ["kind"]
        constraints = [
            in_choices("kind", Kept, name="retention_kind_known"),
            models.CheckConstraint(condition=models.Q(days__gte=1), name="retention_some_time"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.days} days"


class LegalHold(models.Model):
    """Why a patient's data must stay: a lawsuit, a complaint, a study. Lifted, never deleted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="legal_holds")
    accession = models.CharField(max_length=40, blank=True, help_text="The specimen, if it is one.")
    reason = models.CharField(max_length=400)
    placed_by = models.CharField(max_length=200)
    placed_at = models.DateTimeField(default=timezone.now, editable=False)
    lifted_by = models.CharField(max_length=200, blank=True)
    lifted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-placed_at"]
        indexes = [
            models.Index(
                fields=["patient"],
                condition=models.Q(lifted_at__isnull=True),
                name="legal_hold_in_force",
            )
        ]

    def __str__(self) -> str:
        return f"{str(self.pk)[:8]}: {self.reason}"
