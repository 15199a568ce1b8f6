"""Names put to a report: who said what of it, when and why. Written once."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from diagnostics.models.report import Conclusion, DiagnosticReport, ReportStatus
from hospital.base.states import in_choices


class Deed(models.TextChoices):
    """What somebody put their name to."""

    SIGNED = "signed", "Signed"
    READ = "read", "Read first"
    CONFIRMED = "confirmed", "Confirmed as second reader"
    SENT_BACK = "sent_back", "Sent back"
    WITHDRAWN = "withdrawn", "Withdrawn"


R = ReportStatus
# What a report does not become without a reason.
CHANGED = (R.AMENDED, R.CORRECTED, R.ENTERED_IN_ERROR)


class Signature(models.Model):
    """One name under one report, with what was said. The database refuses to change it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.ForeignKey(
        DiagnosticReport, on_delete=models.PROTECT, related_name="signatures"
    )
    version = models.PositiveIntegerField(help_text="The report's, by this deed.")
    deed = models.CharField(max_length=10, choices=Deed.choices)
    becomes = models.CharField(
        max_length=20, choices=ReportStatus.choices, help_text="By it, or once it is confirmed."
    )
    conclusion = models.CharField(max_length=20, choices=Conclusion.choices, blank=True)
    comment = models.TextField(blank=True)
    words = models.JSONField(default=dict)
    reason = models.TextField(blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-version"]
        constraints = [
            in_choices("deed", Deed, name="signature_deed_known"),
            models.UniqueConstraint(fields=["report", "version"], name="signature_once_a_version"),
            models.CheckConstraint(
                condition=~Q(reason="") | ~(Q(deed=Deed.SENT_BACK) | Q(becomes__in=CHANGED)),
                name="signature_changes_with_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.in_words} by {self.by}"

    @property
    def in_words(self) -> str:
        """What was done, and to what it led where that is no matter of course."""
        deed = Deed(self.deed)
        if deed == Deed.SIGNED:
            first = self.becomes == ReportStatus.FINAL
            return deed.label if first else self.get_becomes_display()
        changes = self.becomes in CHANGED and deed != Deed.WITHDRAWN
        return f"{deed.label} ({self.get_becomes_display().lower()})" if changes else deed.label


class Rereading(models.Model):
    """Somebody had read what was changed since: they are to be told, until they have read again."""

    report = models.ForeignKey(
        DiagnosticReport, on_delete=models.PROTECT, related_name="rereadings"
    )
    version = models.PositiveIntegerField(help_text="What they are to read.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    in_portal = models.BooleanField(help_text="As one of the family; else as a colleague.")
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    read_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-version", "in_portal", "asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["report", "version", "user", "in_portal"], name="rereading_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["user", "in_portal"], condition=Q(read_at=None), name="rereading_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} is to read v{self.version}"
