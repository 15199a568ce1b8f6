"""Specimens for staff: found, registered, corrected."""

from typing import Any

import django_filters  # type: ignore[import-untyped]
from django.db.models import QuerySet
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

from diagnostics import search
from diagnostics.models import Specimen
from diagnostics.selectors import specimens_visible_to
from diagnostics.services import reading
from diagnostics.services.specimens import close_specimen, reopen_specimen, save_specimen
from hospital.accounts.api import ScopedViewSet
from hospital.accounts.selectors import clinic_ids_where
from hospital.base.openapi import problems
from hospital.base.search import Filters
from patients.models import Patient
from patients.selectors import patients_visible_to


class _OwnPatient(serializers.PrimaryKeyRelatedField[Patient]):
    """A patient the user may see; any other is as unknown as one that does not exist."""

    def get_queryset(self) -> QuerySet[Patient]:
        request = self.context.get("request")
        return patients_visible_to(request.user) if request else Patient.objects.none()


class SpecimenSerializer(serializers.ModelSerializer[Specimen]):
    """A blood sample. Its clinic is its patient's."""

    patient = _OwnPatient(pk_field=serializers.UUIDField())
    clinic = serializers.UUIDField(source="clinic_id", read_only=True)

    class Meta:
        model = Specimen
        fields = [
            "id",
            "accession",
            "patient",
            "clinic",
            "collected_at",
            "stain",
            "registered_at",
            "closed_at",
        ]
        read_only_fields = ["registered_at", "closed_at"]


class SpecimenFilter(Filters):
    """Ways to find a specimen."""

    clinic = django_filters.UUIDFilter(field_name="clinic_id")
    patient = django_filters.UUIDFilter(field_name="patient_id")
    mrn = django_filters.CharFilter(field_name="patient__mrn", lookup_expr="iexact")
    search = django_filters.CharFilter(
        method="by_words", label="Words of accession, record number or patient's name"
    )

    class Meta:
        model = Specimen
        fields = ["accession", "stain"]

    def by_words(self, rows: QuerySet[Specimen], name: str, value: str) -> QuerySet[Specimen]:
        """Every word in the label or the patient."""
        of = search.named(value, clinic_ids_where(self.request.user, "diagnostics.view_specimen"))
        return search.specimens_with(rows, value, of)


@extend_schema_view(
    list=extend_schema(summary="Specimens of your clinics"),
    create=extend_schema(
        summary="Register a specimen",
        responses={201: SpecimenSerializer, **problems(400, 401, 403)},
    ),
    retrieve=extend_schema(
        summary="One specimen (audited)",
        responses={200: SpecimenSerializer, **problems(401, 403, 404)},
    ),
    partial_update=extend_schema(
        summary="Correct a specimen",
        responses={200: SpecimenSerializer, **problems(400, 401, 403, 404, 409)},
    ),
)
class SpecimenViewSet(
    ScopedViewSet[Specimen],
    ListModelMixin,
    CreateModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
):
    """The specimens of the clinics where the signed-in user may see them."""

    model = Specimen
    serializer_class = SpecimenSerializer
    filterset_class = SpecimenFilter
    listed_as = "specimen.listed"
    ordering = ("-registered_at", "id")
    permissions = {
        "list": "diagnostics.view_specimen",
        "retrieve": "diagnostics.view_specimen",
        "create": "diagnostics.add_specimen",
        "partial_update": "diagnostics.change_specimen",
        "close": "diagnostics.change_specimen",
        "reopen": "diagnostics.change_specimen",
    }

    def visible(self) -> QuerySet[Specimen]:
        """The clinics' specimens."""
        return specimens_visible_to(self.request.user)

    def clinic_of(self, row: Specimen) -> Any:
        """The patient's, also before the row is stored."""
        return row.patient.clinic_id

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One specimen, with a note in the audit trail of who looked."""
        specimen = self.get_object()
        reading.note_specimen(user=request.user, specimen=specimen)
        return Response(self.get_serializer(specimen).data)

    def store(self, row: Specimen) -> Specimen:
        """Through the specimens' service, in the clinic of a patient the user may see there."""
        return save_specimen(actor=self.actor, specimen=row)

    @extend_schema(
        summary="Close a specimen: no more pictures are taken in",
        request=None,
        responses={200: SpecimenSerializer, **problems(401, 403, 404)},
    )
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str) -> Response:
        """What is already here stays. Closing it twice changes nothing."""
        specimen = self.get_object()
        close_specimen(actor=self.actor, specimen=specimen)
        return Response(self.get_serializer(specimen).data)

    @extend_schema(
        summary="Open a closed specimen again",
        request=None,
        responses={200: SpecimenSerializer, **problems(401, 403, 404)},
    )
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, pk: str) -> Response:
        """Pictures are taken in again."""
        specimen = self.get_object()
        reopen_specimen(actor=self.actor, specimen=specimen)
        return Response(self.get_serializer(specimen).data)
