"""Promises about roles: what a role grants, it grants in its own clinic, and nothing else."""

import pytest
from django.contrib.auth.models import AnonymousUser

from hospital.accounts import emergency
from hospital.accounts.roles import GRANTS, Role
from hospital.accounts.selectors import (
    clinics_where,
    is_staff_member,
    may,
    permissions_in,
    staff_visible_to,
)
from hospital.accounts.services import grant_role, revoke_role
from tests.world import SETUP, World


@pytest.mark.parametrize("role", Role.values)
def test_a_role_counts_in_its_own_clinic_only(world: World, role: str) -> None:
    user = world.stranger
    grant_role(actor=SETUP, user=user, clinic=world.clinic, role=role)
    for permission in GRANTS[role]:
        assert list(clinics_where(user, permission)) == [world.clinic]
        assert not may(user, permission, world.other_clinic)


def test_asked_for_all_rights_at_once_the_answer_is_the_same(world: World) -> None:
    """Of everybody, here and elsewhere; also in an emergency, for the closed and for nobody."""
    manager = world.stranger
    grant_role(actor=SETUP, user=manager, clinic=world.other_clinic, role=Role.HAEMATOLOGIST)
    emergency.begin(user=manager, clinic=world.clinic, reason="The night's only reader is ill.")
    world.technician.is_active = False
    people = [
        *(world.haematologist, world.administrator, world.superuser, world.guardian),
        *(world.technician, manager, AnonymousUser()),
    ]
    for user in people:
        for clinic in (world.clinic, world.other_clinic):
            rights = permissions_in(user, clinic.pk)
            for permission in frozenset().union(*GRANTS.values()):
                assert (permission in rights) == may(user, permission, clinic), (user, permission)


def test_only_the_haematologist_role_signs() -> None:
    signers = [
        role for role, grants in GRANTS.items() if "diagnostics.sign_diagnosticreport" in grants
    ]
    assert signers == [Role.HAEMATOLOGIST]


def test_two_roles_in_one_clinic_do_not_show_it_twice(world: World) -> None:
    grant_role(actor=SETUP, user=world.technician, clinic=world.clinic, role=Role.HAEMATOLOGIST)
    assert clinics_where(world.technician, "patients.view_patient").count() == 1


def test_nobody_anonymous_or_closed_may_anything(world: World) -> None:
    world.haematologist.is_active = False
    for user in (AnonymousUser(), world.haematologist):
        assert not clinics_where(user, "patients.view_patient").exists()
        assert not is_staff_member(user)


def test_a_patient_is_not_staff(world: World) -> None:
    assert not is_staff_member(world.guardian)
    assert not world.guardian.is_staff


def test_the_last_role_taken_closes_the_admin(world: World) -> None:
    revoke_role(actor=SETUP, membership=world.technician.memberships.get())
    world.technician.refresh_from_db()
    assert not world.technician.is_staff


def test_an_administrator_sees_the_staff_of_their_own_clinic(world: World) -> None:
    seen = set(staff_visible_to(world.administrator))
    assert world.technician in seen
    assert world.outsider not in seen
    assert world.superuser not in seen
