"""Who may come in, what they see, and what all answers of DICOMweb share."""

import json
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from devices.api.authentication import IsActiveDevice, KeyAuthentication, device_of
from devices.models import Device, DeviceKey
from diagnostics import selectors, sent
from diagnostics.models import DicomInstance
from hospital.accounts.api import StaffSession
from hospital.base.api import OnlyJson
from hospital.base.problems import Refusal

DICOM_JSON = "application/dicom+json"
# Whatever the bytes are, a browser runs nothing of them and keeps none of them.
_ARMOUR = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


class NotAcceptable(Refusal):
    """What there is cannot be given in a form that was asked for."""

    status = 406
    code = "not_acceptable"


class KeyOrSession(BaseAuthentication):
    """A microscope's key where one is sent, else the browser's session."""

    def authenticate(self, request: Request) -> Any:
        """As `KeyAuthentication` or as `StaffSession`."""
        by_key = "Authorization" in request.headers
        return (KeyAuthentication() if by_key else StaffSession()).authenticate(request)

    def authenticate_header(self, request: Request) -> str:
        """For WWW-Authenticate."""
        return 'Bearer realm="leukolens"'


class MayRead(BasePermission):
    """An active microscope, or whoever may look at pictures in some clinic."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Which pictures is asked of the selectors."""
        if isinstance(request.auth, DeviceKey):
            return IsActiveDevice().has_permission(request, view)
        return bool(request.user.has_perm("diagnostics.view_fieldimage"))


class MayStore(BasePermission):
    """An active microscope only: a person's session stores no pictures."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """As the device API."""
        return IsActiveDevice().has_permission(request, view)


@extend_schema(
    exclude=True
)  # described by DICOM PS3.18 and docs/dicom.md, in whose words it speaks
class DicomView(APIView):
    """An address of DICOMweb."""

    authentication_classes = [KeyOrSession]
    permission_classes = [MayRead]
    content_negotiation_class = OnlyJson

    def get_permissions(self) -> list[BasePermission]:
        """Reading and storing are different rights."""
        return [MayStore()] if self.request.method == "POST" else [MayRead()]


def reader_of(request: Request) -> Any:
    """The microscope, or the person."""
    return device_of(request) if isinstance(request.auth, DeviceKey) else request.user


def visible(request: Request) -> QuerySet[DicomInstance]:
    """The objects that whoever asks may see."""
    reader = reader_of(request)
    if isinstance(reader, Device):
        return sent.dicom_by(reader)
    return selectors.dicom_visible_to(reader)


def base_of(request: Request) -> str:
    """The service's own address, as the client reached it."""
    return request.build_absolute_uri("/api/dicom")


def accepted(request: Request) -> list[str]:
    """The media types in Accept, without parameters but for multipart's `type`, in their order.

    `multipart/related; type="image/jpeg"` is told as 'image/jpeg': every answer that can be a
    part is one.
    """
    told = []
    for entry in (request.headers.get("Accept") or "*/*").split(","):
        kind, *parameters = (word.strip() for word in entry.split(";"))
        named = dict(p.split("=", 1) for p in parameters if "=" in p)
        kind = kind.lower()
        told.append(named.get("type", "*/*").strip('"').lower() if "multipart" in kind else kind)
    return told


def asks_for(request: Request, media_type: str) -> bool:
    """Whether Accept allows `media_type`."""
    main = media_type.partition("/")[0]
    return bool({media_type, f"{main}/*", f"{main}/", "*/*"} & set(accepted(request)))


def answer(body: bytes, content_type: str, status: int = 200) -> HttpResponse:
    """An answer that holds a patient's data."""
    response = HttpResponse(body, status=status, content_type=content_type)
    for header, value in _ARMOUR.items():
        response[header] = value
    return response


def in_dicom_json(told: Any, status: int = 200) -> HttpResponse:
    """An answer in the DICOM JSON model."""
    return answer(json.dumps(told).encode(), DICOM_JSON, status)
