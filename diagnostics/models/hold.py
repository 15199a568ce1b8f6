"""Why a picture is kept out of its report until somebody has looked."""

import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnostics.models.image import FieldImage
from hospital.base.states import in_choices


class HoldReason(models.TextChoices):
    """What a person has to settle before the picture counts."""

    CONTROL_OVERDUE = "control_overdue", "The microscope's control slide was overdue"
    CONTROL_FAILED = "control_failed", "The microscope's control slide had failed"
    COLLECTED_LATER = "collected_later", "The specimen is said to be collected in the future"
    SAME_PICTURE = "same_picture", "The same picture was sent for two patients"


class Hold(models.Model):
    """One reason that keeps one picture back. Any number of them; all must be settled."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.ForeignKey(FieldImage, on_delete=models.PROTECT, related_name="holds")
    reason = models.CharField(max_length=20, choices=HoldReason.choices)
    held_at = models.DateTimeField(default=timezone.now, editable=False)
    released_at = models.DateTimeField(null=True, editable=False)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Nobody, when a control slide that passed released it.",
    )
    comment = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["held_at"]
        permissions = [("release_hold", "Can release held pictures and settle mix-ups")]
        constraints = [
            in_choices("reason", HoldReason, name="hold_reason_known"),
            models.UniqueConstraint(
                fields=["image", "reason"],
                condition=Q(released_at=None),
                name="hold_open_once_per_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_reason_display()}: {self.image_id}"


class Settlement(models.TextChoices):
    """What a person found about one picture that came for two patients."""

    FIRST = "first", "It belongs to the first specimen"
    SECOND = "second", "It belongs to the second specimen"
    NEITHER = "neither", "It belongs to neither"


@dataclass(frozen=True, slots=True)
class Side:
    """One of a mix-up's two pictures. `kept`: whether it hangs under the right name, if known."""

    image: FieldImage
    kept: bool | None


class MixUp(models.Model):
    """The same picture, to the byte, came for two patients. A person settles it, nobody else."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    first = models.ForeignKey(FieldImage, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(FieldImage, on_delete=models.PROTECT, related_name="+")
    raised_at = models.DateTimeField(default=timezone.now, editable=False)
    # Each for itself: where they are of two clinics, each clinic speaks of its own only.
    first_kept = models.BooleanField(null=True, editable=False)
    second_kept = models.BooleanField(null=True, editable=False)
    settlement = models.CharField(max_length=10, choices=Settlement.choices, blank=True)
    settled_at = models.DateTimeField(null=True, editable=False)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    comment = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["-raised_at"]
        verbose_name = "mix-up"
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="mix_up_once"),
            models.CheckConstraint(
                condition=Q(settled_at=None) ^ ~Q(settlement=""), name="mix_up_settled_somehow"
            ),
        ]

    def __str__(self) -> str:
        return f"mix-up {str(self.pk)[:8]}"

    def sides(self) -> tuple[Side, Side]:
        """First and second, with what was found about each."""
        return Side(self.first, self.first_kept), Side(self.second, self.second_kept)
