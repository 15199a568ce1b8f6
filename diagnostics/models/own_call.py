"""What a reader says of a case before the model's word is shown to them."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from diagnostics.models.analysis import CLASS_NAMES
from diagnostics.models.report import Certainty, Conclusion, DiagnosticReport
from hospital.base.states import in_choices


class OwnCall(models.Model):
    """One reader's own call on one report, and what the model said then, unseen. Never changed.

    The database refuses to change or delete it: see `hospital.base.write_once`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.ForeignKey(DiagnosticReport, on_delete=models.PROTECT, related_name="own_calls")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="own_calls"
    )
    at = models.DateTimeField(default=timezone.now, editable=False)
    call = models.CharField(max_length=20, choices=Conclusion.choices)
    version = models.PositiveIntegerField(help_text="Of the report when it was made.")
    # What it was before: the model's word of that moment.
    package = models.CharField(
        max_length=200, blank=True, help_text="Name and start of the digest; several, joined."
    )
    impression = models.CharField(max_length=20, blank=True)
    certainty = models.CharField(max_length=20, choices=Certainty.choices, blank=True)

    class Meta:
        ordering = ["at"]
        indexes = [models.Index(fields=["by", "at"], name="own_calls_of_reader")]
        constraints = [
            models.UniqueConstraint(fields=["report", "by"], name="own_call_once_by_each"),
            in_choices("call", Conclusion, name="own_call_known"),
        ]

    def __str__(self) -> str:
        return f"{self.by_id} on {self.report_id}: {self.call}"

    @property
    def models_word(self) -> str:
        """What the model said, as a `Conclusion`: where it was not sure, that it cannot tell."""
        if not self.impression or self.certainty == Certainty.UNCERTAIN:
            return Conclusion.UNDETERMINED
        return self.impression

    @property
    def agrees(self) -> bool:
        """Whether reader and model said the same."""
        return self.call == self.models_word

    def get_impression_display(self) -> str:
        """The model's leading class in words, '' when there was none."""
        return CLASS_NAMES.get(self.impression, "")
