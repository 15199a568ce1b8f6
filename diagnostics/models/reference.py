"""Cells of signed cases, measured, for readers to compare others with."""

import uuid

from django.db import models

from diagnostics.models.analysis import Analysis
from diagnostics.models.report import DiagnosticReport
from hospital.accounts.models import Clinic


class ReferenceField(models.Model):
    """The measured cells of one field of a signed report; of few reports, the newest.

    What the report concluded is asked of the report itself: it may be amended or withdrawn.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.OneToOneField(
        DiagnosticReport, on_delete=models.PROTECT, related_name="reference"
    )
    analysis = models.ForeignKey(
        Analysis, on_delete=models.PROTECT, null=True, related_name="+", help_text="Of the field."
    )
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    signed_at = models.DateTimeField()
    measures = models.BinaryField(
        help_text="Of `ml.likeness`, 16-bit floats, a row a cell; empty where none was to be had."
    )

    class Meta:
        indexes = [models.Index(fields=["clinic", "-signed_at"], name="reference_newest")]

    def __str__(self) -> str:
        return f"cells of {self.report_id}"
