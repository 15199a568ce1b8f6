"""What a microscope says of itself, and what of it somebody should look after."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from devices.models import Alert, AlertKind, Device, Heartbeat
from devices.services import firmware
from devices.services.alerts import clear_alert, raise_alert
from devices.services.configuration import Configuration, settle_revision

_COLUMNS = (
    "firmware",
    "uptime_seconds",
    "queue_length",
    "oldest_unsent_seconds",
    "refused",
    "free_bytes",
    "temperature_celsius",
    "wifi_dbm",
)
ERROR_LENGTH = Heartbeat._meta.get_field("last_error").max_length
# An alert ends only when the figure is well on the good side again, else it would come and go.
CALM = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """What a heartbeat says about one alert: `over` raises it, `calm` clears it, else it stays."""

    kind: AlertKind
    over: bool
    calm: bool
    detail: str = ""


@transaction.atomic
def take_heartbeat(*, device: Device, report: dict[str, Any]) -> Configuration:
    """Keep what a microscope says of itself, raise and clear its alerts, and say what it is told.

    Args:
        device: its `revision` is brought up to date.
        report: checked fields of the heartbeat, by name; all optional. `clock` is a datetime.
    """
    now = timezone.now()
    offset = (report["clock"] - now).total_seconds() if "clock" in report else None
    Heartbeat.objects.create(
        device=device,
        received_at=now,
        clock_offset_seconds=offset,
        last_error=report.get("last_error", "")[:ERROR_LENGTH],
        **{name: report[name] for name in _COLUMNS if name in report},
    )
    device.last_heartbeat_at, device.last_heartbeat = now, _as_json(report)
    device.firmware = report.get("firmware") or device.firmware
    configuration = settle_revision(device)
    device.told_seconds = configuration.heartbeat_seconds
    device.save(update_fields=["last_heartbeat_at", "last_heartbeat", "firmware", "told_seconds"])
    _look_after(device, list(_findings(device, report, offset, configuration)))
    return configuration


def _as_json(report: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in report.items()
    }


def _look_after(device: Device, findings: list[Finding]) -> None:
    """Raise and clear; what is as it was costs nothing more than this one look."""
    rows = Alert.objects.filter(device=device, cleared_at=None).order_by()
    open_kinds = set(rows.values_list("kind", flat=True))
    for finding in findings:
        if finding.over and finding.kind not in open_kinds:
            raise_alert(device=device, kind=finding.kind, detail=finding.detail)
        elif finding.calm and finding.kind in open_kinds:
            clear_alert(device=device, kind=finding.kind)


def _findings(
    device: Device, report: dict[str, Any], offset: float | None, told: Configuration
) -> Iterator[Finding]:
    """What the heartbeat says about each alert; what it is silent about stays as it is."""
    yield Finding(AlertKind.SILENT, over=False, calm=True)
    if offset is not None:
        limit, off = settings.ALERT_CLOCK_SECONDS, abs(offset)
        side = "ahead" if offset > 0 else "behind"
        detail = f"Its clock is {in_words(off)} {side}. Have it set its time by the network."
        yield Finding(AlertKind.CLOCK, off > limit, off <= CALM * limit, detail)
    free = report.get("free_bytes")
    if free is not None:
        least = settings.ALERT_FREE_BYTES
        detail = f"{free / 1e9:.1f} GB left. Let it deliver its pictures, or make room."
        yield Finding(AlertKind.DISK, free < least, free >= least / CALM, detail)
    waiting = report.get("queue_length")
    oldest = 0 if waiting == 0 else report.get("oldest_unsent_seconds")
    if oldest is not None:
        limit = settings.ALERT_BACKLOG_SECONDS
        detail = f"The oldest of {waiting or 'its'} pictures has waited for {in_words(oldest)}."
        yield Finding(AlertKind.BACKLOG, oldest > limit, oldest <= CALM * limit, detail)
    old = firmware.is_below(device.firmware, told.minimum_firmware)
    detail = f"It has {device.firmware}; at least {told.minimum_firmware} is wanted."
    yield Finding(AlertKind.FIRMWARE, over=old, calm=not old, detail=detail)


def in_words(seconds: float) -> str:
    """A span of time, rounded, for a sentence: '3 minutes', '26 hours'."""
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
