"""Writes about people and clinics."""

from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from hospital.accounts.models import Clinic, Membership, User
from hospital.accounts.roles import Role
from hospital.accounts.signin import sessions
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Refusal
from hospital.live.services import recheck

PROBE = "leukolens-probe"


class AccountTaken(Conflict):
    """Somebody else has this user name."""

    code = "account_exists"


@transaction.atomic
def found_clinic(
    *,
    actor: Actor,
    code: str,
    name: str,
    telephone: str = "",
) -> Clinic:
    """Create a clinic."""
    return save_clinic(actor=actor, clinic=Clinic(code=code, name=name, telephone=telephone))


@transaction.atomic
def found_probe(*, actor: Actor) -> tuple[Clinic, User]:
    """The end-to-end probe's own clinic and the account that watches it, made when missing.

    The account has no password and no admin; the probe opens a session for itself. In this clinic
    nobody else is ever given a role: it is on nobody's list.
    """
    clinic = Clinic.every.filter(probe=True).first()
    if clinic is None:
        clinic = Clinic.objects.create(code=PROBE, name="End-to-end probe", probe=True)
        record(actor, "clinic.founded", clinic, clinic_id=clinic.pk)
    account = User.objects.filter(memberships__clinic=clinic).first()
    if account is None:
        account = open_account(actor=actor, username=PROBE, password=None, full_name="Probe")
        Membership.objects.create(user=account, clinic=clinic, role=Role.TECHNICIAN)
        record(actor, "role.granted", account, clinic_id=clinic.pk, role=Role.TECHNICIAN)
    return clinic, account


@transaction.atomic
def open_account(
    *,
    actor: Actor,
    username: str,
    password: str | None,
    full_name: str,
    email: str = "",
    is_superuser: bool = False,
    pk: UUID | None = None,
    language: str = "",
) -> User:
    """Create an account that can sign in; with password None it cannot until one is set.

    `pk` is for a passkey made before the account, which holds the account's id.

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
        language=language,
        **({"pk": pk} if pk else {}),
    )
    user.set_password(password)
    user.full_clean(exclude=["password"])
    user.save()
    record(actor, "account.opened", user)
    return user


@transaction.atomic
def save_account(*, actor: Actor, user: User) -> User:
    """Validate and store a changed account; one that is deactivated is shut out at once."""
    user.full_clean(exclude=["password"])
    user.save(update_fields=["username", "first_name", "last_name", "email", "is_active"])
    record(actor, "account.changed", user, active=user.is_active)
    if user.is_active:
        recheck(user.pk)
    else:
        sessions.end_all(actor=actor, user=user)
    return user


def choose_language(*, user: User, language: str) -> None:
    """Remember what somebody wants to read; '' is what their browser asks for."""
    user.language = language
    user.full_clean(exclude=["password"])
    user.save(update_fields=["language"])


@transaction.atomic
def set_password(*, actor: Actor, user: User, password: str, keep: str | None = None) -> None:
    """Give an account a new password. Its sessions end, but for the one with the key `keep`.

    Raises:
        ValidationError: it is too weak.
    """
    check_password_strength(password, user=user)
    user.set_password(password)
    user.save(update_fields=["password"])
    record(actor, "account.password_set", user)
    sessions.end_all(actor=actor, user=user, keep=keep)


@transaction.atomic
def erase_account(*, actor: Actor, user: User) -> None:
    """Close an account for good and take out who it was; the row stays, as a number."""
    sessions.end_all(actor=actor, user=user)
    Authenticator.objects.filter(user=user).delete()
    user.set_unusable_password()
    User.objects.filter(pk=user.pk).update(
        username=f"erased-{user.pk.hex[:24]}",
        first_name="",
        last_name="",
        email="",
        password=user.password,
        is_active=False,
        last_login=None,
    )
    record(actor, "account.erased", user)


@transaction.atomic
def hire(
    *,
    actor: Actor,
    username: str,
    password: str,
    full_name: str,
    email: str,
    clinic: Clinic,
    role: str,
) -> User:
    """Open an account for a new colleague, with their first role.

    Raises:
        ValidationError: the user name is taken or the password too weak.
    """
    check_password_strength(password, user=User(username=username, last_name=full_name))
    user = open_account(
        actor=actor, username=username, password=password, full_name=full_name, email=email
    )
    grant_role(actor=actor, user=user, clinic=clinic, role=role)
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
        recheck(user.pk)
    return membership


@transaction.atomic
def revoke_role(*, actor: Actor, membership: Membership) -> None:
    """Take a role away and end the person's sessions; the last takes the admin with it."""
    user, clinic_id, role = membership.user, membership.clinic_id, membership.role
    membership.delete()
    if not user.is_superuser and not user.memberships.exists():
        user.is_staff = False
        user.save(update_fields=["is_staff"])
    record(actor, "role.revoked", user, clinic_id=clinic_id, role=role)
    sessions.end_all(actor=actor, user=user)


@transaction.atomic
def save_clinic(*, actor: Actor, clinic: Clinic) -> Clinic:
    """Validate and store a new or changed clinic."""
    created = clinic._state.adding
    clinic.full_clean()
    clinic.save()
    action = "clinic.founded" if created else "clinic.changed"
    record(actor, action, clinic, clinic_id=clinic.pk)
    return clinic


def account_for_portal(
    *, actor: Actor, username: str, full_name: str = "", password: str = ""
) -> User:
    """The account of that user name; with a full name and a password a new one.

    Raises:
        AccountTaken: a new one was asked for, but the name is somebody's already. Silently taking
            theirs would show a patient's reports to a stranger.
        Refusal: an existing one was asked for, and there is none.
        ValidationError: the password is too weak.
    """
    user = User.objects.filter(username=username).first()
    if not full_name and not password:
        if user is None:
            raise Refusal(
                "No account has this user name. Give a full name and a password to open one.",
                code="unknown_account",
            )
        return user
    if user is not None:
        raise AccountTaken("This user name is taken. Choose another for the new account.")
    check_password_strength(password, user=User(username=username, last_name=full_name))
    return open_account(actor=actor, username=username, password=password, full_name=full_name)


def check_password_strength(password: str, *, user: User) -> None:
    """Let only a password through that the validators accept.

    Raises:
        ValidationError: it is not, under the field's name.
    """
    try:
        validate_password(password, user=user)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from error


def ensure_clinic_kept(row: Any) -> None:
    """A patient or microscope stays in the clinic where its specimens and pictures are.

    Raises:
        Conflict: `row.clinic` differs from what is stored.
    """
    stored = type(row)._base_manager.filter(pk=row.pk)
    if stored.exclude(clinic_id=row.clinic_id).exists():
        raise Conflict(
            f"A {row._meta.verbose_name} cannot move to another clinic. Register it there anew.",
            code="clinic_fixed",
        )
