"""Who may do what, where. Every scoped read in the product stands on `clinics_where`."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from hospital.accounts.models import BreakGlass, Clinic, Lockout, Membership, Tried, User
from hospital.accounts.roles import BREAK_GLASS, EMERGENCY, GRANTS, Role, roles_granting
from hospital.audit.models import Entry

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser


def clinics_where(user: "User | AnonymousUser", permission: str) -> QuerySet[Clinic]:
    """The clinics in which `user` holds `permission` ('app.action_model').

    A superuser holds every permission everywhere; an inactive or anonymous user none. The probe's
    clinic is nobody's but the probe's own account.
    """
    if not user.is_active or not user.is_authenticated:
        return Clinic.objects.none()
    if user.is_superuser:
        return Clinic.objects.all()
    # A subquery, not a join: callers filter on it and must not get rows twice.
    held = Membership.objects.filter(user=user, role__in=roles_granting(permission))
    here = Q(pk__in=held.values("clinic_id"))
    if permission in EMERGENCY:
        here |= Q(pk__in=_broken_into(user).values("clinic_id"))
    return Clinic.every.filter(here)


def _broken_into(user: User) -> QuerySet[BreakGlass]:
    """The emergencies of `user` that are not over, while they read cases somewhere."""
    return BreakGlass.objects.filter(
        user=user,
        ended_at=None,
        ends_at__gt=timezone.now(),
        user__memberships__role__in=roles_granting(BREAK_GLASS),
    )


def clinic_ids_where(user: "User | AnonymousUser", permission: str) -> list[UUID]:
    """The ids of the clinics in which `user` holds `permission`, looked up now."""
    return list(clinics_where(user, permission).order_by().values_list("pk", flat=True))


def may(user: "User | AnonymousUser", permission: str, clinic: Clinic | Any) -> bool:
    """Whether `user` holds `permission` in `clinic` (a Clinic or its id)."""
    clinic_id = clinic.pk if isinstance(clinic, Clinic) else clinic
    return clinics_where(user, permission).filter(pk=clinic_id).exists()


def permissions_in(user: "User | AnonymousUser", clinic_id: UUID) -> frozenset[str]:
    """Every permission that some role gives and `user` holds in a clinic, looked up at once.

    For a page that asks many times; it says of each what `may` says.
    """
    if not user.is_active or not user.is_authenticated:
        return frozenset()
    if user.is_superuser:
        there = Clinic.objects.filter(pk=clinic_id).exists()
        return frozenset().union(*GRANTS.values()) if there else frozenset()
    roles = Membership.objects.filter(user=user, clinic_id=clinic_id).values_list("role", flat=True)
    rights: frozenset[str] = frozenset().union(*(GRANTS[role] for role in roles))
    if not rights >= EMERGENCY and _broken_into(user).filter(clinic_id=clinic_id).exists():
        rights |= EMERGENCY
    return rights


def permissions_of(user: User) -> frozenset[str]:
    """Every permission `user` holds in at least one clinic."""
    roles = set(Membership.objects.filter(user=user).values_list("role", flat=True))
    return frozenset().union(*(GRANTS[role] for role in roles))


def is_staff_member(user: "User | AnonymousUser") -> bool:
    """Whether `user` works here (as opposed to a patient or guardian)."""
    if not user.is_authenticated or not user.is_active:
        return False
    return user.is_superuser or Membership.objects.filter(user=user).exists()


def staff_visible_to(user: User) -> QuerySet[User]:
    """The staff whose accounts `user` may see: those of the clinics they administer."""
    if user.is_superuser:
        return User.objects.all()
    clinics = clinics_where(user, "accounts.view_user")
    colleagues = Membership.objects.filter(clinic__in=clinics)
    return User.objects.filter(pk__in=colleagues.values("user_id"))


def may_manage_account(user: User, account: User) -> bool:
    """Whether `user` may change `account` or set its password.

    Only where they administer every clinic in which it works: else an administrator could take
    over a colleague's account and with it another clinic.
    """
    if user.is_superuser:
        return True
    clinics = clinics_where(user, "accounts.change_user")
    works_in = Membership.objects.filter(user=account)
    own = works_in.filter(clinic__in=clinics).exists()
    return own and not account.is_superuser and not works_in.exclude(clinic__in=clinics).exists()


def staff_mails(clinic: Clinic, role: Role) -> list[str]:
    """The mail addresses of those who hold `role` in `clinic` and are active; each once."""
    held = Membership.objects.filter(clinic=clinic, role=role)
    people = User.objects.filter(pk__in=held.values("user_id"), is_active=True).exclude(email="")
    return sorted(set(people.values_list("email", flat=True)))


def people_who(permission: str, clinics: Collection[UUID]) -> QuerySet[User]:
    """Who holds `permission` in some of `clinics`, given by id, by name; no superusers."""
    held = Membership.objects.filter(clinic__in=clinics, role__in=roles_granting(permission))
    return User.objects.filter(pk__in=held.values("user_id")).order_by("last_name", "username")


def memberships_visible_to(user: User) -> QuerySet[Membership]:
    """Who works as what in the clinics whose staff `user` administers."""
    clinics = clinics_where(user, "accounts.view_membership")
    return Membership.objects.filter(clinic__in=clinics).select_related("user", "clinic")


def lockouts_visible_to(user: User) -> QuerySet[Lockout]:
    """Wrong tries at the accounts of the staff `user` administers, and from any address.

    Also at the accounts that read in the portal about the patients of their clinics. A network
    address belongs to no clinic. Names that nobody has are for superusers.
    """
    rows = Lockout.objects.select_related("user")
    if user.is_superuser:
        return rows
    if not clinics_where(user, "accounts.view_lockout").exists():
        return rows.none()
    staff = staff_visible_to(user)
    readers = User.objects.filter(
        portal_access__patient__clinic__in=clinics_where(user, "patients.view_portalaccess")
    )
    return rows.filter(
        Q(kind=Tried.ADDRESS) | Q(user__in=staff.values("pk")) | Q(user__in=readers.values("pk"))
    )


def audit_visible_to(user: User) -> QuerySet[Entry]:
    """The part of the audit trail about the clinics whose trail `user` may read.

    Here and not in `hospital.audit`, which knows nobody.
    """
    if user.is_superuser:
        return Entry.objects.all()
    clinics = clinics_where(user, "audit.view_entry")
    return Entry.objects.filter(clinic_id__in=clinics.values("pk"))


def live_topics(user: User) -> list[str]:
    """The event topics of the clinics whose cases or microscopes `user` may follow."""
    cases = clinic_ids_where(user, "diagnostics.view_diagnosticreport")
    fleets = clinic_ids_where(user, "devices.view_device")
    return [*map(clinic_topic, cases), *map(fleet_topic, fleets)]


def clinic_topic(clinic_id: Any) -> str:
    """The topic on which a clinic's screens listen."""
    return f"clinic.{clinic_id}"


def fleet_topic(clinic_id: Any) -> str:
    """The topic on which screens listen that show a clinic's microscopes."""
    return f"fleet.{clinic_id}"
