"""Which patients somebody may see: staff by clinic, portal accounts by access."""

from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from hospital.accounts.languages import own_or
from hospital.accounts.selectors import clinics_where
from patients.ages import YOUTH_YEARS, born_by
from patients.models import AccessStanding, Invitation, Patient, PortalAccess, Relation


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
    """`user`'s own portal links that let them read today.

    Guardians until the child is of age, a child's own account from 12 years on.
    """
    if not user.is_authenticated or not user.is_active:
        return PortalAccess.objects.none()
    return PortalAccess.objects.filter(standing(AccessStanding.LIVE), user=user)


def ended_access(user: Any) -> QuerySet[PortalAccess]:
    """`user`'s links as a guardian that ended because the child is of age."""
    if not user.is_authenticated or not user.is_active:
        return PortalAccess.objects.none()
    return PortalAccess.objects.filter(standing(AccessStanding.OF_AGE), user=user)


def standing(of: str) -> Q:
    """The links with this standing today, for a query; they are of exactly one.

    Args:
        of: an `AccessStanding`.
    """
    now, today = timezone.now(), timezone.localdate()
    kept = Q(revoked_at__isnull=True)
    expired = Q(expires_at__isnull=False, expires_at__lte=now)
    adult = Q(patient__birth_date__lte=born_by(settings.MAJORITY_YEARS, today))
    child = Q(patient__birth_date__gt=born_by(YOUTH_YEARS, today))
    of_age = Q(relation=Relation.GUARDIAN) & adult
    too_young = Q(relation=Relation.SELF) & child
    return {
        AccessStanding.REVOKED: ~kept,
        AccessStanding.EXPIRED: kept & expired,
        AccessStanding.OF_AGE: kept & ~expired & of_age,
        AccessStanding.TOO_YOUNG: kept & ~expired & too_young,
        AccessStanding.LIVE: kept & ~expired & ~of_age & ~too_young,
    }[AccessStanding(of)]


def patients_in_portal_of(user: Any) -> QuerySet[Patient]:
    """The patients whose released reports `user` may read in the portal."""
    return Patient.objects.filter(pk__in=live_access(user).values("patient_id")).select_related(
        "clinic"
    )


def family_mails(patient: Patient) -> dict[str, str]:
    """The mail addresses of those who read about `patient` today, each once, with its language."""
    links = PortalAccess.objects.filter(
        standing(AccessStanding.LIVE), patient=patient, user__is_active=True
    )
    mails = links.exclude(user__email="").order_by("user__email")
    return {
        mail: own_or(language, patient.language)
        for mail, language in mails.values_list("user__email", "user__language")
    }


def patient_topic(patient_id: Any) -> str:
    """The topic on which a patient's portal pages listen."""
    return f"patient.{patient_id}"


def live_topics(user: Any) -> list[str]:
    """The event topics of the patients in `user`'s portal."""
    return [patient_topic(pk) for pk in live_access(user).values_list("patient_id", flat=True)]
