"""Clinics, people who sign in, and who works where as what."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from hospital.accounts.languages import offered
from hospital.accounts.roles import Role
from hospital.base.states import in_choices


class Paper(models.TextChoices):
    """What a clinic prints on."""

    A4 = "a4", "A4"
    LETTER = "letter", "US Letter"


class FieldsToSee(models.TextChoices):
    """How much of a case a reader must have been shown before they may sign it."""

    EVERY = "every", "Every usable field"
    ADVISED = "advised", "The page says what is left, and lets them sign"


class SecondReader(models.TextChoices):
    """Which reports a second haematologist reads before they are final."""

    NEVER = "never", "None"
    MALIGNANT = "malignant", "Those that name a leukaemia"
    ALWAYS = "always", "Every one"


class RealClinics(models.Manager["Clinic"]):
    """Those where people work: all but the one that the end-to-end probe has for itself."""

    def get_queryset(self) -> models.QuerySet["Clinic"]:
        """Without the probe's. Every list of clinics, and so every scoped read, begins here."""
        return super().get_queryset().filter(probe=False)


class Clinic(models.Model):
    """A clinic with its own staff, microscopes and patients. The border nobody looks across."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.SlugField(max_length=20, unique=True, help_text="Short name used in lists.")
    name = models.CharField(max_length=120)
    telephone = models.CharField(
        max_length=40, blank=True, help_text="Shown to patients beside every report."
    )
    paper = models.CharField(
        max_length=10, choices=Paper.choices, default=Paper.A4, help_text="For reports as PDF."
    )
    fields_to_see = models.CharField(
        max_length=10,
        choices=FieldsToSee.choices,
        default=FieldsToSee.EVERY,
        help_text="What a reader must have been shown before they sign.",
    )
    second_reader = models.CharField(
        max_length=10,
        choices=SecondReader.choices,
        default=SecondReader.NEVER,
        help_text="Which reports a second haematologist reads before they are final.",
    )
    probe = models.BooleanField(default=False, db_default=False, editable=False)

    objects = RealClinics()
    every = models.Manager()  # noqa: DJ012 - the first is what Django takes for everything

    class Meta:
        ordering = ["name"]
        constraints = [
            in_choices("paper", Paper, name="clinic_paper_known"),
            in_choices("fields_to_see", FieldsToSee, name="clinic_fields_to_see_known"),
            in_choices("second_reader", SecondReader, name="clinic_second_reader_known"),
        ]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """Anyone who signs in: staff by their memberships, patients and guardians by portal access."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # '' is what the browser asks for.
    language = models.CharField(max_length=10, blank=True, choices=offered)

    class Meta(AbstractUser.Meta):
        ordering = ["username"]

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Membership(models.Model):
    """A person's role in one clinic."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        ordering = ["clinic__name", "user__username"]
        constraints = [
            models.UniqueConstraint(fields=["user", "clinic", "role"], name="membership_once"),
            in_choices("role", Role, name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()} at {self.clinic}"


class BreakGlass(models.Model):
    """Somebody reads another clinic's cases in an emergency, until it ends."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="emergencies")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="emergencies")
    reason = models.CharField(max_length=400)
    begun_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "break-glass access"
        verbose_name_plural = "break-glass accesses"
        ordering = ["-begun_at"]
        indexes = [
            models.Index(
                fields=["user"],
                condition=models.Q(ended_at__isnull=True),
                name="break_glass_not_ended",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.clinic}"

    @property
    def is_open(self) -> bool:
        """Whether it lets them read now."""
        return self.ended_at is None and self.ends_at > timezone.now()


class SignIn(models.Model):
    """A person signed in on a device: one row a session, for the list of one's sessions."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True)
    device = models.CharField(max_length=60)
    # Of the network, not of the machine: enough to recognise, too little to trace.
    network = models.CharField(max_length=45, blank=True)
    at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return self.device


class Tried(models.TextChoices):
    """What wrong tries are counted for."""

    ACCOUNT = "account", "Account"
    ADDRESS = "address", "Network address"


class Lockout(models.Model):
    """Wrong tries at one account, or from one address, and until when it has to wait.

    An account is counted by a digest of the name that was typed, whether or not there is one:
    else the waiting would tell which names exist, and passwords typed into the wrong field would
    stand here.
    """

    kind = models.CharField(max_length=10, choices=Tried.choices)
    key = models.CharField(max_length=64)
    user = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.CASCADE, related_name="lockouts"
    )
    failures = models.PositiveIntegerField(default=0)
    last_failed_at = models.DateTimeField(default=timezone.now)
    locked_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "lockout"
        ordering = ["-last_failed_at"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="lockout_once"),
            in_choices("kind", Tried, name="lockout_kind_known"),
        ]

    def __str__(self) -> str:
        if self.kind == Tried.ADDRESS:
            return self.key
        return str(self.user) if self.user else "a name that nobody has"

    @property
    def is_locked(self) -> bool:
        """Whether it has to wait just now."""
        return self.locked_until is not None and self.locked_until > timezone.now()
