"""How a microscope proves who it is: its keys, and the one-time code that gives it the first."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from devices.models.device import Device


class DeviceKeys(models.QuerySet["DeviceKey"]):
    """Keys, and those of them that open the door."""

    def live(self) -> "DeviceKeys":
        """Neither revoked nor ended."""
        return self.filter(revoked_at=None).exclude(expires_at__lte=timezone.now())


class DeviceKey(models.Model):
    """A microscope's credential. The secret itself is shown once and never stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="keys")
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the whole key, hexadecimal.")
    issued_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(
        null=True, editable=False, help_text="An old key's end, while its successor is on its way."
    )
    replaces = models.OneToOneField(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="successor",
        help_text="The key that ends when this one is first used.",
    )

    objects = DeviceKeys.as_manager()

    class Meta:
        ordering = ["-issued_at"]
        verbose_name = "microscope key"

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @property
    def live(self) -> bool:
        """Whether it opens the door just now."""
        return self.standing in {"live", "ending"}

    @property
    def standing(self) -> str:
        """'live', 'ending' (live until `expires_at`), 'ended' or 'revoked'."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at is None:
            return "live"
        return "ending" if self.expires_at > timezone.now() else "ended"


class Enrolment(models.Model):
    """A one-time code that a microscope exchanges for its own key. Kept as a digest only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="enrolments")
    lookup = models.CharField(
        max_length=8, unique=True, help_text="The code's first part, which finds the row."
    )
    digest = models.CharField(
        max_length=64, help_text="HMAC-SHA-256 of the whole code, hexadecimal."
    )
    issued_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    tries_left = models.PositiveSmallIntegerField(default=10)
    used_at = models.DateTimeField(null=True, editable=False)
    voided_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-issued_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["device"],
                condition=Q(used_at=None, voided_at=None),
                name="enrolment_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lookup}…"

    @property
    def standing(self) -> str:
        """'open', 'used', 'void' or 'expired'."""
        if self.used_at:
            return "used"
        if self.voided_at:
            return "void"
        return "open" if self.expires_at > timezone.now() else "expired"
