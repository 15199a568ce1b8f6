"""What readers did with a case's pictures: looked at fields, asked for heat maps, named cells."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnostics.models.analysis import CLASS_NAMES, Analysis
from diagnostics.models.image import FieldImage
from hospital.base.states import Transitions, in_choices


class FieldSeen(models.Model):
    """That a person was shown a field, and when first."""

    image = models.ForeignKey(FieldImage, on_delete=models.PROTECT, related_name="seen_by")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "fields seen"
        constraints = [
            models.UniqueConstraint(fields=["image", "user"], name="field_seen_once_by_each")
        ]

    def __str__(self) -> str:
        return f"{self.image_id} seen by {self.user_id}"


class HeatMapState(models.TextChoices):
    """Where a heat map stands."""

    WANTED = "wanted", "Being drawn"
    DRAWN = "drawn", "Drawn"
    FAILED = "failed", "Failed"


class HeatMap(models.Model):
    """Where the model looked in one analysis. Drawn by a worker when a reader asks; kept."""

    TRANSITIONS: Transitions = {
        HeatMapState.WANTED: frozenset({HeatMapState.DRAWN, HeatMapState.FAILED}),
        HeatMapState.DRAWN: frozenset(),
        HeatMapState.FAILED: frozenset({HeatMapState.WANTED}),
    }

    analysis = models.OneToOneField(
        Analysis, on_delete=models.PROTECT, primary_key=True, related_name="heat_map"
    )
    state = models.CharField(
        max_length=10, choices=HeatMapState.choices, default=HeatMapState.WANTED
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    asked_at = models.DateTimeField(default=timezone.now)
    nudged_at = models.DateTimeField(
        default=timezone.now, help_text="When the broker was last told of it."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Until then whoever has begun to draw it is left alone.",
    )
    storage_key = models.CharField(max_length=120, blank=True)
    failure = models.CharField(max_length=40, blank=True, help_text="Why it failed, as a code.")

    class Meta:
        indexes = [
            models.Index(
                fields=["asked_at"],
                condition=Q(state=HeatMapState.WANTED),
                name="heat_map_wanted",
            )
        ]
        constraints = [
            in_choices("state", HeatMapState, name="heat_map_state_known"),
            models.CheckConstraint(
                condition=Q(state=HeatMapState.DRAWN) ^ Q(storage_key=""),
                name="heat_map_drawn_with_picture",
            ),
            models.CheckConstraint(
                condition=Q(state=HeatMapState.FAILED) ^ Q(failure=""),
                name="heat_map_failed_with_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"heat map of {self.analysis_id}"


class CellLabel(models.TextChoices):
    """What a reader may say of a single cell."""

    BENIGN = "benign", CLASS_NAMES["benign"]
    EARLY_PRE_B = "early_pre_b", CLASS_NAMES["early_pre_b"]
    PRE_B = "pre_b", CLASS_NAMES["pre_b"]
    PRO_B = "pro_b", CLASS_NAMES["pro_b"]
    OTHER = "other", "Another cell"
    ARTEFACT = "artefact", "Not a cell"
    UNCERTAIN = "uncertain", "Uncertain"


class CellCall(models.Model):
    """What one reader said of one cell. Never changed, only undone; the latest counts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="cell_calls")
    cell = models.PositiveIntegerField(help_text="Its place among the analysis's outlines, from 0.")
    label = models.CharField(max_length=20, choices=CellLabel.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)
    undone_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["at", "id"]
        indexes = [models.Index(fields=["analysis", "cell", "at"], name="cell_calls_of_cell")]
        constraints = [in_choices("label", CellLabel, name="cell_call_label_known")]

    def __str__(self) -> str:
        return f"cell {self.cell} of {self.analysis_id}: {self.label}"
