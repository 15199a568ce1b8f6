"""Control slides: a known smear that every microscope shows now and then, to prove its worth."""

import uuid

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from devices.models import Device
from diagnostics.models.analysis import CLASS_NAMES
from hospital.accounts.models import Clinic
from hospital.base.states import Transitions, in_choices


class ControlSlide(models.Model):
    """A slide of which is known what a sound microscope makes of it.

    Its label is what the microscope sends as accession number; no specimen may bear the same.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="control_slides")
    label = models.CharField(
        max_length=40,
        unique=True,
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
                "Letters, digits, dot, dash and underscore only.",
            )
        ],
        help_text="As on the slide; the microscope reads it like an accession number.",
    )
    expected = models.CharField(
        "expected class",
        max_length=20,
        choices=list(CLASS_NAMES.items()),
        help_text="What the model must read.",
    )
    ranges = models.JSONField(
        default=dict,
        blank=True,
        help_text='What the picture\'s figures must lie in, by name: {"stain": [0.2, 0.6]}.',
    )
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["clinic__name", "label"]

    def __str__(self) -> str:
        return self.label


class ControlState(models.TextChoices):
    """What a control picture proved."""

    PENDING = "pending", "Being analysed"
    PASSED = "passed", "Passed"
    FAILED = "failed", "Failed"


class ControlRun(models.Model):
    """One picture of a control slide, and what it proved about the microscope that took it."""

    TRANSITIONS: Transitions = {
        ControlState.PENDING: frozenset({ControlState.PASSED, ControlState.FAILED}),
        ControlState.PASSED: frozenset(),
        ControlState.FAILED: frozenset(),
    }

    image = models.OneToOneField(
        "diagnostics.FieldImage",
        on_delete=models.PROTECT,
        primary_key=True,
        related_name="control_run",
    )
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="control_runs")
    slide = models.ForeignKey(ControlSlide, on_delete=models.PROTECT, related_name="runs")
    at = models.DateTimeField(default=timezone.now, help_text="When the picture arrived.")
    state = models.CharField(
        max_length=10, choices=ControlState.choices, default=ControlState.PENDING, editable=False
    )
    decided_at = models.DateTimeField(null=True, editable=False)
    reasons = models.JSONField(default=list, help_text="Why it failed, a sentence each.")
    measured = models.JSONField(default=dict, help_text="Class, probabilities and figures.")

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["device", "-at"], name="control_of_device")]
        constraints = [in_choices("state", ControlState, name="control_state_known")]

    def __str__(self) -> str:
        return f"{self.slide_id} on {self.device_id}: {self.state}"

    @property
    def read_as(self) -> str:
        """The class that the model read, in words; '' when it read none."""
        return CLASS_NAMES.get(self.measured.get("label", ""), "")
