"""What a microscope is told, for staff: looked at and changed over the API."""

from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from devices.models import Device
from devices.services.configuration import FIELDS, Field, configuration_of, configure
from hospital.accounts.api import ScopedViewSet
from hospital.base.openapi import problems


def _field(field: Field) -> "serializers.Field[Any, Any, Any, Any]":
    options: dict[str, Any] = {
        "required": False,
        "allow_null": True,
        "label": field.label,
        "help_text": f"{field.help} null: as everywhere in the hospital.",
    }
    if field.kind is str:
        return serializers.CharField(max_length=40, allow_blank=True, **options)
    kind: Any = serializers.IntegerField if field.kind is int else serializers.FloatField
    made: serializers.Field[Any, Any, Any, Any] = kind(
        min_value=field.least, max_value=field.most, **options
    )
    return made


class ConfigurationSerializer(serializers.Serializer[Any]):
    """What can be set for one microscope. A field left out stays as it is."""

    def get_fields(self) -> dict[str, Any]:
        """Made of the one list there is."""
        return {field.name: _field(field) for field in FIELDS}


class ConfigurationAnswer(serializers.Serializer[Any]):
    """What a microscope is told, and whether it has heard."""

    revision = serializers.IntegerField(help_text="Goes up with each change.")
    taken_over = serializers.BooleanField(help_text="Whether it has said that it has it.")
    own = serializers.DictField(help_text="What is set for this microscope alone.")
    told = serializers.DictField(help_text="What it is told: its own, else the hospital's.")


class ConfigurationActions(ScopedViewSet[Device]):
    """The part of the registry's addresses that is about configuration."""

    @extend_schema(
        summary="What the microscope is told",
        responses={200: ConfigurationAnswer, **problems(401, 403, 404)},
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def configuration(self, request: Request, pk: str) -> Response:
        """Its own values, and those of the whole hospital."""
        return Response(_answer(self.get_object()))

    @extend_schema(
        summary="Change what the microscope is told",
        request=ConfigurationSerializer,
        responses={200: ConfigurationAnswer, **problems(400, 401, 403, 404, 409)},
    )
    @configuration.mapping.patch
    def configure(self, request: Request, pk: str) -> Response:
        """Fields that are left out stay; null goes back to the hospital's value."""
        device = self.get_object()
        wanted = ConfigurationSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            configure(actor=self.actor, device=device, values=wanted.validated_data)
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error
        return Response(_answer(device))


def _answer(device: Device) -> dict[str, Any]:
    return {
        "revision": device.revision,
        "taken_over": device.last_heartbeat.get("revision") == device.revision,
        "own": device.configuration,
        "told": configuration_of(device).as_told(),
    }
