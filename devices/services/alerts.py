"""Telling device managers that a microscope needs somebody, until it is over."""

from django.db import transaction
from django.utils import timezone

from devices.models import Alert, AlertKind, Device
from hospital.audit.services import Actor, record

WATCH = Actor.system("alerts")


@transaction.atomic
def raise_alert(*, device: Device, kind: AlertKind, detail: str = "") -> bool:
    """Open an alert unless it is open already; returns whether something changed."""
    alert = Alert(device=device, kind=kind, detail=detail[:200])
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    if not Alert.objects.filter(pk=alert.pk).exists():
        return False
    record(WATCH, "alert.raised", alert, clinic_id=device.clinic_id, kind=kind.value)
    return True


@transaction.atomic
def clear_alert(*, device: Device, kind: AlertKind) -> bool:
    """Close an open alert; returns whether there was one."""
    alert = Alert.objects.filter(device=device, kind=kind, cleared_at=None).first()
    if alert is None or not Alert.objects.filter(pk=alert.pk, cleared_at=None).update(
        cleared_at=timezone.now()
    ):
        return False
    record(WATCH, "alert.cleared", alert, clinic_id=device.clinic_id, kind=kind.value)
    return True
