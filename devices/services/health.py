"""What a microscope says of itself."""

from typing import Any

from django.utils import timezone

from devices.models import Device


def take_heartbeat(*, device: Device, report: dict[str, Any]) -> None:
    """Note that a microscope is alive and what it says of itself."""
    changes: dict[str, Any] = {"last_heartbeat_at": timezone.now(), "last_heartbeat": report}
    if report.get("firmware"):
        changes["firmware"] = report["firmware"]
    Device.objects.filter(pk=device.pk).update(**changes)
