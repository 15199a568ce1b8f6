"""Who of a family has read which version of a report, so that an amendment reaches its readers."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from diagnostics.models.report import DiagnosticReport


class Receipt(models.Model):
    """A portal account was shown this version of a report; kept from its first reading."""

    report = models.ForeignKey(DiagnosticReport, on_delete=models.PROTECT, related_name="receipts")
    version = models.PositiveIntegerField(help_text="The signed one; before that, as it stood.")
    signed = models.BooleanField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    read_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["read_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["report", "version", "user"], name="receipt_once_per_version"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} read v{self.version}"
