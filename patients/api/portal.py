"""Portal access: which account reads which patient's reports."""

from typing import Any

import django_filters  # type: ignore[import-untyped]
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from hospital.accounts.api import ScopedViewSet
from hospital.accounts.guards import ensure_may
from hospital.base.openapi import problems
from hospital.base.search import Filters
from patients import services
from patients.models import AccessStanding, PortalAccess, Relation
from patients.selectors import patients_visible_to, portal_access_visible_to


class PortalAccessSerializer(serializers.ModelSerializer[PortalAccess]):
    """A link between an account and a patient."""

    username = serializers.CharField(source="user.username", read_only=True)
    standing = serializers.ChoiceField(
        AccessStanding.choices, read_only=True, help_text="Whether it lets them read today."
    )

    class Meta:
        model = PortalAccess
        fields = [
            "id",
            "patient",
            "username",
            "relation",
            "granted_at",
            "expires_at",
            "revoked_at",
            "standing",
        ]
        read_only_fields = fields


class InvitationSerializer(serializers.Serializer[Any]):
    """Who shall read about whom. With a name and a password a new account is opened."""

    patient = serializers.UUIDField()
    username = serializers.CharField(max_length=150)
    relation = serializers.ChoiceField(Relation.choices)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    full_name = serializers.CharField(
        max_length=200, required=False, default="", help_text="Only for a new account."
    )
    password = serializers.CharField(
        max_length=200,
        required=False,
        default="",
        write_only=True,
        trim_whitespace=False,
        help_text="Only for a new account: its first password.",
    )


class PortalAccessFilter(Filters):
    """Ways to narrow the list."""

    clinic = django_filters.UUIDFilter(field_name="patient__clinic_id")
    mrn = django_filters.CharFilter(field_name="patient__mrn", lookup_expr="iexact")
    live = django_filters.BooleanFilter(
        field_name="revoked_at", lookup_expr="isnull", label="Not revoked"
    )

    class Meta:
        model = PortalAccess
        fields = ["patient", "relation"]


@extend_schema_view(list=extend_schema(summary="Who may read about your clinics' patients"))
class PortalAccessViewSet(ScopedViewSet[PortalAccess], ListModelMixin):
    """Portal access to the patients of the clinics that the signed-in user administers."""

    model = PortalAccess
    serializer_class = PortalAccessSerializer
    filterset_class = PortalAccessFilter
    listed_as = "portal_access.listed"
    ordering = ("-granted_at", "id")
    permissions = {
        "list": "patients.view_portalaccess",
        "create": "patients.add_portalaccess",
        "destroy": "patients.change_portalaccess",
    }

    def visible(self) -> QuerySet[PortalAccess]:
        """Links to the clinics' patients."""
        return portal_access_visible_to(self.request.user)

    def clinic_of(self, row: PortalAccess) -> Any:
        """The patient's."""
        return row.patient.clinic_id

    @extend_schema(
        summary="Let an account read a patient's released reports",
        request=InvitationSerializer,
        responses={201: PortalAccessSerializer, **problems(400, 401, 403, 404, 409)},
    )
    def create(self, request: Request) -> Response:
        """Grant access to an existing account, or open one for it."""
        invitation = InvitationSerializer(data=request.data)
        invitation.is_valid(raise_exception=True)
        wanted = dict(invitation.validated_data)
        patient = patients_visible_to(request.user).filter(pk=wanted.pop("patient")).first()
        if patient is None:
            raise serializers.ValidationError({"patient": ["No such patient in your clinics."]})
        ensure_may(request.user, self.permissions["create"], patient.clinic_id)
        access = services.invite_to_portal(actor=self.actor, patient=patient, **wanted)
        return Response(PortalAccessSerializer(access).data, status=201)

    @extend_schema(summary="End an access", responses={204: None, **problems(401, 403, 404)})
    def destroy(self, request: Request, pk: str) -> Response:
        """Revoke; the row stays, to show that there was an access."""
        services.revoke_portal_access(actor=self.actor, access=self.get_object())
        return Response(status=204)
