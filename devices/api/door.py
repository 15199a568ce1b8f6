"""What every address of the device API shares, and the heartbeat."""

import json
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.api.authentication import IsActiveDevice, KeyAuthentication, device_of
from devices.models import DeviceKey
from devices.services import health, keys
from hospital.base.api import OnlyJson, read_body
from hospital.base.openapi import problems
from hospital.base.problems import Refusal

HEARTBEAT_LIMIT = 16 * 1024


class DeviceView(APIView):
    """An address only an active microscope may use."""

    authentication_classes = [KeyAuthentication]
    permission_classes = [IsActiveDevice]
    content_negotiation_class = OnlyJson


class HeartbeatSerializer(serializers.Serializer[Any]):
    """What a microscope may say of itself. Everything is optional; other fields are ignored."""

    firmware = serializers.CharField(max_length=40, required=False)
    uptime_seconds = serializers.IntegerField(min_value=0, max_value=2**53, required=False)
    queue_length = serializers.IntegerField(
        min_value=0, max_value=10**6, required=False, help_text="Pictures not yet delivered."
    )
    oldest_unsent_seconds = serializers.IntegerField(
        min_value=0, max_value=2**53, required=False, help_text="How long the oldest of them waits."
    )
    refused = serializers.IntegerField(
        min_value=0,
        max_value=10**6,
        required=False,
        help_text="Pictures refused here that wait for a person there.",
    )
    free_bytes = serializers.IntegerField(min_value=0, max_value=2**53, required=False)
    temperature_celsius = serializers.FloatField(min_value=-100, max_value=200, required=False)
    wifi_dbm = serializers.IntegerField(min_value=-200, max_value=50, required=False)
    clock = serializers.DateTimeField(required=False, help_text="The microscope's own time.")
    last_error = serializers.CharField(
        max_length=500, required=False, allow_blank=True, help_text="200 characters are kept."
    )
    revision = serializers.IntegerField(
        min_value=0, max_value=2**31, required=False, help_text="Of the configuration it has."
    )
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)


class HeartbeatAnswer(serializers.Serializer[Any]):
    """What the microscope learns in return."""

    server_time = serializers.DateTimeField()
    interval_seconds = serializers.IntegerField(help_text="Send the next heartbeat after this.")
    revision = serializers.IntegerField(help_text="Of the configuration that it shall have.")
    configuration = serializers.DictField(
        required=False, help_text="Only when the microscope said another revision, or none."
    )
    minimum_firmware = serializers.CharField(allow_blank=True)
    renew_key = serializers.BooleanField(help_text="Whether it shall ask for a new key.")


class HeartbeatView(DeviceView):
    """A microscope says that it is alive, and learns the time."""

    @extend_schema(
        operation_id="device_heartbeat",
        tags=["device"],
        request=HeartbeatSerializer,
        responses={200: HeartbeatAnswer, **problems(400, 401, 403, 413)},
        examples=[
            OpenApiExample(
                "A microscope at work",
                value={
                    "firmware": "1.4.2",
                    "uptime_seconds": 86400,
                    "queue_length": 3,
                    "oldest_unsent_seconds": 40,
                    "clock": "2026-03-01T09:30:00Z",
                    "free_bytes": 21_000_000_000,
                    "wifi_dbm": -61,
                    "revision": 4,
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Store what the microscope says of itself; answer with the time and what it is told."""
        heartbeat = HeartbeatSerializer(data=read_json(request, limit=HEARTBEAT_LIMIT))
        heartbeat.is_valid(raise_exception=True)
        said = heartbeat.validated_data
        device = device_of(request)
        told = health.take_heartbeat(device=device, report=said)
        answer = {
            "server_time": timezone.now(),
            "interval_seconds": told.heartbeat_seconds,
            "revision": device.revision,
            "minimum_firmware": told.minimum_firmware,
            "renew_key": isinstance(request.auth, DeviceKey) and keys.should_renew(request.auth),
        }
        if said.get("revision") != device.revision:
            answer["configuration"] = told.as_told()
        return Response(answer)


class MalformedJson(Refusal):
    """The body is not JSON."""

    status = 400
    code = "malformed_json"


def read_json(request: Request, *, limit: int) -> Any:
    """The body as JSON, an empty one as `{}`; never more than `limit` bytes are read.

    Raises:
        MalformedJson: it is none.
        hospital.base.problems.TooLarge, hospital.base.api.BrokenBody: as for `read_body`.
    """
    body = read_body(request, limit=limit)
    if not body.strip():
        return {}
    try:
        return json.loads(body, parse_constant=_no_constants)
    except (ValueError, RecursionError) as error:
        raise MalformedJson("The body is not valid JSON (UTF-8).") from error


def _no_constants(name: str) -> None:
    # NaN and Infinity are Python's own, not JSON's; a database would choke on them.
    raise ValueError(name)
