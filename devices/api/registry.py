"""Microscopes for staff: registered, keyed, suspended."""

from typing import Any

import django_filters  # type: ignore[import-untyped]
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import (
    CreateModelMixin,
    ListModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
)
from rest_framework.request import Request
from rest_framework.response import Response

from devices.api.configuration import ConfigurationActions
from devices.api.enrolment import shown_once
from devices.certificates import NO_FINGERPRINT, fingerprint_of
from devices.models import Device, DeviceKey, DeviceState
from devices.selectors import devices_visible_to, keys_visible_to
from devices.services import enrolment, keys, registry
from hospital.base.openapi import problems
from hospital.base.search import Filters, matching


class FingerprintField(serializers.CharField):
    """A SHA-256 fingerprint, written with or without colons; empty: none."""

    def to_internal_value(self, data: Any) -> str:
        """64 small hexadecimal digits, or nothing."""
        text = super().to_internal_value(data)
        try:
            return fingerprint_of(text) if text else ""
        except ValueError as error:
            raise serializers.ValidationError(NO_FINGERPRINT) from error


class DeviceSerializer(serializers.ModelSerializer[Device]):
    """A microscope. The clinic is given once, at registration."""

    clinic = serializers.UUIDField(source="clinic_id")
    certificate_sha256 = FingerprintField(
        required=False,
        allow_blank=True,
        max_length=200,
        help_text="Of its client certificate; empty: none is asked for.",
    )

    class Meta:
        model = Device
        fields = [
            "id",
            "clinic",
            "name",
            "place",
            "make",
            "model",
            "serial",
            "firmware",
            "certificate_sha256",
            "control_hours",
            "state",
            "registered_at",
            "last_heartbeat_at",
            "last_heartbeat",
        ]
        read_only_fields = ["state", "registered_at", "last_heartbeat_at", "last_heartbeat"]
        validators: list[Any] = []  # the service validates whole rows


class DeviceKeySerializer(serializers.ModelSerializer[DeviceKey]):
    """A key, without its secret."""

    standing = serializers.ChoiceField(["live", "ending", "ended", "revoked"], read_only=True)

    class Meta:
        model = DeviceKey
        fields = [
            "id",
            "prefix",
            "standing",
            "issued_at",
            "last_used_at",
            "expires_at",
            "revoked_at",
            "replaces",
        ]
        read_only_fields = fields


class NewKeySerializer(serializers.Serializer[Any]):
    """A key in clear. It is shown this once and can never be shown again."""

    key = serializers.CharField()
    prefix = serializers.CharField()


class NewCodeSerializer(serializers.Serializer[Any]):
    """A one-time code in clear. It is shown this once and can never be shown again."""

    code = serializers.CharField()
    uri = serializers.CharField(help_text="The same for a QR code.")
    expires_at = serializers.DateTimeField()


class ReasonSerializer(serializers.Serializer[Any]):
    """Why, in a person's words."""

    reason = serializers.CharField(max_length=200)


class StateSerializer(serializers.Serializer[Any]):
    """Where a microscope shall stand."""

    state = serializers.ChoiceField(
        [DeviceState.ACTIVE, DeviceState.SUSPENDED, DeviceState.RETIRED]
    )


class DeviceFilter(Filters):
    """Ways to find a microscope."""

    clinic = django_filters.UUIDFilter(field_name="clinic_id")
    search = django_filters.CharFilter(method="by_words", label="Words of name, make, serial")

    class Meta:
        model = Device
        fields = ["clinic", "state", "serial"]

    def by_words(self, rows: QuerySet[Device], name: str, value: str) -> QuerySet[Device]:
        """Every word in what the microscope is called."""
        return matching(rows, value, "name", "make", "model", "serial")


@extend_schema_view(
    list=extend_schema(summary="Microscopes of your clinics"),
    create=extend_schema(
        summary="Register a microscope",
        responses={201: DeviceSerializer, **problems(400, 401, 403)},
    ),
    retrieve=extend_schema(
        summary="One microscope", responses={200: DeviceSerializer, **problems(401, 403, 404)}
    ),
    partial_update=extend_schema(
        summary="Correct a microscope",
        responses={200: DeviceSerializer, **problems(400, 401, 403, 404, 409)},
    ),
)
class DeviceViewSet(
    ConfigurationActions,
    ListModelMixin,
    CreateModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
):
    """The microscopes of the clinics where the signed-in user may see them."""

    model = Device
    serializer_class = DeviceSerializer
    filterset_class = DeviceFilter
    ordering = ("name", "id")
    permissions = {
        "list": "devices.view_device",
        "retrieve": "devices.view_device",
        "create": "devices.add_device",
        "partial_update": "devices.change_device",
        "state": "devices.change_device",
        "reinstate": "devices.change_device",
        "list_keys": "devices.view_devicekey",
        "configuration": "devices.view_device",
        "configure": "devices.change_device",
        "issue_key": "devices.issue_devicekey",
        "revoke_key": "devices.issue_devicekey",
        "rotate": "devices.issue_devicekey",
        "make_code": "devices.issue_devicekey",
    }

    def visible(self) -> QuerySet[Device]:
        """The clinics' microscopes."""
        return devices_visible_to(self.request.user)

    def store(self, row: Device) -> Device:
        """Through the registry's service."""
        return registry.save_device(actor=self.actor, device=row)

    @extend_schema(
        summary="Suspend, reactivate or retire",
        request=StateSerializer,
        responses={200: DeviceSerializer, **problems(400, 401, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def state(self, request: Request, pk: str) -> Response:
        """Move the microscope to another state. Retiring ends its keys and its code."""
        device = self.get_object()
        wanted = StateSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        registry.change_state(actor=self.actor, device=device, to=wanted.validated_data["state"])
        return Response(self.get_serializer(device).data)

    @extend_schema(
        summary="Bring a retired microscope back",
        request=ReasonSerializer,
        responses={200: DeviceSerializer, **problems(400, 401, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def reinstate(self, request: Request, pk: str) -> Response:
        """The retired microscope is pending again; it needs a new code."""
        device = self.get_object()
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        registry.reinstate(actor=self.actor, device=device, reason=given.validated_data["reason"])
        return Response(self.get_serializer(device).data)

    @extend_schema(
        summary="Make a one-time code; it is shown this once",
        request=None,
        responses={201: NewCodeSerializer, **problems(401, 403, 404, 422)},
    )
    @action(detail=True, methods=["post"], url_path="code", url_name="code")
    def make_code(self, request: Request, pk: str) -> Response:
        """A code that the microscope exchanges for its key. An older one is void."""
        device = self.get_object()
        made = enrolment.make_code(actor=self.actor, device=device)
        server = request.build_absolute_uri("/").rstrip("/")
        uri = enrolment.uri(code=made.code, server=server, serial=device.serial)
        told = {"code": made.code, "uri": uri, "expires_at": made.expires_at}
        return shown_once(NewCodeSerializer(told).data)

    @extend_schema(
        summary="The microscope's keys, without secrets",
        responses={200: DeviceKeySerializer(many=True), **problems(401, 403, 404)},
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None, url_path="keys", url_name="keys")
    def list_keys(self, request: Request, pk: str) -> Response:
        """Live and ended ones, newest first."""
        return self._keys_of(self.get_object())

    def _keys_of(self, device: Device) -> Response:
        rows = keys_visible_to(self.request.user).filter(device=device)
        return Response(DeviceKeySerializer(rows, many=True).data)

    @extend_schema(
        summary="Issue a key; it is shown this once",
        request=None,
        responses={201: NewKeySerializer, **problems(401, 403, 404, 422)},
    )
    @list_keys.mapping.post
    def issue_key(self, request: Request, pk: str) -> Response:
        """A new key. Older ones stay valid until revoked."""
        key = keys.issue_key(actor=self.actor, device=self.get_object())
        return shown_once(NewKeySerializer({"key": key, "prefix": key.split("_")[1]}).data)

    @extend_schema(
        summary="Have the microscope fetch itself a new key",
        request=None,
        responses={200: DeviceKeySerializer(many=True), **problems(401, 403, 404)},
        filters=False,
    )
    @action(detail=True, methods=["post"], pagination_class=None)
    def rotate(self, request: Request, pk: str) -> Response:
        """It is told with its next heartbeat; its keys of today end within KEY_OVERLAP_DAYS."""
        device = self.get_object()
        keys.rotate_keys(actor=self.actor, device=device)
        return self._keys_of(device)

    @extend_schema(summary="Revoke a key", responses={204: None, **problems(401, 403, 404)})
    @action(detail=True, methods=["delete"], url_path="keys/(?P<key_id>[0-9a-f-]{36})")
    def revoke_key(self, request: Request, pk: str, key_id: str) -> Response:
        """End a key at once."""
        rows = keys_visible_to(request.user).filter(device=self.get_object())
        keys.revoke_key(actor=self.actor, key=get_object_or_404(rows, pk=key_id))
        return Response(status=204)
