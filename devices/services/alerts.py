"""Alerts: something about a microscope that somebody should look after, until it is over.

The row is the alert. Screens are told in the transaction that opens or closes it; mails are sent
from the rows by the watch (`mail_alerts`), so that no heartbeat waits for a mail server and no mail
is lost with a process (`hospital.base.mailing`).
"""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from devices.models import Alert, AlertKind, Device
from hospital.accounts.models import Clinic
from hospital.accounts.roles import Role
from hospital.accounts.selectors import fleet_topic, staff_mails
from hospital.audit.services import Actor, record
from hospital.base import mailing
from hospital.live.services import publish

WATCH = Actor.system("watch")
DUE = {"mailed_at": None, "cleared_at": None}


@transaction.atomic
def raise_alert(*, device: Device, kind: AlertKind, detail: str = "") -> bool:
    """Open an alert of `kind`; True when there was none. One that is open stays as it is.

    Args:
        detail: a sentence for the device manager, at most 200 characters; nothing of a patient.
    """
    alert, new = Alert.objects.get_or_create(
        device=device, kind=kind, cleared_at=None, defaults={"detail": detail[:200]}
    )
    if new:
        _tell(alert, device, "alert.raised")
    return new


@transaction.atomic
def clear_alert(*, device: Device, kind: AlertKind) -> bool:
    """Close the open alert of `kind`; True when there was one."""
    alert = Alert.objects.filter(device=device, kind=kind, cleared_at=None).first()
    if alert is None:
        return False
    # Of two who clear it at once, one finds it closed.
    if not Alert.objects.filter(pk=alert.pk, cleared_at=None).update(cleared_at=timezone.now()):
        return False
    _tell(alert, device, "alert.cleared")
    return True


def devices_with_open(kind: AlertKind) -> set[UUID]:
    """The microscopes about which an alert of `kind` is open."""
    rows = Alert.objects.filter(kind=kind, cleared_at=None).order_by()
    return set(rows.values_list("device_id", flat=True))


def _tell(alert: Alert, device: Device, action: str) -> None:
    record(
        WATCH,
        action,
        alert,
        clinic_id=device.clinic_id,
        device=str(device.pk),
        kind=alert.kind,
    )
    publish_change(device)


def publish_change(device: Device) -> None:
    """Tell the open screens of the clinic's fleet to look at `device` again."""
    topics = [fleet_topic(device.clinic_id)]
    publish("device.changed", device.pk, version=device.revision, topics=topics)


# --- mail -----------------------------------------------------------------------------------------


def mail_alerts() -> int:
    """Mail what was raised and is still open to the clinics' device managers.

    Each alert is mailed once, whoever else sweeps at the same time; those of one clinic that come
    together go in one mail. Returns how many alerts were mailed. A mail server that is away leaves
    them for the next time, for a day.
    """
    unmailed = Alert.objects.filter(**DUE, raised_at__gte=timezone.now() - mailing.NEWS)
    rows = unmailed.select_related("device__clinic").order_by("device__clinic_id", "raised_at")
    mailed = 0
    for clinic, alerts in groupby(rows, key=lambda alert: alert.device.clinic):
        mailed += _mail(clinic, mailing.claim(list(alerts), **DUE))
    return mailed


def _mail(clinic: Clinic, alerts: Sequence[Alert]) -> int:
    if not alerts:
        return 0
    more = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
    subject = f"[{clinic.name}] {alerts[0].device.name}: {alerts[0].get_kind_display()}{more}"
    letters = dict.fromkeys(staff_mails(clinic, Role.DEVICE_MANAGER), (subject, _text(alerts)))
    ours = Alert.objects.filter(pk__in=[alert.pk for alert in alerts], mailed_at=None)
    return len(alerts) if mailing.send(ours, letters, mailed_at=timezone.now()) else 0


def _text(alerts: Sequence[Alert]) -> str:
    lines: list[str] = []
    for alert in alerts:
        device = alert.device
        place = f", {device.place}" if device.place else ""
        at = timezone.localtime(alert.raised_at)
        lines += [f"{device}{place}", f"{alert.get_kind_display()} since {at:%Y-%m-%d %H:%M %Z}"]
        lines += [alert.detail] if alert.detail else []
        lines += [f"{settings.PUBLIC_URL}/fleet/{device.pk}/"] if settings.PUBLIC_URL else []
        lines += [""]
    return "\n".join([*lines, "The alert ends by itself when its reason does."])
