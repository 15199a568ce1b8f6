"""Clinics, colleagues and roles in the admin: nobody reaches beyond their clinic or above it."""

from typing import Any

import pytest

from hospital.accounts.models import Clinic, Membership, User
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role
from hospital.audit.models import Entry
from tests.hands import errors, page, send
from tests.world import PASSWORD, SETUP, World

pytestmark = pytest.mark.django_db

# --- people -----------------------------------------------------------------------------------

# How reports are signed there: the form asks for it.
SIGNING = {"fields_to_see": "every", "second_reader": "never"}
COLLEAGUE = {
    "username": "newcomer",
    "full_name": "Nina Comer",
    "email": "",
    "password": "three calm words",
    "role": Role.TECHNICIAN,
}


def test_a_colleague_is_hired_into_the_own_clinic(world: World) -> None:
    answer = send(world.administrator, "accounts_user_add", clinic=world.clinic.pk, **COLLEAGUE)
    user = User.objects.filter(username="newcomer").first()
    assert user is not None, errors(answer)
    assert user.check_password("three calm words")
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert Membership.objects.get(user=user).clinic == world.clinic


@pytest.mark.parametrize(
    "changes", [{"clinic": "other"}, {"password": "short"}, {"username": "outsider"}]
)
def test_hiring_that_cannot_be_meant_opens_no_account(
    world: World, changes: dict[str, Any]
) -> None:
    before = User.objects.count()
    changes = {k: world.other_clinic.pk if v == "other" else v for k, v in changes.items()}
    fields = {**COLLEAGUE, "clinic": world.clinic.pk, **changes}
    send(world.administrator, "accounts_user_add", **fields)
    assert User.objects.count() == before


def test_nobody_becomes_superuser_in_a_form(world: World) -> None:
    fields = {
        "username": "technician",
        "first_name": "T",
        "is_active": "on",
        "is_superuser": "on",
        "is_staff": "on",
    }
    send(world.administrator, "accounts_user_change", world.technician.pk, **fields)
    world.technician.refresh_from_db()
    assert world.technician.first_name == "T"
    assert not world.technician.is_superuser


def test_roles_are_granted_and_revoked_in_the_own_clinic_only(world: World) -> None:
    grant = {"user": world.technician.pk, "role": Role.HAEMATOLOGIST}
    there = send(
        world.administrator, "accounts_membership_add", clinic=world.other_clinic.pk, **grant
    )
    assert "clinic" in errors(there)
    send(world.administrator, "accounts_membership_add", clinic=world.clinic.pk, **grant)
    mine = Membership.objects.get(user=world.technician, role=Role.HAEMATOLOGIST)
    send(world.administrator, "accounts_membership_delete", mine.pk, post="yes")
    assert not Membership.objects.filter(pk=mine.pk).exists()
    assert Entry.objects.filter(action="role.revoked").exists()
    theirs = Membership.objects.get(user=world.outsider)
    send(world.administrator, "accounts_membership_delete", theirs.pk, post="yes")
    assert Membership.objects.filter(pk=theirs.pk).exists()


def test_a_colleagues_roles_elsewhere_are_not_told(world: World) -> None:
    grant_role(actor=SETUP, user=world.outsider, clinic=world.clinic, role=Role.TECHNICIAN)
    text = page(world.administrator, "accounts_user_change", world.outsider.pk).content.decode()
    assert "Laboratory technician, North Clinic" in text
    assert "South Clinic" not in text


def set_password(user: User, account: User) -> Any:
    fields = {"new_password1": "other calm words", "new_password2": "other calm words"}
    return send(user, "accounts_user_password", account.pk, **fields)


def test_an_administrator_sets_a_colleagues_password(world: World) -> None:
    set_password(world.administrator, world.technician)
    world.technician.refresh_from_db()
    assert world.technician.check_password("other calm words")


def test_an_administrator_cannot_take_over_an_account(world: World) -> None:
    """Neither a superuser's, nor one that also opens another clinic."""
    grant_role(actor=SETUP, user=world.outsider, clinic=world.clinic, role=Role.HAEMATOLOGIST)
    grant_role(actor=SETUP, user=world.superuser, clinic=world.clinic, role=Role.TECHNICIAN)
    for account in [world.outsider, world.superuser, world.stranger]:
        assert set_password(world.administrator, account).status_code == 403
        account.refresh_from_db()
        assert account.check_password(PASSWORD)


def test_only_the_superuser_founds_clinics(world: World) -> None:
    fields = {"name": "East", "code": "east", "paper": "letter", **SIGNING}
    assert send(world.administrator, "accounts_clinic_add", **fields).status_code == 403
    send(world.superuser, "accounts_clinic_add", **fields)
    assert Clinic.objects.filter(code="east").exists()


def test_a_clinic_is_changed_and_audited(world: World) -> None:
    fields = {"name": "North Clinic", "telephone": "555 0111", "paper": "a4", **SIGNING}
    send(world.administrator, "accounts_clinic_change", world.clinic.pk, **fields)
    world.clinic.refresh_from_db()
    assert world.clinic.telephone == "555 0111"
    assert Entry.objects.get(action="clinic.changed").actor_name == "Ada Moreau"
