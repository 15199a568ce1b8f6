"""Which microscopes somebody may see."""

from typing import Any

from django.db.models import QuerySet

from devices.models import Alert, Device, DeviceKey, Enrolment
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
