"""The gate: whether what a microscope sends counts at once, by its last control slide.

A microscope that is asked for control slides (`Device.control_hours`) is in control while the
newest one that was decided has passed, and within the hours. Otherwise its pictures are held.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from devices.models import AlertKind, Device, DeviceState
from devices.services.alerts import clear_alert, raise_alert
from diagnostics.models import ControlRun, ControlState, FieldImage, HoldReason
from diagnostics.services import holds

DECIDED = (ControlState.PASSED, ControlState.FAILED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a microscope stands with its control slides.

    Attributes:
        reason: why its pictures are held, '' when it is in control or none is asked for.
        last_at: when the newest decided control picture arrived, if ever.
        due_at: when the next one is due; None when none is asked for or none ever passed.
    """

    reason: str
    last_at: datetime | None
    due_at: datetime | None


def standings_of(devices: QuerySet[Device]) -> dict[UUID, Standing]:
    """How each of `devices` stands now, in one question to the database."""
    newest = ControlRun.objects.filter(device=OuterRef("pk"), state__in=DECIDED).order_by("-at")
    rows = devices.order_by().values_list(
        "pk",
        "control_hours",
        Subquery(newest.values("state")[:1]),
        Subquery(newest.values("at")[:1]),
    )
    return {pk: _standing(hours, state, at) for pk, hours, state, at in rows}


def standing_of(device: Device) -> Standing:
    """How one microscope stands now."""
    return standings_of(Device.objects.filter(pk=device.pk))[device.pk]


def reasons_for(devices: Iterable[Device]) -> dict[UUID, HoldReason]:
    """Why pictures that come from `devices` just now are held; who is in control is left out.

    Asks the database only about those that are asked for control slides.
    """
    gated = {device.pk for device in devices if device.control_hours}
    if not gated:
        return {}
    standings = standings_of(Device.objects.filter(pk__in=gated))
    return {pk: HoldReason(s.reason) for pk, s in standings.items() if s.reason}


def follow(device: Device) -> list[FieldImage]:
    """Bring alerts and holds of `device` in line with its newest decided control.

    Belongs inside the transaction that decided it.

    Returns:
        Pictures that are held no longer; their reports are for the caller to rebuild.
    """
    newest = ControlRun.objects.filter(device=device, state__in=DECIDED).order_by("-at").first()
    if newest and newest.state == ControlState.FAILED:
        detail = newest.reasons[0] if newest.reasons else ""
        raise_alert(device=device, kind=AlertKind.CONTROL_FAILED, detail=detail)
        clear_alert(device=device, kind=AlertKind.CONTROL_OVERDUE)
        return []
    clear_alert(device=device, kind=AlertKind.CONTROL_FAILED)
    if standing_of(device).reason:
        return []
    clear_alert(device=device, kind=AlertKind.CONTROL_OVERDUE)
    return holds.lift_overdue(device)


def sweep() -> dict[str, int]:
    """Find what nobody told of: a control that became overdue, holds that a pass missed.

    A microscope may send nothing at all; and a picture may have been on its way in, held as
    overdue, at the moment when the control passed.

    Returns how many alerts were raised and cleared, and pictures released.
    """
    counts = {"overdue": 0, "in_control": 0, "released": 0}
    kind = AlertKind.CONTROL_OVERDUE
    asked = Device.objects.filter(control_hours__isnull=False, state=DeviceState.ACTIVE)
    standings = standings_of(asked)
    overdue = {pk for pk, s in standings.items() if s.reason == HoldReason.CONTROL_OVERDUE}
    told = set(
        Device.objects.filter(alerts__kind=kind, alerts__cleared_at=None).values_list(
            "pk", flat=True
        )
    )
    waiting = set(holds.devices_with_overdue_holds())
    changed = (overdue ^ told) | (waiting - overdue)
    for device in Device.objects.filter(pk__in=changed):
        if device.pk in overdue:
            detail = f"None has passed within {device.control_hours} hours."
            counts["overdue"] += raise_alert(device=device, kind=kind, detail=detail)
            continue
        counts["in_control"] += clear_alert(device=device, kind=kind)
        standing = standings.get(device.pk)
        if device.pk in waiting and standing and not standing.reason:
            counts["released"] += holds.release_overdue(device)
    return counts


def _standing(hours: int | None, state: str | None, at: datetime | None) -> Standing:
    if not hours:
        return Standing("", at, None)
    if state == ControlState.FAILED:
        return Standing(HoldReason.CONTROL_FAILED, at, None)
    due = at + timedelta(hours=hours) if at else None
    late = due is None or due < timezone.now()
    return Standing(HoldReason.CONTROL_OVERDUE if late else "", at, due)
