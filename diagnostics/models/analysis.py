"""An analysis: one run of one model package over one field image. The row is the queue's truth."""

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnostics.models.image import FieldImage
from hospital.base.states import Transitions, in_choices
from ml.classes import Class


class AnalysisState(models.TextChoices):
    """Where a run stands."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Done"
    FAILED = "failed", "Failed"


class Outcome(models.TextChoices):
    """What a run that succeeded has to say. Only the first is a class."""

    CLASSIFIED = "classified", "Classified"
    UNFAMILIAR = "unfamiliar", "Outside what the model was trained on"
    NOT_A_SMEAR = "not_a_smear", "Not a blood smear"
    UNUSABLE = "unusable", "Picture not usable"


OPEN = (AnalysisState.QUEUED, AnalysisState.RUNNING)


class Priority(models.IntegerChoices):
    """What is claimed first."""

    LIVE = 0, "Live"
    BACKGROUND = 1, "Background"
    # Of the package that reads along: never has a say, see services.packages.
    SHADOW = 2, "Silent"


class Analysis(models.Model):
    """Claimed by compare-and-swap with a lease; a second delivery finds it done."""

    TRANSITIONS: Transitions = {
        AnalysisState.QUEUED: frozenset({AnalysisState.RUNNING}),
        AnalysisState.RUNNING: frozenset(
            {AnalysisState.SUCCEEDED, AnalysisState.FAILED, AnalysisState.QUEUED}
        ),
        AnalysisState.SUCCEEDED: frozenset(),
        AnalysisState.FAILED: frozenset({AnalysisState.QUEUED}),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.ForeignKey(FieldImage, on_delete=models.PROTECT, related_name="analyses")
    state = models.CharField(
        max_length=10, choices=AnalysisState.choices, default=AnalysisState.QUEUED
    )
    queued_at = models.DateTimeField(default=timezone.now)
    nudged_at = models.DateTimeField(
        default=timezone.now, help_text="When the broker was last told of it."
    )
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.LIVE)
    package_wanted = models.CharField(
        max_length=64, blank=True, help_text="Digest of the package to use; '' is the worker's own."
    )
    speaks = models.BooleanField(
        default=True, help_text="Whether it has a say in the report: see docs/decisions/0008."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    lease = models.UUIDField(null=True, help_text="Whoever holds this token may finish it.")
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=40, blank=True, help_text="Why it failed, as a code.")

    # What made the result: enough to make it again.
    package_name = models.CharField(max_length=60, blank=True)
    package_digest = models.CharField(max_length=64, blank=True)
    engine = models.CharField(max_length=60, blank=True)
    preprocessing = models.CharField(max_length=60, blank=True)

    # The result.
    outcome = models.CharField(max_length=20, choices=Outcome.choices, blank=True)
    label = models.CharField(max_length=20, blank=True, help_text="The leading class.")
    probabilities = models.JSONField(null=True, help_text="Calibrated, by class code; sum 1.")
    familiarity = models.FloatField(null=True)
    quality = models.JSONField(default=dict)
    cell_count = models.PositiveIntegerField(null=True)
    area_share = models.FloatField(null=True, help_text="Of the picture covered by cells, 0 to 1.")
    # Where its pictures stand once somebody has looked at them: see services.drawing.
    segmented_key = models.CharField(max_length=120, blank=True)
    overlay_key = models.CharField(max_length=120, blank=True)
    thumbnail_key = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-queued_at"]
        verbose_name_plural = "analyses"
        permissions = [("retry_analysis", "Can start a failed analysis again")]
        indexes = [
            models.Index(
                fields=["priority", "queued_at"],
                name="analysis_queue",
                condition=Q(state=AnalysisState.QUEUED),
            ),
            models.Index(
                fields=["package_wanted", "state"],
                name="analysis_reanalysis",
                condition=~Q(package_wanted=""),
            ),
            models.Index(
                fields=["lease_until"],
                name="analysis_leases",
                condition=Q(state=AnalysisState.RUNNING),
            ),
            models.Index(fields=["-queued_at"], name="analysis_queued_lately"),
            # The dashboard's: what finished in the last hour, today, or on a day to be added up.
            models.Index(
                fields=["finished_at"],
                name="analysis_finished",
                condition=Q(state=AnalysisState.SUCCEEDED),
            ),
            models.Index(
                fields=["finished_at"],
                name="analysis_failed",
                condition=Q(state=AnalysisState.FAILED),
            ),
        ]
        constraints = [
            in_choices("state", AnalysisState, name="analysis_state_known"),
            models.UniqueConstraint(
                fields=["image"], condition=Q(state__in=OPEN), name="analysis_open_once_per_image"
            ),
            models.CheckConstraint(
                condition=Q(state=AnalysisState.RUNNING) ^ Q(lease__isnull=True),
                name="analysis_running_with_lease",
            ),
            models.CheckConstraint(
                condition=Q(state=AnalysisState.FAILED) ^ Q(failure=""),
                name="analysis_failed_with_reason",
            ),
            models.CheckConstraint(
                condition=Q(state=AnalysisState.SUCCEEDED) ^ Q(outcome=""),
                name="analysis_succeeded_with_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"analysis {str(self.pk)[:8]} of {self.image_id}"

    def get_label_display(self) -> str:
        """The leading class in words, '' when there is none."""
        return CLASS_NAMES.get(self.label, "")

    @property
    def bars(self) -> list[dict[str, Any]]:
        """The four probabilities for drawing, in the classes' own order."""
        return probability_bars(self.probabilities)


class FoundCells(models.Model):
    """The outlines of the cells that a run found: enough to draw its pictures at any time.

    A row of its own, so that who reads an analysis does not carry a kilobyte of outlines along.
    """

    analysis = models.OneToOneField(
        Analysis, on_delete=models.PROTECT, primary_key=True, related_name="found_cells"
    )
    outlines = models.BinaryField(help_text="As ml.outlines packs them.")

    class Meta:
        verbose_name_plural = "found cells"

    def __str__(self) -> str:
        return f"cells of {self.analysis_id}"


CLASS_NAMES: dict[str, str] = {
    Class.BENIGN: "Benign (haematogones)",
    Class.EARLY_PRE_B: "Early Pre-B ALL",
    Class.PRE_B: "Pre-B ALL",
    Class.PRO_B: "Pro-B ALL",
}


def probability_bars(probabilities: dict[str, float] | None) -> list[dict[str, Any]]:
    """Rows for a bar chart: class code, name, share 0..1 and whole per cent."""
    if not probabilities:
        return []
    return [
        {"code": code, "name": name, "share": share, "percent": round(100 * share)}
        for code, name in CLASS_NAMES.items()
        for share in [probabilities.get(code, 0.0)]
    ]
