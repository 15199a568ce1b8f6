"""Which patients somebody may see: staff by clinic, portal accounts by access."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from hospital.accounts.selectors import clinics_where
from patients.models import Invitation, Patient, PortalAccess


def patients_visible_to(user: Any, permission: str = "patients.view_patient") -> QuerySet[Patient]:
    """The patients of the clinics where `user` holds `permission`."""
    clinics = clinics_where(user, permission)
    return Patient.objects.filter(clinic__in=clinics).select_related("clinic")


def portal_access_visible_to(user: Any) -> QuerySet[PortalAccess]:
    """The portal links of the clinics where `user` manages them."""
    clinics = clinics_where(user, "patients.view_portalaccess")
    return PortalAccess.objects.filter(patient__clinic__in=clinics).select_related(
        "patient", "user"
    )


def invitations_visible_to(user: Any) -> QuerySet[Invitation]:
    """The invitations of the clinics where `user` manages them."""
    clinics = clinics_where(user, "patients.view_invitation")
    return Invitation.objects.filter(patient__clinic__in=clinics).select_related(
        "patient__clinic", "accepted_by"
    )


def live_access(user: Any) -> QuerySet[PortalAccess]:
    """`user`'s own portal links that are neither expired nor revoked."""
    if not user.is_authenticated or not user.is_active:
        return PortalAccess.objects.none()
    unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    return PortalAccess.objects.filter(unexpired, user=user, revoked_at__isnull=True)


def patients_in_portal_of(user: Any) -> QuerySet[Patient]:
    """The patients whose released reports `user` may read in the portal."""
    return Patient.objects.filter(pk__in=live_access(user).values("patient_id")).select_related(
        "clinic"
    )


def patient_topic(patient_id: Any) -> str:
    """The topic on which a patient's portal pages listen."""
    return f"patient.{patient_id}"


def live_topics(user: Any) -> list[str]:
    """The event topics of the patients in `user`'s portal."""
    return [patient_topic(pk) for pk in live_access(user).values_list("patient_id", flat=True)]
