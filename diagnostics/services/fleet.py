"""What pictures tell about the microscopes that took them, for the watch."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from devices.models import AlertKind, Device, DeviceState
from devices.services import alerts, watch
from devices.services.health import CALM
from diagnostics import fleet, trends, wording
from diagnostics.models import FieldImage, ImageState

# Fewer say nothing about a share; and what is older nothing about today.
FEWEST = 10
LATELY = timedelta(days=7)


def watch_fleet() -> dict[str, int]:
    """Look after every microscope once. Safe beside another that does the same."""
    return {
        "silence": watch.watch_silence(last_pictures),
        "rejections": watch_rejections(),
        "closed": watch.close_of_inactive(),
        "mailed": alerts.mail_alerts(),
        "pruned": watch.prune_heartbeats(),
    }


def last_pictures(devices: Collection[UUID]) -> dict[UUID, datetime]:
    """When the newest picture of each of `devices` came; those that have sent none are left out."""
    rows = fleet.with_last_picture(Device.objects.filter(pk__in=devices).order_by())
    return {pk: last for pk, last in rows.values_list("pk", "last") if last}


def watch_rejections() -> int:
    """Raise REJECTIONS where the quality gate turns many pictures away; clear it where it is over.

    Of each microscope the latest `ALERT_REJECTED_OF` pictures count that were judged in the last
    seven days, if they are ten or more. Returns how many alerts changed.
    """
    known = alerts.devices_with_open(AlertKind.REJECTIONS)
    return sum(_judge(device, is_open=device.pk in known) for device in _active())


def watch_drift() -> int:
    """Raise DRIFT where focus, stain or exposure have moved, clear it where they are back.

    Reads a month of every microscope's figures; once an hour is often enough. Returns how many
    alerts changed.
    """
    known = alerts.devices_with_open(AlertKind.DRIFT)
    changed = 0
    for device in _active():
        drifts = trends.drifts_of(device)
        if drifts and device.pk not in known:
            detail = " ".join(
                f"{wording.measure_in_words(name)[0]}: {wording.drift_in_words(name, drift)}"
                for name, drift in drifts.items()
            )
            changed += alerts.raise_alert(device=device, kind=AlertKind.DRIFT, detail=detail)
        elif not drifts and device.pk in known:
            changed += alerts.clear_alert(device=device, kind=AlertKind.DRIFT)
    return changed


def _active() -> QuerySet[Device]:
    return Device.objects.filter(state=DeviceState.ACTIVE).order_by("pk")


def _judge(device: Device, *, is_open: bool) -> bool:
    reasons = _latest_judgements(device)
    judged = reasons.total()
    rejected = judged - reasons.pop("", 0)
    share = rejected / judged if judged >= FEWEST else 0.0
    limit = settings.ALERT_REJECTED_SHARE
    if share > limit and not is_open:
        why = wording.rejections_in_words(reasons)
        detail = f"{rejected} of its latest {judged} pictures were rejected: {why}."
        return alerts.raise_alert(device=device, kind=AlertKind.REJECTIONS, detail=detail)
    if share <= CALM * limit and is_open:
        return alerts.clear_alert(device=device, kind=AlertKind.REJECTIONS)
    return False


def _latest_judgements(device: Device) -> Counter[str]:
    """Codes of why the latest pictures were rejected; '' stands for those that were not."""
    pictures = FieldImage.objects.filter(
        device=device,
        state__in=[ImageState.ACCEPTED, ImageState.REJECTED],
        received_at__gte=timezone.now() - LATELY,
    )
    latest = pictures.order_by("-received_at").values_list("rejection", flat=True)
    return Counter(latest[: settings.ALERT_REJECTED_OF])
