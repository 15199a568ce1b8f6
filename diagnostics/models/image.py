"""A field image: one picture of one field of view, as a microscope sent it."""

from uuid import UUID

from django.db import models
from django.utils import timezone

from devices.models import Device
from diagnostics.models.specimen import Specimen
from hospital.base.states import Transitions, in_choices


class ImageState(models.TextChoices):
    """Where a picture stands: safe with us, good enough, or not."""

    RECEIVED = "received", "Received"
    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Rejected"


# A person rejected the picture for this; no analysis changes that.
SET_ASIDE = frozenset({"replaced", "wrong_specimen"})


class FieldImage(models.Model):
    """The original picture. Its id is the one the microscope gave it."""

    TRANSITIONS: Transitions = {
        ImageState.RECEIVED: frozenset({ImageState.ACCEPTED, ImageState.REJECTED}),
        # A later analysis under a better package may judge the same picture otherwise.
        ImageState.ACCEPTED: frozenset({ImageState.REJECTED}),
        ImageState.REJECTED: frozenset({ImageState.ACCEPTED}),
    }

    id = models.UUIDField(primary_key=True, editable=False)
    # One of these two: a picture is of a patient's specimen or of a control slide.
    specimen = models.ForeignKey(
        Specimen, on_delete=models.PROTECT, null=True, related_name="images"
    )
    control_slide = models.ForeignKey(
        "diagnostics.ControlSlide",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="images",
    )
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="images")
    sha256 = models.CharField(max_length=64, help_text="Of the bytes as sent, hexadecimal.")
    storage_key = models.CharField(max_length=120)
    media_type = models.CharField(max_length=20)
    size = models.PositiveIntegerField(help_text="Bytes.")
    width = models.PositiveIntegerField(help_text="Pixels.")
    height = models.PositiveIntegerField(help_text="Pixels.")
    synthetic = models.BooleanField(default=False, help_text="Made by a program, not from blood.")
    captured_at = models.DateTimeField(null=True, blank=True, help_text="By the device's clock.")
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    state = models.CharField(
        max_length=10, choices=ImageState.choices, default=ImageState.RECEIVED, editable=False
    )
    held = models.BooleanField(
        default=False, editable=False, help_text="Kept out of the report: see its holds."
    )
    rejection = models.CharField(
        max_length=40, blank=True, editable=False, help_text="Why it was rejected, as a code."
    )

    class Meta:
        ordering = ["received_at", "id"]
        indexes = [
            models.Index(fields=["specimen", "received_at"]),
            models.Index(fields=["device", "-received_at"]),
            models.Index(fields=["-received_at"], name="image_received_lately"),
            # The same picture for another patient: see services.intake.
            models.Index(fields=["sha256"], name="image_by_digest"),
            # Few at any time: the worklist's tab of them, and those of one microscope.
            models.Index(
                fields=["device", "specimen"], condition=models.Q(held=True), name="image_held"
            ),
        ]
        constraints = [
            in_choices("state", ImageState, name="image_state_known"),
            models.CheckConstraint(
                condition=models.Q(specimen=None) ^ models.Q(control_slide=None),
                name="image_of_specimen_or_control",
            ),
            models.CheckConstraint(
                condition=models.Q(state=ImageState.REJECTED) ^ models.Q(rejection=""),
                name="image_rejected_with_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} {str(self.pk)[:8]}"

    @property
    def label(self) -> str:
        """What the slide says: the accession number, or the control slide's label."""
        return self.specimen.accession if self.specimen else str(self.control_slide)

    @property
    def clinic_id(self) -> UUID:
        """The clinic that the specimen or the control slide belongs to."""
        owner = self.specimen or self.control_slide
        assert owner is not None  # the database sees to it
        return owner.clinic_id

    @property
    def patient_id(self) -> UUID | None:
        """The patient; None for a control slide."""
        return self.specimen.patient_id if self.specimen else None
