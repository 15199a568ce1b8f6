"""The event log: what a screen that was away reads to catch up."""

from django.db import models
from django.db.models.functions import Now


class Event(models.Model):
    """Something a screen may want to refetch. Written in the transaction that caused it."""

    id = models.BigAutoField(primary_key=True)
    topic = models.CharField(max_length=64)
    kind = models.CharField(max_length=40)
    subject = models.UUIDField()
    version = models.PositiveIntegerField()
    # By the database's clock: a worker whose own is wrong is heard like any other.
    at = models.DateTimeField(db_default=Now(), editable=False)
    trace = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="The request or picture that caused it: see hospital.base.logs.",
    )

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["topic", "id"])]

    def __str__(self) -> str:
        return f"{self.id} {self.kind} {self.subject} v{self.version}"

    def message(self) -> dict[str, object]:
        """What goes over the socket: all that a screen is told of an event."""
        return {
            "id": self.pk,
            "kind": self.kind,
            "subject": str(self.subject),
            "version": self.version,
        }

    def wire(self) -> dict[str, object]:
        """What processes tell each other: the message, and by what it can be followed."""
        return {"message": self.message(), "trace": self.trace, "at": self.at.timestamp()}
