"""What every address of the device API shares, and the heartbeat."""

import json
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.api.authentication import IsActiveDevice, KeyAuthentication, device_of
from devices.services import health
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
    free_bytes = serializers.IntegerField(min_value=0, max_value=2**53, required=False)
    temperature_celsius = serializers.FloatField(min_value=-100, max_value=200, required=False)
    wifi_dbm = serializers.IntegerField(min_value=-200, max_value=50, required=False)
    clock = serializers.DateTimeField(required=False, help_text="The microscope's own time.")
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)


class HeartbeatAnswer(serializers.Serializer[Any]):
    """What the microscope learns in return."""

    server_time = serializers.DateTimeField()
    interval_seconds = serializers.IntegerField(help_text="Send the next heartbeat after this.")


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
                value={"firmware": "1.4.2", "uptime_seconds": 86400, "queue_length": 0},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Store what the microscope says of itself and answer with the server's time."""
        heartbeat = HeartbeatSerializer(data=_json(read_body(request, limit=HEARTBEAT_LIMIT)))
        heartbeat.is_valid(raise_exception=True)
        # As text: the report is kept as JSON.
        health.take_heartbeat(device=device_of(request), report=dict(heartbeat.data))
        return Response(
            {
                "server_time": timezone.now(),
                "interval_seconds": settings.DEVICE_HEARTBEAT_SECONDS,
            }
        )


class MalformedJson(Refusal):
    """The body is not JSON."""

    status = 400
    code = "malformed_json"


def _json(body: bytes) -> Any:
    if not body.strip():
        return {}
    try:
        return json.loads(body, parse_constant=_no_constants)
    except (ValueError, RecursionError) as error:
        raise MalformedJson("The body is not valid JSON (UTF-8).") from error


def _no_constants(name: str) -> None:
    # NaN and Infinity are Python's own, not JSON's; a database would choke on them.
    raise ValueError(name)


def read_json(request: Request, *, limit: int) -> Any:
    """The body as JSON, an empty one as `{}`; never more than `limit` bytes are read.

    Raises:
        MalformedJson: it is none.
        hospital.base.api.TooLarge, hospital.base.api.BrokenBody: as for `read_body`.
    """
    return _json(read_body(request, limit=limit))
