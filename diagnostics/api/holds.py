"""Held pictures and mix-ups for staff: seen, released, set aside, settled."""

from typing import Any

import django_filters  # type: ignore[import-untyped]
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from devices.models import Device
from devices.selectors import devices_visible_to
from diagnostics.models import DiagnosticReport, Hold, HoldReason, MixUp, Settlement
from diagnostics.selectors import (
    holds_visible_to,
    mix_ups_visible_to,
    own_sides,
    reports_visible_to,
)
from diagnostics.services import holds, mix_ups
from hospital.accounts.api import ScopedViewSet
from hospital.base.openapi import problems
from hospital.base.search import Filters

_RELEASE = "diagnostics.release_hold"
_SEE = "diagnostics.view_fieldimage"


class HoldSerializer(serializers.ModelSerializer[Hold]):
    """One reason that keeps one picture out of its report."""

    image = serializers.UUIDField(source="image_id")
    accession = serializers.CharField(source="image.label")
    device = serializers.UUIDField(source="image.device_id")
    clinic = serializers.UUIDField(source="image.clinic_id")
    released_by = serializers.SerializerMethodField()

    class Meta:
        model = Hold
        fields = [
            "id",
            "image",
            "accession",
            "device",
            "clinic",
            "reason",
            "held_at",
            "released_at",
            "released_by",
            "comment",
        ]
        read_only_fields = fields

    def get_released_by(self, hold: Hold) -> str | None:
        """A person's name; null when a control that passed released it."""
        return str(hold.released_by) if hold.released_by else None


class CommentSerializer(serializers.Serializer[Any]):
    """Why, in a few words; it stays in the records."""

    comment = serializers.CharField(max_length=400)


class ManySerializer(CommentSerializer):
    """What to release: one of the two."""

    report = serializers.UUIDField(required=False, help_text="All held pictures of a report.")
    device = serializers.UUIDField(
        required=False, help_text="All of a microscope since its last failed control."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Exactly one of them."""
        if ("report" in attrs) == ("device" in attrs):
            raise serializers.ValidationError("Name a report or a device.")
        return attrs


class ReleasedSerializer(serializers.Serializer[Any]):
    """How many reasons were settled."""

    released = serializers.IntegerField()


class HoldFilter(Filters):
    """Ways to find a hold."""

    device = django_filters.UUIDFilter(field_name="image__device_id")
    accession = django_filters.CharFilter(field_name="image__specimen__accession")
    reason = django_filters.ChoiceFilter(choices=HoldReason.choices)
    open = django_filters.BooleanFilter(field_name="released_at", lookup_expr="isnull")

    class Meta:
        model = Hold
        fields = ["reason"]


@extend_schema_view(list=extend_schema(summary="What keeps pictures back, the newest first"))
class HoldViewSet(ScopedViewSet[Hold], ListModelMixin):
    """Holds of the clinics where the signed-in user may see pictures."""

    model = Hold
    serializer_class = HoldSerializer
    filterset_class = HoldFilter
    listed_as = "hold.listed"
    ordering = ("-held_at", "id")
    permissions = {"list": _SEE, "release": _RELEASE, "set_aside": _RELEASE, "many": _RELEASE}

    def visible(self) -> QuerySet[Hold]:
        """The clinics' holds."""
        return holds_visible_to(self.request.user)

    def clinic_of(self, row: Hold) -> Any:
        """The picture's."""
        return row.image.clinic_id

    def patient_of(self, row: Hold) -> Any:
        """The picture's."""
        return row.image.patient_id

    @extend_schema(
        summary="Release a held picture",
        request=CommentSerializer,
        responses={200: ReleasedSerializer, **problems(400, 401, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Vouch for the picture that this hold keeps back: all its holds but a mix-up end."""
        image, comment = self.get_object().image, _comment(request)
        released = holds.release(user=request.user, image=image, comment=comment)
        return Response({"released": released})

    @extend_schema(
        summary="Set a held picture aside for good",
        request=CommentSerializer,
        responses={204: None, **problems(400, 401, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"], url_path="set-aside")
    def set_aside(self, request: Request, pk: str) -> Response:
        """Another picture takes its place: this one is rejected with code `replaced`."""
        image, comment = self.get_object().image, _comment(request)
        holds.set_aside(user=request.user, image=image, comment=comment)
        return Response(status=204)

    @extend_schema(
        operation_id="holds_release_many",
        summary="Release all held pictures of a report or a microscope",
        request=ManySerializer,
        responses={200: ReleasedSerializer, **problems(400, 401, 403, 404, 409)},
    )
    @action(detail=False, methods=["post"], url_path="release")
    def many(self, request: Request) -> Response:
        """Of a microscope: those held since its last failed control."""
        asked = ManySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        user, said = request.user, asked.validated_data
        if "report" in said:
            rows: QuerySet[DiagnosticReport] = reports_visible_to(user)
            report = get_object_or_404(rows, pk=said["report"])
            count = holds.release_report(user=user, report=report, comment=said["comment"])
        else:
            devices: QuerySet[Device] = devices_visible_to(user, _SEE)
            device = get_object_or_404(devices, pk=said["device"])
            count = holds.release_device(user=user, device=device, comment=said["comment"])
        return Response({"released": count})


class SideSerializer(serializers.Serializer[Any]):
    """One of the two pictures, if it is of a clinic whose pictures you may see."""

    image = serializers.UUIDField()
    accession = serializers.CharField()
    patient = serializers.UUIDField()
    clinic = serializers.UUIDField()
    kept = serializers.BooleanField(allow_null=True, help_text="Null until somebody has said.")


class MixUpSerializer(serializers.ModelSerializer[MixUp]):
    """The same picture for two patients. A side of another clinic is null."""

    first = serializers.SerializerMethodField()
    second = serializers.SerializerMethodField()

    class Meta:
        model = MixUp
        fields = ["id", "raised_at", "first", "second", "settlement", "settled_at"]
        read_only_fields = fields

    @extend_schema_field(SideSerializer(allow_null=True))
    def get_first(self, mix_up: MixUp) -> dict[str, Any] | None:
        """The one that came first."""
        return self._side(mix_up, 0)

    @extend_schema_field(SideSerializer(allow_null=True))
    def get_second(self, mix_up: MixUp) -> dict[str, Any] | None:
        """The one that came later."""
        return self._side(mix_up, 1)

    def _side(self, mix_up: MixUp, which: int) -> dict[str, Any] | None:
        side = mix_up.sides()[which]
        if side not in own_sides(mix_up, self.context["request"].user, _SEE):
            return None
        image = side.image
        return {
            "image": image.pk,
            "accession": image.label,
            "patient": image.patient_id,
            "clinic": image.clinic_id,
            "kept": side.kept,
        }


class SettlementSerializer(CommentSerializer):
    """Whose picture it is, as far as you may say."""

    keep = serializers.UUIDField(
        allow_null=True,
        help_text="The picture that hangs under the right name; null: none of those you see.",
    )


class MixUpFilter(Filters):
    """Ways to find a mix-up."""

    open = django_filters.BooleanFilter(field_name="settled_at", lookup_expr="isnull")
    settlement = django_filters.ChoiceFilter(choices=Settlement.choices)

    class Meta:
        model = MixUp
        fields = ["settlement"]


@extend_schema_view(
    list=extend_schema(summary="The same picture for two patients, the newest first"),
    retrieve=extend_schema(
        summary="One mix-up", responses={200: MixUpSerializer, **problems(401, 403, 404)}
    ),
)
class MixUpViewSet(ScopedViewSet[MixUp], ListModelMixin, RetrieveModelMixin):
    """Mix-ups with a picture of a clinic where the signed-in user may see pictures."""

    model = MixUp
    serializer_class = MixUpSerializer
    filterset_class = MixUpFilter
    ordering = ("-raised_at", "id")
    permissions = {"list": _SEE, "retrieve": _SEE, "settle": _RELEASE}

    def visible(self) -> QuerySet[MixUp]:
        """Those that concern the user's clinics."""
        return mix_ups_visible_to(self.request.user)

    def clinic_of(self, row: MixUp) -> Any:
        """Of the two, one where the user may do it; the first if there is none."""
        own = own_sides(row, self.request.user, self.permissions[self.action])
        return (own[0].image if own else row.first).clinic_id

    @extend_schema(
        summary="Say whose picture it is",
        request=SettlementSerializer,
        responses={200: MixUpSerializer, **problems(400, 401, 403, 404, 409)},
    )
    @action(detail=True, methods=["post"])
    def settle(self, request: Request, pk: str) -> Response:
        """Speaks for pictures of your clinics only; the other clinic settles its own."""
        mix_up = self.get_object()
        said = SettlementSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        mix_ups.settle(user=request.user, mix_up=mix_up, **said.validated_data)
        return Response(self.get_serializer(self.get_object()).data)


def _comment(request: Request) -> str:
    said = CommentSerializer(data=request.data)
    said.is_valid(raise_exception=True)
    return str(said.validated_data["comment"])
