"""The watch: looks after every microscope now and then, whatever the microscopes do themselves.

May run twice at once: an alert is opened once and closed once whoever finds it due, and rows that
another watch has deleted are gone all the same.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from devices.models import Alert, AlertKind, Device, DeviceState, Heartbeat
from devices.services.alerts import clear_alert, devices_with_open, raise_alert
from devices.services.configuration import configuration_of
from devices.services.health import in_words

# Old heartbeats go in small bites, so that no heartbeat waits behind a great deletion.
BITE = 500

# The newest picture of each of some microscopes; who has sent none is left out.
LastPictures = Callable[[Collection[UUID]], Mapping[UUID, datetime]]


def watch_silence(last_pictures: LastPictures) -> int:
    """Raise SILENT for those who miss their heartbeats, clear it for those who are back.

    A picture is as good a sign of life as a heartbeat. A microscope that has never sent a heartbeat
    (a DICOM modality, a script) cannot miss one. Returns how many alerts changed.

    Args:
        last_pictures: asked only about those who seem silent. Given from above: this app knows
            nothing of pictures.
    """
    now = timezone.now()
    active = Device.objects.filter(state=DeviceState.ACTIVE, last_heartbeat_at__isnull=False)
    devices = list(active.order_by("pk"))
    quiet = {device.pk for device in devices if _is_silent(device, now, None)}
    pictures = last_pictures(quiet) if quiet else {}
    known = devices_with_open(AlertKind.SILENT)
    changed = 0
    for device in devices:
        silent = device.pk in quiet and _is_silent(device, now, pictures.get(device.pk))
        if silent and device.pk not in known:
            detail = f"No sign of life for {in_words(_patience(device).total_seconds())}."
            changed += raise_alert(device=device, kind=AlertKind.SILENT, detail=detail)
        elif not silent and device.pk in known:
            changed += clear_alert(device=device, kind=AlertKind.SILENT)
    return changed


def _is_silent(device: Device, now: datetime, picture: datetime | None) -> bool:
    heard = [at for at in (device.last_heartbeat_at, picture) if at]
    return now - max(heard) > _patience(device)


def _patience(device: Device) -> timedelta:
    # As it was told: of a shorter interval it hears only with its next heartbeat.
    seconds = device.told_seconds or configuration_of(device).heartbeat_seconds
    return timedelta(seconds=settings.ALERT_MISSED_HEARTBEATS * seconds)


def close_of_inactive() -> int:
    """Clear the alerts of microscopes that are out of service; returns how many."""
    rows = Alert.objects.filter(cleared_at=None).exclude(device__state=DeviceState.ACTIVE)
    return sum(
        clear_alert(device=alert.device, kind=AlertKind(alert.kind))
        for alert in rows.select_related("device").order_by("pk")
    )


def prune_heartbeats() -> int:
    """Delete some of the heartbeats older than HEARTBEAT_DAYS; returns how many."""
    # From the front of the table, where the oldest are, so that a look that finds none is short.
    oldest = Heartbeat.objects.order_by("pk").values_list("pk", "received_at")[:BITE]
    limit = timezone.now() - timedelta(days=settings.HEARTBEAT_DAYS)
    past = [pk for pk, received_at in oldest if received_at < limit]
    return Heartbeat.objects.filter(pk__in=past).delete()[0] if past else 0
