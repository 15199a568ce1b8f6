"""How a microscope proves who it is: `Authorization: Bearer <key>`, and nothing else."""

import re
from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from devices.models import Device, DeviceKey
from devices.services import keys

_BEARER = re.compile(r"bearer +([\x21-\x7e]+) *", re.IGNORECASE)


class KeyAuthentication(BaseAuthentication):
    """Opens the device API to a live key; `request.auth` is its row.

    A browser's session means nothing here, so there is no CSRF to think of.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, DeviceKey]:
        """The key's row.

        Raises:
            devices.services.keys.Unauthenticated: no key, or none that is valid.
        """
        match = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if match is None:
            raise keys.Unauthenticated(
                "Send the microscope's key as 'Authorization: Bearer <key>'.", code="key_missing"
            )
        return AnonymousUser(), keys.authenticate(match.group(1))

    def authenticate_header(self, request: Request) -> str:
        """For WWW-Authenticate."""
        return 'Bearer realm="leukolens"'


class IsActiveDevice(BasePermission):
    """Lets through a microscope that is in service; the others learn why not."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """True, or a refusal that names the microscope's state."""
        if not isinstance(request.auth, DeviceKey):
            return False
        keys.ensure_active(request.auth.device)
        return True


def device_of(request: Request) -> Device:
    """The microscope that `request` comes from."""
    key = request.auth
    assert isinstance(key, DeviceKey)
    return key.device
