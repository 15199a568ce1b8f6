"""Control slides for staff: registered, given ranges, withdrawn; and what they proved."""

from typing import Any

import django_filters  # type: ignore[import-untyped]
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
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

from diagnostics.models import ControlRun, ControlSlide, ControlState
from diagnostics.selectors import control_runs_visible_to, control_slides_visible_to
from diagnostics.services import controls
from hospital.accounts.api import ScopedViewSet
from hospital.base.openapi import problems
from hospital.base.search import Filters

_RANGES = serializers.DictField(
    child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
    help_text='Least and greatest value by figure: {"focus": [1.4, 2.1]}.',
)


class ControlSlideSerializer(serializers.ModelSerializer[ControlSlide]):
    """A slide of which is known what a sound microscope makes of it."""

    clinic = serializers.UUIDField(source="clinic_id")
    ranges = extend_schema_field(_RANGES)(serializers.JSONField)(required=False)

    class Meta:
        model = ControlSlide
        fields = ["id", "clinic", "label", "expected", "ranges", "registered_at", "withdrawn_at"]
        read_only_fields = ["registered_at", "withdrawn_at"]
        validators: list[Any] = []  # the service validates whole rows


class ProposalSerializer(serializers.Serializer[Any]):
    """Ranges from the slide's own pictures that passed; empty when these are too few."""

    ranges = _RANGES


class ControlRunSerializer(serializers.ModelSerializer[ControlRun]):
    """One picture of a control slide, and what it proved about its microscope."""

    id = serializers.UUIDField(source="image_id")
    device = serializers.UUIDField(source="device_id")
    slide = serializers.CharField(source="slide.label")
    reasons = serializers.ListField(child=serializers.CharField())
    measured = serializers.DictField()

    class Meta:
        model = ControlRun
        fields = ["id", "device", "slide", "at", "state", "decided_at", "reasons", "measured"]
        read_only_fields = fields


class ControlSlideFilter(Filters):
    """Ways to find a control slide."""

    clinic = django_filters.UUIDFilter(field_name="clinic_id")

    class Meta:
        model = ControlSlide
        fields = ["label", "expected"]


class ControlRunFilter(Filters):
    """Ways to find a control."""

    device = django_filters.UUIDFilter(field_name="device_id")
    slide = django_filters.CharFilter(field_name="slide__label")
    state = django_filters.ChoiceFilter(choices=ControlState.choices)

    class Meta:
        model = ControlRun
        fields = ["device", "slide", "state"]


@extend_schema_view(
    list=extend_schema(summary="Control slides of your clinics"),
    create=extend_schema(
        summary="Register a control slide",
        responses={201: ControlSlideSerializer, **problems(400, 401, 403)},
    ),
    retrieve=extend_schema(
        summary="One control slide",
        responses={200: ControlSlideSerializer, **problems(401, 403, 404)},
    ),
    partial_update=extend_schema(
        summary="Change a control slide",
        responses={200: ControlSlideSerializer, **problems(400, 401, 403, 404, 409)},
    ),
)
class ControlSlideViewSet(
    ScopedViewSet[ControlSlide],
    ListModelMixin,
    CreateModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
):
    """The control slides of the clinics where the signed-in user may see them."""

    model = ControlSlide
    serializer_class = ControlSlideSerializer
    filterset_class = ControlSlideFilter
    ordering = ("label", "id")
    permissions = {
        "list": "diagnostics.view_controlslide",
        "retrieve": "diagnostics.view_controlslide",
        "create": "diagnostics.add_controlslide",
        "partial_update": "diagnostics.change_controlslide",
        "proposal": "diagnostics.view_controlslide",
        "withdraw": "diagnostics.change_controlslide",
    }

    def visible(self) -> QuerySet[ControlSlide]:
        """The clinics' slides."""
        return control_slides_visible_to(self.request.user)

    def store(self, row: ControlSlide) -> ControlSlide:
        """Through the controls' service."""
        return controls.save_slide(actor=self.actor, slide=row)

    @extend_schema(
        summary="Ranges proposed from the slide's own pictures",
        responses={200: ProposalSerializer, **problems(401, 403, 404)},
    )
    @action(detail=True, methods=["get"])
    def proposal(self, request: Request, pk: str) -> Response:
        """Mean and three standard deviations of those that passed; PATCH `ranges` to set them."""
        return Response({"ranges": controls.proposed_ranges(self.get_object())})

    @extend_schema(
        summary="Take a control slide out of use",
        request=None,
        responses={200: ControlSlideSerializer, **problems(401, 403, 404)},
    )
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Pictures of it are refused from now on."""
        slide = self.get_object()
        controls.withdraw(actor=self.actor, slide=slide)
        return Response(self.get_serializer(slide).data)


@extend_schema_view(list=extend_schema(summary="What control slides proved, the newest first"))
class ControlRunViewSet(ScopedViewSet[ControlRun], ListModelMixin):
    """Controls of the clinics where the signed-in user may see them."""

    model = ControlRun
    serializer_class = ControlRunSerializer
    filterset_class = ControlRunFilter
    ordering = ("-at", "image_id")
    permissions = {"list": "diagnostics.view_controlslide"}

    def visible(self) -> QuerySet[ControlRun]:
        """The clinics' runs."""
        return control_runs_visible_to(self.request.user)
