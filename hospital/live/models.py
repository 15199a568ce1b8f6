"""The event log: what a screen that was away reads to catch up."""

from django.db import models
from django.utils import timezone


class Event(models.Model):
    """Something a screen may want to refetch. Written in the transaction that caused it."""

    id = models.BigAutoField(primary_key=True)
    topic = models.CharField(max_length=64)
    kind = models.CharField(max_length=40)
    subject = models.UUIDField()
    version = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["topic", "id"])]

    def __str__(self) -> str:
        return f"{self.id} {self.kind} {self.subject} v{self.version}"

    def message(self) -> dict[str, object]:
        """What goes over the socket: all there is to an event."""
        return {
            "id": self.pk,
            "kind": self.kind,
            "subject": str(self.subject),
            "version": self.version,
        }
