"""How a microscope proves who it is: `Authorization: Bearer <key>`, and nothing else.

Where the registry says so, a client certificate as well, which a proxy in front has verified.
"""

import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from devices.certificates import fingerprint_of
from devices.models import Device, DeviceKey
from devices.services import keys
from hospital.base.proxies import word_of_proxy

_BEARER = re.compile(r"bearer +([\x21-\x7e]+) *", re.IGNORECASE)


class KeyAuthentication(BaseAuthentication):
    """Opens the device API to a live key; `request.auth` is its row.

    A browser's session means nothing here, so there is no CSRF to think of.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, DeviceKey]:
        """The key's row.

        Raises:
            devices.services.keys.Unauthenticated: no key, or none that is valid; or the
                microscope's client certificate is missing or another.
        """
        match = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if match is None:
            raise keys.Unauthenticated(
                "Send the microscope's key as 'Authorization: Bearer <key>'.", code="key_missing"
            )
        certificate = certificate_of(request)
        return AnonymousUser(), keys.authenticate(match.group(1), certificate=certificate)

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


def certificate_of(request: Request) -> str:
    """The fingerprint of the client certificate, as a trusted proxy passes it on; else nothing."""
    word = word_of_proxy(request._request, settings.CLIENT_CERTIFICATE_HEADER)
    try:
        return fingerprint_of(word) if word else ""
    except ValueError:
        return ""


def device_of(request: Request) -> Device:
    """The microscope that `request` comes from."""
    key = request.auth
    assert isinstance(key, DeviceKey)
    return key.device
