"""What every address for staff shares (session, role, clinic), and the list of clinics."""

from typing import Any, ClassVar, Generic, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.mixins import ListModelMixin
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from hospital.accounts.guards import ensure_may
from hospital.accounts.models import Clinic
from hospital.accounts.selectors import clinics_where, is_staff_member
from hospital.audit.services import Actor, record_listed
from hospital.base.openapi import problems
from hospital.base.paging import ByCursor

Row = TypeVar("Row", bound=Model)


class StaffSession(SessionAuthentication):
    """The browser's session, CSRF-checked; nobody signed in is 401 rather than DRF's 403."""

    def authenticate_header(self, request: Request) -> str:
        """For WWW-Authenticate: a scheme no browser pops up a window for."""
        return 'Session realm="leukolens"'


class HasRole(BasePermission):
    """Lets in whoever holds, in some clinic, the permission the view names for the action.

    In which clinic is asked where the row is known: `ScopedViewSet.get_object` and `ensure_may`.
    An action the view does not name is nobody's.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether any role of the user's grants it."""
        if not request.user.is_authenticated:
            return False
        if view.action is None:  # a method the address does not have: DRF answers 405
            return True
        permission = view.permissions.get(view.action)
        return permission is not None and request.user.has_perm(permission)


class IsStaff(BasePermission):
    """Lets in whoever works here, whatever their role."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Staff, as opposed to patients and guardians."""
        return is_staff_member(request.user)


class ScopedViewSet(GenericViewSet[Row], Generic[Row]):
    """Rows of the clinics somebody works in: another clinic's are 404, a role too small is 403.

    A subclass names the permission of every action, takes its queryset from a selector and stores
    through a service. It names this class before DRF's mixins, whose ways of storing it replaces.
    """

    model: type[Row]
    permissions: ClassVar[dict[str, str]]
    # '….listed' where a list tells of patients: then who stood on it is noted in the audit trail.
    listed_as: ClassVar[str] = ""
    ordering: ClassVar[tuple[str, ...]]
    authentication_classes = [StaffSession]
    permission_classes = [HasRole]
    pagination_class = ByCursor
    metadata_class = None
    http_method_names = ["get", "post", "patch", "delete", "head"]

    @property
    def actor(self) -> Actor:
        """Whoever is signed in, for the audit trail."""
        return Actor.user(self.request.user)

    def visible(self) -> QuerySet[Row]:
        """What the user may see, from a selector."""
        raise NotImplementedError

    def clinic_of(self, row: Row) -> Any:
        """The id of the clinic that `row` belongs to."""
        return row.clinic_id  # type: ignore[attr-defined]

    def patient_of(self, row: Row) -> Any:
        """The id of the patient that `row` tells of."""
        return row.patient_id  # type: ignore[attr-defined]

    def paginate_queryset(self, queryset: Any) -> Any:
        """A page of the list, noted in the audit trail."""
        page = super().paginate_queryset(queryset)
        if self.listed_as and page:
            told = [(self.clinic_of(row), self.patient_of(row)) for row in page]
            record_listed(self.actor, self.listed_as, told)
        return page

    def store(self, row: Row) -> Row:
        """Write `row` through its service."""
        raise NotImplementedError

    def get_queryset(self) -> QuerySet[Row]:
        """`visible()`, except to the schema generator, which asks as nobody."""
        if getattr(self, "swagger_fake_view", False):
            return self.model._default_manager.none()
        return self.visible()

    def get_object(self) -> Row:
        """The row of the address, if the user may do to it what they came for."""
        row = super().get_object()
        ensure_may(self.request.user, self.permissions[self.action], self.clinic_of(row))
        return row

    def perform_create(self, serializer: Any) -> None:
        """Store a new row, in a clinic where the user may."""
        row = self.model(**serializer.validated_data)
        ensure_may(self.request.user, self.permissions[self.action], self.clinic_of(row))
        serializer.instance = self.store(row)

    def perform_update(self, serializer: Any) -> None:
        """Store the changes to a row that `get_object` has let through."""
        row = serializer.instance
        for name, value in serializer.validated_data.items():
            setattr(row, name, value)
        # Once more: a specimen given another patient lands in that patient's clinic.
        ensure_may(self.request.user, self.permissions[self.action], self.clinic_of(row))
        serializer.instance = self.store(row)


class ClinicSerializer(serializers.ModelSerializer[Clinic]):
    """A clinic, as those who work there see it."""

    class Meta:
        model = Clinic
        fields = ["id", "code", "name", "telephone"]


@extend_schema_view(
    list=extend_schema(
        summary="The clinics you work in",
        responses={200: ClinicSerializer(many=True), **problems(401, 403)},
    )
)
class ClinicViewSet(ScopedViewSet[Clinic], ListModelMixin):
    """The clinics the signed-in user works in."""

    model = Clinic
    serializer_class = ClinicSerializer
    permissions = {"list": "accounts.view_clinic"}
    ordering = ("name", "id")

    def visible(self) -> QuerySet[Clinic]:
        """Those where the user has a role at all."""
        return clinics_where(self.request.user, "accounts.view_clinic")
