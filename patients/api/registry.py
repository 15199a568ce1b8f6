"""Patients: found, registered, corrected."""

from typing import Any

import django_filters  # type: ignore[import-untyped]
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.mixins import (
    CreateModelMixin,
    ListModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
)
from rest_framework.request import Request
from rest_framework.response import Response

from hospital.accounts.api import ScopedViewSet
from hospital.audit.services import record
from hospital.base.openapi import problems
from hospital.base.search import Filters, matching
from patients import services
from patients.models import Patient
from patients.selectors import patients_visible_to


class PatientSerializer(serializers.ModelSerializer[Patient]):
    """A patient. The clinic is given once, at registration."""

    clinic = serializers.UUIDField(source="clinic_id")

    class Meta:
        model = Patient
        fields = [
            "id",
            "clinic",
            "mrn",
            "family_name",
            "given_names",
            "birth_date",
            "sex",
            "language",
            "registered_at",
        ]
        read_only_fields = ["registered_at"]
        validators: list[Any] = []  # the service validates whole rows


class PatientFilter(Filters):
    """Ways to find a patient."""

    clinic = django_filters.UUIDFilter(field_name="clinic_id")
    mrn = django_filters.CharFilter(lookup_expr="iexact")
    search = django_filters.CharFilter(method="by_words", label="Words of name or record number")

    class Meta:
        model = Patient
        fields = ["clinic", "mrn"]

    def by_words(self, rows: QuerySet[Patient], name: str, value: str) -> QuerySet[Patient]:
        """Every word in a name or the record number."""
        return matching(rows, value, "mrn", "family_name", "given_names")


@extend_schema_view(
    list=extend_schema(summary="Patients of your clinics (audited)"),
    create=extend_schema(
        summary="Register a patient", responses={201: PatientSerializer, **problems(400, 401, 403)}
    ),
    retrieve=extend_schema(
        summary="One patient (audited)",
        responses={200: PatientSerializer, **problems(401, 403, 404)},
    ),
    partial_update=extend_schema(
        summary="Correct a patient",
        responses={200: PatientSerializer, **problems(400, 401, 403, 404, 409)},
    ),
)
class PatientViewSet(
    ScopedViewSet[Patient],
    ListModelMixin,
    CreateModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
):
    """The patients of the clinics where the signed-in user may see them."""

    model = Patient
    serializer_class = PatientSerializer
    filterset_class = PatientFilter
    listed_as = "patient.listed"
    ordering = ("family_name", "given_names", "id")
    permissions = {
        "list": "patients.view_patient",
        "retrieve": "patients.view_patient",
        "create": "patients.add_patient",
        "partial_update": "patients.change_patient",
    }

    def visible(self) -> QuerySet[Patient]:
        """The clinics' patients."""
        return patients_visible_to(self.request.user)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One patient, with a note in the audit trail of who looked."""
        patient = self.get_object()
        record(
            self.actor,
            "patient.read",
            patient,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
        )
        return Response(self.get_serializer(patient).data)

    def patient_of(self, row: Patient) -> Any:
        """Itself."""
        return row.pk

    def store(self, row: Patient) -> Patient:
        """Through the registry's service."""
        return services.save_patient(actor=self.actor, patient=row)
