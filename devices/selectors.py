"""Which microscopes somebody may see."""

from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery

from devices.models import Alert, Device, DeviceKey, Enrolment
from hospital.accounts.models import Membership
from hospital.accounts.roles import GRANTS
from hospital.accounts.selectors import clinics_where


def devices_visible_to(user: Any, permission: str = "devices.view_device") -> QuerySet[Device]:
    """The microscopes of the clinics where `user` holds `permission`."""
    clinics = clinics_where(user, permission)
    return Device.objects.filter(clinic__in=clinics).select_related("clinic")


def keys_visible_to(user: Any) -> QuerySet[DeviceKey]:
    """The keys (never their secrets) of microscopes `user` manages."""
    clinics = clinics_where(user, "devices.view_devicekey")
    return DeviceKey.objects.filter(device__clinic__in=clinics).select_related("device")


def codes_visible_to(user: Any) -> QuerySet[Enrolment]:
    """The one-time codes (never their secrets) of microscopes `user` manages, newest first."""
    clinics = clinics_where(user, "devices.view_devicekey")
    return Enrolment.objects.filter(device__clinic__in=clinics).select_related("device")


def alerts_visible_to(user: Any) -> QuerySet[Alert]:
    """The alerts of microscopes `user` may see, open or over, the newest first."""
    clinics = clinics_where(user, "devices.view_device")
    return Alert.objects.filter(device__clinic__in=clinics)


def permissions_and_alerts_of(user: Any) -> tuple[frozenset[str], int]:
    """What `user` may do somewhere, and how many alerts are open where they may see microscopes.

    Together, because every page's header asks for both: one query.
    """
    still_open = Alert.objects.filter(cleared_at=None).order_by()
    if user.is_superuser:
        return frozenset().union(*GRANTS.values()), still_open.count()
    of_clinic = still_open.filter(device__clinic=OuterRef("clinic")).values("device__clinic")
    number = Subquery(of_clinic.annotate(n=Count("pk")).values("n"))
    rows = Membership.objects.filter(user=user).order_by()
    held = list(rows.values_list("role", "clinic", number))
    alerts = {clinic: n for role, clinic, n in held if "devices.view_device" in GRANTS[role]}
    granted = frozenset().union(*(GRANTS[role] for role, _, _ in held))
    return granted, sum(n or 0 for n in alerts.values())
