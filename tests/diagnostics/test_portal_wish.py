"""Promises about a family's own wish: it is theirs to say, within the clinic's rule."""

import pytest
from django.test import Client
from django.urls import reverse

from diagnostics.models import DiagnosticReport, Wish
from diagnostics.services import release, wishes
from hospital.audit.models import Entry
from hospital.base.problems import NotFound, Refusal
from tests.diagnostics.test_portal_words import sign
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


def browser(world: World) -> tuple[Client, str]:
    client = Client()
    client.force_login(world.guardian)
    return client, reverse("portal-wish", args=[world.patient.pk])


def is_open(world: World) -> bool:
    return release.is_open(DiagnosticReport.objects.get(specimen=world.specimen))


def test_who_wants_to_be_told_first_reads_after_the_call(world: World) -> None:
    client, page = browser(world)
    assert client.post(page, {"wish": "after_call"})["Location"] == "/portal/"
    report = sign(world)
    assert not is_open(world)
    world.call(report)
    assert is_open(world)


def test_who_wants_it_at_once_gets_it_when_the_clinic_allows_it_and_no_sooner(world: World) -> None:
    client, page = browser(world)
    client.post(page, {"wish": "as_rule"})
    world.release("after_call")
    sign(world)
    assert not is_open(world), "the clinic's rule stands"
    world.release("on_signature")
    assert is_open(world)


def test_a_stricter_wish_takes_nothing_out_of_anybodys_hands(world: World) -> None:
    sign(world)
    client, page = browser(world)
    client.post(page, {"wish": "after_call"})
    assert is_open(world)


def test_the_page_says_who_chose_and_when(world: World) -> None:
    client, page = browser(world)
    client.post(page, {"wish": "after_call"})
    said = client.get(page).content.decode()
    assert str(world.guardian) in said.partition("Chosen by")[2]
    entry = Entry.objects.get(action="release_wish.changed", actor_id=str(world.guardian.pk))
    assert entry.patient_id == world.patient.pk


def test_hiding_everything_is_noted_by_the_clinic_and_taken_back_by_the_family(
    world: World,
) -> None:
    sign(world)
    client, page = browser(world)
    assert client.post(page, {"wish": "not_in_portal"}).status_code == 422
    assert is_open(world)
    release.set_wish(actor=SETUP, patient=world.patient, wish=Wish.NOT_IN_PORTAL)
    assert "no report shall stand here" in client.get(page).content.decode()
    client.post(page, {"wish": "as_rule"})
    assert is_open(world)


def test_nobody_wishes_for_another_family(world: World) -> None:
    with pytest.raises(NotFound):
        wishes.choose(user=world.stranger, patient_id=world.patient.pk, wish="after_call")
    with pytest.raises(Refusal):
        wishes.choose(user=world.guardian, patient_id=world.patient.pk, wish="")
    assert release.wish_of(world.patient.pk) == Wish.AS_RULE
