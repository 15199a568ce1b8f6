"""How a microscope comes by its keys: the first for a one-time code, the next for the last."""

from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.api.authentication import certificate_of
from devices.api.door import DeviceView, read_json
from devices.models import DeviceKey
from devices.services import enrolment, keys
from hospital.base.api import OnlyJson
from hospital.base.openapi import problems
from hospital.base.proxies import sender_of

CODE_LIMIT = 4 * 1024


class CodeSerializer(serializers.Serializer[Any]):
    """What somebody typed at the microscope."""

    code = serializers.CharField(
        max_length=64, help_text="Case, blanks, hyphens, O for 0 and I for 1 do not matter."
    )
    serial = serializers.CharField(
        max_length=80,
        required=False,
        allow_blank=True,
        help_text="The microscope's own serial number; must match if it is given.",
    )


class EnrolledDevice(serializers.Serializer[Any]):
    """Which microscope of the registry this one is from now on."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    clinic = serializers.CharField(source="clinic.name", help_text="The clinic's name.")


class EnrolAnswer(serializers.Serializer[Any]):
    """The microscope's key, in clear this once, and what it needs to begin."""

    key = serializers.CharField()
    device = EnrolledDevice()
    server_time = serializers.DateTimeField()
    interval_seconds = serializers.IntegerField(help_text="Send a heartbeat this often.")


class RenewAnswer(serializers.Serializer[Any]):
    """The microscope's next key, in clear this once."""

    key = serializers.CharField()
    old_key_ends = serializers.DateTimeField(
        help_text="At the latest; it ends at once when the new key is first used."
    )


class EnrolView(APIView):
    """A microscope without a key brings its code. Open to anybody: the code is the proof."""

    authentication_classes = []
    permission_classes = [AllowAny]
    content_negotiation_class = OnlyJson

    @extend_schema(
        operation_id="device_enrol",
        tags=["device"],
        auth=[],
        request=CodeSerializer,
        responses={201: EnrolAnswer, **problems(400, 401, 403, 409, 413, 429)},
        examples=[
            OpenApiExample(
                "From the printed sheet",
                value={"code": "K7QM-4T9X-2HWD", "serial": "W1-0042"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Exchange a one-time code for this microscope's only key."""
        given = CodeSerializer(data=read_json(request, limit=CODE_LIMIT))
        given.is_valid(raise_exception=True)
        device, key = enrolment.exchange(
            code=given.validated_data["code"],
            serial=given.validated_data.get("serial", ""),
            certificate=certificate_of(request),
            address=sender_of(request._request),
        )
        told = {
            "key": key,
            "device": device,
            "server_time": timezone.now(),
            "interval_seconds": settings.DEVICE_HEARTBEAT_SECONDS,
        }
        return shown_once(EnrolAnswer(told).data)


class KeyView(DeviceView):
    """A microscope at work fetches itself another key."""

    @extend_schema(
        operation_id="device_renew_key",
        tags=["device"],
        request=None,
        responses={201: RenewAnswer, **problems(401, 403)},
    )
    def post(self, request: Request) -> Response:
        """A new key in place of the one that this request came with."""
        old = request.auth
        assert isinstance(old, DeviceKey)
        key, ends = keys.renew_key(key=old)
        return shown_once(RenewAnswer({"key": key, "old_key_ends": ends}).data)


def shown_once(told: Any) -> Response:
    """201 with something secret, which nobody on the way may keep."""
    return Response(told, status=201, headers={"Cache-Control": "no-store"})
