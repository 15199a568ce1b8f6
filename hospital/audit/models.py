"""One row per deed. Plain ids, no foreign keys: the trail outlives what it speaks of."""

from django.db import models
from django.utils import timezone


class ActorKind(models.TextChoices):
    """What sort of hand did it."""

    USER = "user", "Person"
    DEVICE = "device", "Microscope"
    SYSTEM = "system", "System"


class Entry(models.Model):
    """Somebody did something to something. A trigger refuses UPDATE and DELETE."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now, editable=False)
    actor_kind = models.CharField(max_length=10, choices=ActorKind.choices)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_name = models.CharField(max_length=200)
    action = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=64)
    clinic_id = models.UUIDField(null=True)
    patient_id = models.UUIDField(null=True)
    detail = models.JSONField(default=dict)

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit trail"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["subject_type", "subject_id"]),
            models.Index(fields=["patient_id", "-id"]),
            models.Index(fields=["clinic_id", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_name}: {self.action}"
