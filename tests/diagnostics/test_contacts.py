"""Promises about the record of calls: it holds what was told, and settles no more than that."""

import threading

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from diagnostics.models import (
    CallBack,
    CallBackState,
    ContactTry,
    CriticalFinding,
    CriticalFrom,
    DiagnosticReport,
)
from diagnostics.pages.contacts import contacts_context
from diagnostics.possible import case_actions
from diagnostics.selectors import open_call_backs
from diagnostics.services import contacts, critical
from hospital.accounts.models import User
from hospital.base.problems import Conflict, Forbidden, Refusal
from tests.diagnostics.test_changes import amend
from tests.diagnostics.test_critical import CLINICIAN, second, sign
from tests.world import BENIGN, World, look

pytestmark = pytest.mark.django_db


# --- what is kept of a call ----------------------------------------------------------------------


def test_a_record_of_a_call_keeps_what_was_told_and_never_changes(world: World) -> None:
    report = sign(world, world.reported())
    made = world.call(report, **CLINICIAN, outcome="reached", note="will call back")
    kept = (made.value, made.source, made.version, made.name, made.role, made.by)
    assert kept == ("pre_b", "signed", report.version, "Dr Idris", "ward 3", world.haematologist)
    for change in (
        lambda: ContactTry.objects.update(outcome="confirmed"),
        lambda: ContactTry.objects.all().delete(),
        lambda: CriticalFinding.objects.update(value="benign"),
    ):
        with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
            change()


def test_of_a_record_of_a_call_only_the_person_can_be_forgotten(world: World) -> None:
    """By erasure, and nothing else with it."""
    world.call(sign(world, world.reported()), **CLINICIAN, outcome="reached")
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        ContactTry.objects.update(name="(erased)", role="", note="", value="benign")
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        ContactTry.objects.update(name="Dr Nobody")
    assert ContactTry.objects.update(name="(erased)", role="", note="") == 1


def test_what_has_changed_since_the_page_was_loaded_was_not_told(world: World) -> None:
    report = sign(world, world.reported(), "pro_b")
    call = contacts.Call(outcome="confirmed", **CLINICIAN)
    with pytest.raises(Conflict) as refused:
        contacts.note(user=world.haematologist, report=report, value="pre_b", call=call)
    assert refused.value.code == "value_changed"
    assert not ContactTry.objects.exists()


def test_a_call_needs_a_name_an_end_and_a_role_that_may(world: World) -> None:
    report = sign(world, world.reported())
    with pytest.raises(Refusal) as nameless:
        world.call(report, relation="clinician", name=" ", outcome="reached")
    assert nameless.value.code == "name_missing"
    with pytest.raises(Refusal) as endless:
        world.call(report, outcome="")
    assert endless.value.code == "call_incomplete"
    call = contacts.Call(outcome="confirmed", **CLINICIAN)
    for user in (world.outsider, world.administrator, world.guardian):
        with pytest.raises(Forbidden):
            contacts.note(user=user, report=report, value="pre_b", call=call)
    assert contacts.note(user=world.technician, report=report, value="pre_b", call=call)


# --- what a call has said, and what it has not ------------------------------------------------


def while_telling(world: World, conclusion: str) -> tuple[DiagnosticReport, DiagnosticReport]:
    """A Pre-B that somebody is telling, and another sample that a colleague signs meanwhile."""
    return sign(world, world.reported()), sign(world, second(world), conclusion)


def test_a_call_about_one_sample_leaves_what_another_says_to_be_told(world: World) -> None:
    """Nobody has heard of the Pro-B: the banner stands until they have."""
    told, untold = while_telling(world, "pro_b")
    world.call(told, **CLINICIAN, outcome="confirmed")
    (back,) = open_call_backs(world.technician)
    assert [(one.report, one.value) for one in back.shown] == [(untold, "pro_b")]
    assert (back.tries, back.escalated) == (0, 0)
    world.call(untold, **CLINICIAN, outcome="confirmed")
    assert not open_call_backs(world.technician)
    assert set(CallBack.objects.values_list("state", flat=True)) == {CallBackState.CONFIRMED}


def test_a_call_about_one_sample_is_one_about_the_same_result_of_another(world: World) -> None:
    told, _ = while_telling(world, "pre_b")
    world.call(told, **CLINICIAN, outcome="confirmed")
    assert CallBack.objects.get().state == CallBackState.CONFIRMED


def test_a_call_about_what_is_not_critical_settles_nothing(world: World) -> None:
    malignant, benign = while_telling(world, "benign")
    world.call(benign, **CLINICIAN, outcome="confirmed")
    (back,) = open_call_backs(world.technician)
    assert back.shown[0].report == malignant
    assert CallBack.objects.count() == 1


def test_a_call_about_the_models_word_of_one_leaves_the_others_signature(world: World) -> None:
    world.critical_from(CriticalFrom.MODEL)
    first = world.reported()
    signed = sign(world, second(world))
    world.call(first, **CLINICIAN, outcome="confirmed")
    (back,) = open_call_backs(world.technician)
    assert {one.report for one in back.shown} == {signed}


def test_what_was_not_told_is_not_covered_by_the_call_that_did_not_tell_it(world: World) -> None:
    told, untold = while_telling(world, "pro_b")
    world.call(told, **CLINICIAN, outcome="confirmed")
    world.succeed(world.receive(78, specimen=untold.specimen))
    (back,) = open_call_backs(world.technician)
    assert back.shown[0].value == "pro_b"


def test_the_record_says_of_each_call_back_only_what_was_told_by_it(world: World) -> None:
    told, untold = while_telling(world, "pro_b")
    world.call(told, **CLINICIAN, outcome="confirmed")
    for report, stands in ((told, "Told and read back"), (untold, "To be told")):
        (back,) = contacts_context(report, case_actions(world.technician, report))["call_backs"]
        assert back.get_state_display() == stands
        assert {finding.report for finding in back.findings.all()} == {report}


def test_a_word_that_the_model_took_back_waits_for_a_person_also_after_anothers_call(
    world: World,
) -> None:
    world.critical_from(CriticalFrom.MODEL)
    unsure = second(world)
    told = sign(world, world.reported(), "pro_b")
    for seed in (79, 80):
        world.succeed(world.receive(seed, specimen=unsure.specimen), BENIGN)
    assert critical.finding_of(DiagnosticReport.objects.get(pk=unsure.pk)) is None
    world.call(told, **CLINICIAN, outcome="confirmed")
    (back,) = open_call_backs(world.technician)
    assert {one.report for one in back.shown} == {unsure}
    sign(world, unsure, "benign")
    assert not open_call_backs(world.technician)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="asked of the hospital's database")
@pytest.mark.parametrize("end", ["confirmed", "dropped"])
def test_what_is_found_while_a_call_back_ends_does_not_end_with_it(
    world: World, colleague: User, end: str
) -> None:
    first = sign(world, world.reported())
    other = second(world)
    look(world.haematologist, other)
    thread = threading.Thread(target=_sign_beside, args=(world, other))
    with transaction.atomic():
        if end == "confirmed":
            world.call(first, **CLINICIAN, outcome="confirmed")
        else:
            amend(colleague, first)
        thread.start()
        while thread.is_alive() and not _somebody_waits():
            thread.join(0.05)
    thread.join()
    (back,) = open_call_backs(world.technician)
    assert [(one.report, one.value) for one in back.shown] == [(other, "pro_b")]


def _sign_beside(world: World, report: DiagnosticReport) -> None:
    try:
        sign(world, report, "pro_b")
    finally:
        connection.close()


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


# --- on the case page -------------------------------------------------------------------------


def test_a_call_is_noted_on_the_case_page(world: World) -> None:
    report = sign(world, world.reported())
    client = Client()
    client.force_login(world.technician)
    address = reverse("case-contact", args=[report.pk])
    said = client.post(address, {**CLINICIAN, "outcome": "", "value": "pre_b"}, follow=True)
    assert "Say whom you called" in said.content.decode()
    client.post(address, {**CLINICIAN, "outcome": "confirmed", "value": "pre_b"})
    assert ContactTry.objects.get().by == world.technician


@pytest.mark.parametrize(("line", "most"), [("name", 120), ("role", 120), ("note", 400)])
def test_a_record_that_nobody_can_change_is_not_kept_with_less_than_was_typed(
    world: World, line: str, most: int
) -> None:
    report = sign(world, world.reported())
    client = Client()
    client.force_login(world.technician)
    address = reverse("case-contact", args=[report.pk])
    typed = {**CLINICIAN, "note": "asked for a transfer", "outcome": "confirmed", "value": "pre_b"}
    typed[line] = "x" * (most + 1)
    said = client.post(address, typed)
    page = said.content.decode()
    assert said.status_code == 422
    assert f"The {line} has {most + 1} characters, and {most} is the most. Shorten it." in page
    for text in (typed["name"], typed["role"], typed["note"], 'value="confirmed" required checked'):
        assert text in page
    assert not ContactTry.objects.exists()
    client.post(address, {**typed, line: "x" * most})
    assert getattr(ContactTry.objects.get(), line) == "x" * most
