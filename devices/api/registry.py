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

from devices.models import Device, DeviceKey, DeviceState
from devices.selectors import devices_visible_to, keys_visible_to
from devices.services import keys, registry
from hospital.accounts.api import ScopedViewSet
from hospital.base.openapi import problems
from hospital.base.search import Filters, matching


class DeviceSerializer(serializers.ModelSerializer[Device]):
    """A microscope. The clinic is given once, at registration."""

    clinic = serializers.UUIDField(source="clinic_id")

    class Meta:
        model = Device
        fields = [
            "id",
            "clinic",
            "name",
            "make",
            "model",
            "serial",
            "firmware",
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

    class Meta:
        model = DeviceKey
        fields = ["id", "prefix", "issued_at", "last_used_at", "revoked_at"]
        read_only_fields = fields


class NewKeySerializer(serializers.Serializer[Any]):
    """A key in clear. It is shown this once and can never be shown again."""

    key = serializers.CharField()
    prefix = serializers.CharField()


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
    ScopedViewSet[Device],
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
        "keys": "devices.view_devicekey",
        "issue_key": "devices.issue_devicekey",
        "revoke_key": "devices.issue_devicekey",
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
        """Move the microscope to another state. Retiring is for good and ends its keys."""
        device = self.get_object()
        wanted = StateSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        registry.change_state(actor=self.actor, device=device, to=wanted.validated_data["state"])
        return Response(self.get_serializer(device).data)

    @extend_schema(
        summary="The microscope's keys, without secrets",
        responses={200: DeviceKeySerializer(many=True), **problems(401, 403, 404)},
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def keys(self, request: Request, pk: str) -> Response:
        """Live and revoked ones, newest first."""
        device = self.get_object()
        rows = keys_visible_to(request.user).filter(device=device)
        return Response(DeviceKeySerializer(rows, many=True).data)

    @extend_schema(
        summary="Issue a key; it is shown this once",
        request=None,
        responses={201: NewKeySerializer, **problems(401, 403, 404, 422)},
    )
    @keys.mapping.post
    def issue_key(self, request: Request, pk: str) -> Response:
        """A new key. Older ones stay valid until revoked."""
        key = keys.issue_key(actor=self.actor, device=self.get_object())
        answer = NewKeySerializer({"key": key, "prefix": key.split("_")[1]})
        return Response(answer.data, status=201, headers={"Cache-Control": "no-store"})

    @extend_schema(summary="Revoke a key", responses={204: None, **problems(401, 403, 404)})
    @action(detail=True, methods=["delete"], url_path="keys/(?P<key_id>[0-9a-f-]{36})")
    def revoke_key(self, request: Request, pk: str, key_id: str) -> Response:
        """End a key at once."""
        rows = keys_visible_to(request.user).filter(device=self.get_object())
        keys.revoke_key(actor=self.actor, key=get_object_or_404(rows, pk=key_id))
        return Response(status=204)
