"""Promises of what stands at the head of every page: no more than one's own, in one question."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from devices.models import AlertKind
from devices.services.alerts import raise_alert
from diagnostics.header import Header, header_of, workplaces_of
from diagnostics.models import CriticalFrom, ReadingRule
from hospital.accounts import emergency
from hospital.accounts.models import User
from hospital.accounts.roles import GRANTS, Role
from hospital.accounts.services import grant_role
from tests.diagnostics.test_pages import client_of
from tests.world import SETUP, SURE, World, add_patient, add_specimen


def header(user: Any) -> Header:
    with CaptureQueriesContext(connection) as queries:
        found = header_of(user, workplaces_of(user))
    assert len(queries) <= 1
    return found


def reads_in(user: Any) -> set[Any]:
    return {row.pk for row in workplaces_of(user) if row.reads}


@pytest.fixture
def alarmed(world: World) -> World:
    """An alert in each of the two clinics."""
    for device in (world.device, world.other_device):
        raise_alert(device=device, kind=AlertKind.SILENT)
    return world


def test_alerts_are_those_of_the_microscopes_one_may_see(alarmed: World) -> None:
    """Each once, whatever roles somebody holds there."""
    assert header(alarmed.technician).alerts == 1
    assert header(alarmed.haematologist).alerts == 0
    here, there = alarmed.clinic, alarmed.other_clinic
    grant_role(actor=SETUP, user=alarmed.technician, clinic=here, role=Role.DEVICE_MANAGER)
    assert header(alarmed.technician).alerts == 1
    grant_role(actor=SETUP, user=alarmed.technician, clinic=there, role=Role.HAEMATOLOGIST)
    assert header(alarmed.technician).alerts == 1
    grant_role(actor=SETUP, user=alarmed.technician, clinic=there, role=Role.TECHNICIAN)
    assert header(alarmed.technician).alerts == 2


def test_an_emergency_opens_the_cases_and_nothing_else_there(alarmed: World) -> None:
    reader, there = alarmed.haematologist, alarmed.other_clinic
    ReadingRule.objects.filter(clinic=there).update(own_call_first=True)
    before = header(reader)
    assert reads_in(reader) == {alarmed.clinic.pk}
    emergency.begin(user=reader, clinic=there, reason="A child from there is in our ward.")
    assert reads_in(reader) == {alarmed.clinic.pk, there.pk}
    assert header(reader) == before


def test_who_works_nowhere_has_nothing_and_who_sets_up_everything(alarmed: World) -> None:
    for nobody in (AnonymousUser(), alarmed.guardian):
        assert header(nobody) == Header(frozenset(), 0, calls_first=False)
    alarmed.technician.is_active = False
    assert header(alarmed.technician) == Header(frozenset(), 0, calls_first=False)
    root = User.objects.create(username="root", is_superuser=True)
    everything = frozenset().union(*GRANTS.values())
    assert header(root) == Header(everything, 2, calls_first=False)
    assert reads_in(root) == {alarmed.clinic.pk, alarmed.other_clinic.pk}


def test_a_microscopes_keeper_reads_no_cases(alarmed: World) -> None:
    """Who only looks after microscopes in the other clinic is shown none of its reports."""
    there = alarmed.other_clinic
    grant_role(actor=SETUP, user=alarmed.technician, clinic=there, role=Role.DEVICE_MANAGER)
    assert header(alarmed.technician).alerts == 2
    assert reads_in(alarmed.technician) == {alarmed.clinic.pk}
    page = client_of(alarmed.technician).get(reverse("worklist"))
    assert page.context["clinics"] == [alarmed.clinic]


def test_the_worklist_asks_ten_questions_also_while_critical_results_wait(world: World) -> None:
    """However many they are: asked for once, for the banner and the rows together."""
    world.critical_from(CriticalFrom.MODEL)
    client = client_of(world.technician)
    for number in (1, 2):
        patient = add_patient(world.clinic, f"MRN-{number}", "Kowalska", "Zofia")
        image = world.receive(number, specimen=add_specimen(patient, f"A-{number}"))
        world.succeed(image, SURE)
        client.get(reverse("worklist"))  # whoever is new on the list is noted once
        with CaptureQueriesContext(connection) as queries:
            page = client.get(reverse("worklist")).content.decode()
        assert page.count("Critical, to be told:") == number
        assert len(queries) <= 10
