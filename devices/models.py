"""Microscopes and the keys they sign in with."""

import uuid

from django.db import models
from django.utils import timezone

from hospital.accounts.models import Clinic
from hospital.base.states import Transitions, in_choices


class DeviceState(models.TextChoices):
    """Where a microscope stands in its life."""

    PENDING = "pending", "Pending (no key yet)"
    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"
    RETIRED = "retired", "Retired"


class Device(models.Model):
    """A WiFi microscope that belongs to one clinic."""

    TRANSITIONS: Transitions = {
        DeviceState.PENDING: frozenset({DeviceState.ACTIVE, DeviceState.RETIRED}),
        DeviceState.ACTIVE: frozenset({DeviceState.SUSPENDED, DeviceState.RETIRED}),
        DeviceState.SUSPENDED: frozenset({DeviceState.ACTIVE, DeviceState.RETIRED}),
        DeviceState.RETIRED: frozenset(),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="devices")
    name = models.CharField(max_length=80, help_text="What it is called at the bench.")
    make = models.CharField(max_length=80)
    model = models.CharField(max_length=80)
    serial = models.CharField("serial number", max_length=80)
    firmware = models.CharField(max_length=40, blank=True)
    state = models.CharField(
        max_length=10, choices=DeviceState.choices, default=DeviceState.PENDING, editable=False
    )
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    last_heartbeat_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_heartbeat = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        ordering = ["clinic__name", "name"]
        verbose_name = "microscope"
        permissions = [("issue_devicekey", "Can issue and revoke device keys")]
        constraints = [
            models.UniqueConstraint(fields=["make", "serial"], name="device_serial_once"),
            in_choices("state", DeviceState, name="device_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.make} {self.model})"


class DeviceKey(models.Model):
    """A microscope's credential. The secret itself is shown once and never stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="keys")
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the whole key, hexadecimal.")
    issued_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-issued_at"]
        verbose_name = "microscope key"

    def __str__(self) -> str:
        return f"{self.prefix}…"
