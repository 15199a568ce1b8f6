"""Writes about people and clinics."""

from django.db import transaction

from hospital.accounts.models import Clinic, Membership, ReleaseRule, User
from hospital.audit.services import Actor, record


@transaction.atomic
def found_clinic(
    *,
    actor: Actor,
    code: str,
    name: str,
    release_rule: str = ReleaseRule.ON_SIGNATURE,
    telephone: str = "",
) -> Clinic:
    """Create a clinic."""
    clinic = Clinic.objects.create(
        code=code, name=name, release_rule=release_rule, telephone=telephone
    )
    record(actor, "clinic.founded", clinic, clinic_id=clinic.pk)
    return clinic


@transaction.atomic
def open_account(
    *,
    actor: Actor,
    username: str,
    password: str | None,
    full_name: str,
    email: str = "",
    is_superuser: bool = False,
) -> User:
    """Create an account that can sign in; with password None it cannot until one is set.

    `is_staff` (may enter the admin) follows from roles, see `grant_role`.
    """
    given, _, family = full_name.rpartition(" ")
    user = User(
        username=username,
        email=email,
        first_name=given,
        last_name=family,
        is_staff=is_superuser,
        is_superuser=is_superuser,
    )
    user.set_password(password)
    user.full_clean(exclude=["password"])
    user.save()
    record(actor, "account.opened", user)
    return user


@transaction.atomic
def grant_role(*, actor: Actor, user: User, clinic: Clinic, role: str) -> Membership:
    """Give `user` the role in the clinic; granting it twice changes nothing."""
    membership, created = Membership.objects.get_or_create(user=user, clinic=clinic, role=role)
    if created:
        if not user.is_staff:
            user.is_staff = True
            user.save(update_fields=["is_staff"])
        record(actor, "role.granted", user, clinic_id=clinic.pk, role=role)
    return membership


@transaction.atomic
def revoke_role(*, actor: Actor, membership: Membership) -> None:
    """Take a role away; the last one takes the entry to the admin with it."""
    user, clinic_id, role = membership.user, membership.clinic_id, membership.role
    membership.delete()
    if not user.is_superuser and not user.memberships.exists():
        user.is_staff = False
        user.save(update_fields=["is_staff"])
    record(actor, "role.revoked", user, clinic_id=clinic_id, role=role)
