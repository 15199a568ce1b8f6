"""One row per deed, and one for its seal. Plain ids: the trail outlives what it speaks of."""

from django.db import models
from django.utils import timezone


class ActorKind(models.TextChoices):
    """What sort of hand did it."""

    USER = "user", "Person"
    DEVICE = "device", "Microscope"
    SYSTEM = "system", "System"


class Entry(models.Model):
    """Somebody did something to something. Triggers refuse DELETE, and every UPDATE but erasing.

    Erasing (`hospital.audit.erasure`) empties what may tell of a person, `actor_name` and `detail`,
    of an entry that is sealed; the rest stays.
    """

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
            models.Index(fields=["actor_id", "-at"], name="audit_entry_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_name}: {self.action}"


class Seal(models.Model):
    """An entry's place in the chain. A trigger refuses DELETE, and every UPDATE but of the salt.

    `digest` covers the entry, its place and the digest before it; of what may be erased it covers
    only `told`, which without the salt tells nothing. See `hospital.audit.chain`.
    """

    entry_id = models.BigIntegerField(primary_key=True)
    position = models.BigIntegerField(unique=True)
    at = models.DateTimeField()
    salt = models.CharField(max_length=32, help_text="Empty: the entry has been erased.")
    told = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.position}: {self.digest[:16]}"
