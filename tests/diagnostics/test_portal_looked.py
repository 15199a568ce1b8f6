"""Promise: the family sees who has looked at the record, as the audit trail has it."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from diagnostics import looks
from diagnostics.models import DiagnosticReport
from hospital.accounts.models import Membership, User
from hospital.audit.models import Entry
from tests.hands import page as admin_page
from tests.world import World, look_and_sign

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed(world: World) -> DiagnosticReport:
    report = world.reported()
    return look_and_sign(world.haematologist, report, "benign")


def get(user: User, name: str, *args: Any, **query: Any) -> str:
    client = Client()
    client.force_login(user)
    return client.get(reverse(name, args=args), query).content.decode(errors="replace")


def looked(world: World, **query: Any) -> str:
    return get(world.guardian, "portal-looked", world.patient.pk, **query)


def test_it_names_who_as_what_when_and_what_they_did(
    world: World, signed: DiagnosticReport
) -> None:
    get(world.technician, "case", signed.pk)
    get(world.haematologist, "case-pdf", signed.pk)
    get(world.guardian, "portal-report", signed.pk)
    admin_page(world.administrator, "patients_patient_change", world.patient.pk)
    text = looked(world)
    for said in [
        "Tara Lindt",
        "Laboratory technician, North Clinic",
        "Looked at a report",
        "Hana Sato",
        "Haematologist, North Clinic",
        "Opened a report as PDF",
        "Ada Moreau",
        "Looked at the personal data",
        "<strong>You</strong>",
        "Parent or guardian",
        "Read a report in the portal",
    ]:
        assert said in text, said


def test_it_tells_of_reading_only_and_of_this_patient_only(
    world: World, signed: DiagnosticReport
) -> None:
    get(world.technician, "case", signed.pk)
    admin_page(world.outsider, "patients_patient_change", world.other_patient.pk)
    text = looked(world)
    assert text.count("<li>") == 1
    assert "Olga Petrova" not in text


def test_who_has_left_is_still_named(world: World, signed: DiagnosticReport) -> None:
    get(world.technician, "case", signed.pk)
    Membership.objects.filter(user=world.technician).delete()
    text = looked(world)
    assert "Tara Lindt" in text
    assert "no longer working here" in text


def test_a_long_list_goes_on_page_by_page_and_misses_nobody(
    world: World, signed: DiagnosticReport, monkeypatch: Any
) -> None:
    monkeypatch.setattr(looks, "PAGE", 2)
    for _ in range(5):
        get(world.technician, "case", signed.pk)
    ids = set()
    before = None
    while before != 0:
        found, before = looks.looks_at(world.patient.pk, reader=world.guardian, before=before)
        ids |= {look.at for look in found}
    assert len(ids) == Entry.objects.filter(action="report.read").count() == 5
    assert "Show earlier ones" in looked(world)
    assert "Show earlier ones" in looked(world, before="nonsense")


def test_the_list_leads_there(world: World, signed: DiagnosticReport) -> None:
    address = reverse("portal-looked", args=[world.patient.pk])
    assert address in get(world.guardian, "portal")
