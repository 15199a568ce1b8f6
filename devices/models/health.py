"""How a microscope is: what it says of itself, and what somebody should look after."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from devices.models.device import Device
from hospital.base.states import in_choices


class Heartbeat(models.Model):
    """What a microscope said of itself at one moment. What it did not say is null."""

    id = models.BigAutoField(primary_key=True)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="heartbeats")
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    firmware = models.CharField(max_length=40, blank=True)
    uptime_seconds = models.PositiveBigIntegerField(null=True)
    queue_length = models.PositiveIntegerField(null=True, help_text="Pictures not yet delivered.")
    oldest_unsent_seconds = models.PositiveBigIntegerField(null=True)
    refused = models.PositiveIntegerField(null=True, help_text="Pictures waiting for a person.")
    clock_offset_seconds = models.FloatField(
        null=True, help_text="Its clock minus ours: positive when it is ahead."
    )
    free_bytes = models.PositiveBigIntegerField(null=True)
    temperature_celsius = models.FloatField(null=True)
    wifi_dbm = models.SmallIntegerField(null=True)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-received_at"]
        indexes = [models.Index(fields=["device", "-received_at"], name="heartbeat_of_device")]

    def __str__(self) -> str:
        return f"{self.device_id} {self.received_at:%Y-%m-%d %H:%M}"


class AlertKind(models.TextChoices):
    """What a device manager is told of."""

    SILENT = "silent", "Silent"
    CONTROL_FAILED = "control_failed", "Control slide failed"
    CONTROL_OVERDUE = "control_overdue", "Control slide overdue"
    BACKLOG = "backlog", "Pictures pile up"
    DISK = "disk", "Disk nearly full"
    CLOCK = "clock", "Clock is off"
    FIRMWARE = "firmware", "Firmware too old"
    REJECTIONS = "rejections", "Many pictures rejected"
    DRIFT = "drift", "Pictures drift"


class Alert(models.Model):
    """Something about a microscope that somebody should look after, until it is over."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=20, choices=AlertKind.choices)
    raised_at = models.DateTimeField(default=timezone.now, editable=False)
    cleared_at = models.DateTimeField(null=True, editable=False)
    detail = models.CharField(max_length=200, blank=True)
    mailed_at = models.DateTimeField(
        null=True, editable=False, help_text="When the device managers were written to."
    )
    mailing_until = models.DateTimeField(
        null=True, editable=False, help_text="Somebody is at it, unless they died."
    )

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            in_choices("kind", AlertKind, name="alert_kind_known"),
            models.UniqueConstraint(
                fields=["device", "kind"], condition=Q(cleared_at=None), name="alert_open_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.device_id}"
