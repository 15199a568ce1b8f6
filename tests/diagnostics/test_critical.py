"""Critical results: somebody must be told, and reads it back; until then everybody is reminded."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from diagnostics.models import (
    CallBack,
    CallBackState,
    ContactTry,
    CriticalFinding,
    CriticalFrom,
    DiagnosticReport,
    Escalation,
    EscalationStep,
)
from diagnostics.pages.contacts import contacts_context
from diagnostics.possible import case_actions
from diagnostics.selectors import open_call_backs
from diagnostics.services import contacts, critical, escalation, own_call
from diagnostics.services.specimens import register_specimen
from hospital.accounts.models import User
from hospital.accounts.roles import Role
from hospital.audit.models import Entry
from hospital.base import mailing
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.live.models import Event
from tests.diagnostics.test_changes import amend, withdraw
from tests.world import BENIGN, SETUP, SURE, UNSURE, World, look, look_and_sign

pytestmark = pytest.mark.django_db

CLINICIAN = {"relation": "clinician", "name": "Dr Idris", "role": "ward 3"}


def sign(world: World, report: DiagnosticReport, conclusion: str = "pre_b") -> DiagnosticReport:
    report = DiagnosticReport.objects.get(pk=report.pk)
    return look_and_sign(world.haematologist, report, conclusion)


def second(world: World, probabilities: Any = SURE) -> DiagnosticReport:
    """A report on another sample of the same patient."""
    specimen = register_specimen(
        actor=SETUP,
        patient=world.patient,
        accession="N-77",
        collected_at=world.specimen.collected_at,
    )
    world.succeed(world.receive(77, specimen=specimen), probabilities)
    return DiagnosticReport.objects.get(specimen=specimen)


def page(user: User, report: DiagnosticReport) -> str:
    client = Client()
    client.force_login(user)
    return client.get(reverse("case", args=[report.pk])).content.decode()


# --- what raises it ---------------------------------------------------------------------------


def test_a_signed_malignant_pattern_raises_a_call_back(world: World) -> None:
    report = world.reported()
    assert not CallBack.objects.exists()
    sign(world, report)
    back = CallBack.objects.get()
    finding = back.findings.get()
    assert (back.patient, back.state) == (world.patient, CallBackState.OPEN)
    assert (finding.report, finding.source, finding.value) == (report, "signed", "pre_b")
    assert Entry.objects.filter(action="call_back.raised", subject_id=str(back.pk)).exists()
    assert Event.objects.filter(kind="critical.changed", subject=report.pk).exists()


@pytest.mark.parametrize("conclusion", ["benign", "undetermined"])
def test_another_conclusion_raises_none(world: World, conclusion: str) -> None:
    sign(world, world.reported(), conclusion)
    assert not CallBack.objects.exists()


def test_the_models_word_raises_it_at_once_where_the_clinic_wants_that(world: World) -> None:
    world.critical_from(CriticalFrom.MODEL)
    world.reported()
    assert CallBack.objects.get().findings.get().source == "model"


@pytest.mark.parametrize("probabilities", [BENIGN, UNSURE])
def test_what_the_model_is_not_sure_of_raises_none(world: World, probabilities: Any) -> None:
    world.critical_from(CriticalFrom.MODEL)
    world.reported(probabilities)
    assert not CallBack.objects.exists()


def test_a_clinic_may_want_none(world: World) -> None:
    world.critical_from(CriticalFrom.NEVER)
    sign(world, world.reported())
    assert not CallBack.objects.exists()


def test_before_a_readers_own_call_the_models_word_raises_none(world: World) -> None:
    """A banner would tell what the model says; after the call it tells whoever has called."""
    world.critical_from(CriticalFrom.MODEL)
    world.own_call_first()
    report = world.reported()
    assert not CallBack.objects.exists()
    own_call.commit(user=world.haematologist, report=report, call="pre_b")
    assert CallBack.objects.exists()
    assert open_call_backs(world.haematologist)
    assert not open_call_backs(world.technician)


# --- repeats are counted ----------------------------------------------------------------------


def test_repeats_are_counted_and_not_stacked(world: World) -> None:
    """More pictures, another sample, the signature: one call-back for the patient."""
    world.critical_from(CriticalFrom.MODEL)
    report = world.reported()
    world.succeed(world.receive(5))
    assert CriticalFinding.objects.count() == 1
    second(world)
    sign(world, report)
    (row,) = open_call_backs(world.technician)
    assert len(row.shown) == 3


def test_after_a_call_that_was_read_back_the_same_result_is_no_news_for_a_day(world: World) -> None:
    sign(world, world.reported())
    world.call(DiagnosticReport.objects.get(), **CLINICIAN, outcome="confirmed")
    sign(world, second(world))
    assert CallBack.objects.get().findings.count() == 2
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        specimen = register_specimen(
            actor=SETUP,
            patient=world.patient,
            accession="N-78",
            collected_at=world.specimen.collected_at,
        )
        world.succeed(world.receive(78, specimen=specimen))
        sign(world, DiagnosticReport.objects.get(specimen=specimen))
        assert CallBack.objects.filter(state=CallBackState.OPEN).count() == 1


def test_a_call_about_the_models_word_does_not_cover_the_signature(world: World) -> None:
    world.critical_from(CriticalFrom.MODEL)
    report = world.reported()
    world.call(report, **CLINICIAN, outcome="confirmed")
    sign(world, report)
    assert CallBack.objects.filter(state=CallBackState.OPEN).count() == 1


# --- what ends it -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("confirmed", "confirmed"), ("reached", "open"), ("unreached", "open")],
)
def test_only_what_was_read_back_ends_it(world: World, outcome: str, state: str) -> None:
    report = sign(world, world.reported())
    made = world.call(report, **CLINICIAN, outcome=outcome)
    back = CallBack.objects.get()
    assert (back.state, made.call_back) == (state, back)
    assert bool(open_call_backs(world.technician)) == (state == "open")


def test_a_reader_who_finds_nothing_malignant_ends_it(world: World) -> None:
    world.critical_from(CriticalFrom.MODEL)
    report = world.reported()
    sign(world, report, "benign")
    assert CallBack.objects.get().state == CallBackState.DROPPED
    assert Entry.objects.filter(action="call_back.dropped").exists()


def test_who_was_told_what_stands_no_more_is_told_so(world: World) -> None:
    """A ward that heard of leukaemia must not go on treating what a reader has taken back."""
    signed = sign(world, world.reported())
    world.call(signed, **CLINICIAN, outcome="confirmed")
    assert not open_call_backs(world.technician)

    benign = amend(world.haematologist, signed)

    (back,) = open_call_backs(world.technician)
    assert (back.shown[0].source, back.shown[0].value) == ("changed", "benign")
    assert "Benign (haematogones) (signed, instead of what was told)" in page(
        world.technician, benign
    )
    world.call(benign, **CLINICIAN, outcome="confirmed")
    assert not open_call_backs(world.technician)

    again = amend(world.haematologist, benign, conclusion="pre_b", reason="The first was right.")

    (back,) = open_call_backs(world.technician)
    assert (back.shown[0].source, back.shown[0].value) == ("signed", "pre_b")
    assert not world.call(again, **CLINICIAN, outcome="reached").confirmed
    assert open_call_backs(world.technician)


def test_a_change_that_is_taken_back_before_it_was_told_need_not_be_told(world: World) -> None:
    """The ward knows what stands: a banner that still says the other would mislead it."""
    signed = sign(world, world.reported())
    world.call(signed, **CLINICIAN, outcome="confirmed")
    benign = amend(world.haematologist, signed)
    assert open_call_backs(world.technician)
    amend(world.haematologist, benign, conclusion="pre_b", reason="The first was right.")
    assert not open_call_backs(world.technician)


def test_a_change_that_nobody_was_told_before_raises_none(world: World) -> None:
    signed = sign(world, world.reported())
    world.call(signed, relation="clinician", outcome="unreached")
    amend(world.haematologist, signed)
    assert CallBack.objects.get().state == CallBackState.DROPPED


@pytest.mark.parametrize("whom", [CLINICIAN, {"relation": "guardian", "name": "Nadia Rahman"}])
def test_what_was_told_and_is_withdrawn_is_told_too(world: World, whom: dict[str, str]) -> None:
    signed = sign(world, world.reported())
    world.call(signed, **CLINICIAN, outcome="confirmed")

    gone = withdraw(world.haematologist, signed)

    (back,) = open_call_backs(world.technician)
    assert (back.shown[0].source, back.shown[0].value) == ("withdrawn", "pre_b")
    assert "Keep this call" in page(world.haematologist, gone)
    made = world.call(gone, **whom, outcome="confirmed")
    assert (made.source, made.value) == ("withdrawn", "pre_b")
    assert not open_call_backs(world.technician)


def test_it_stands_while_another_sample_of_the_patient_is_critical(world: World) -> None:
    world.critical_from(CriticalFrom.MODEL)
    report = world.reported()
    second(world)
    sign(world, report, "benign")
    assert CallBack.objects.get().state == CallBackState.OPEN


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


# --- what a call has said, and what it has not -------------------------------------------------


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


# --- screens ----------------------------------------------------------------------------------


def test_the_banner_stands_on_every_page_of_the_clinics_staff_until_it_is_told(
    world: World,
) -> None:
    report = sign(world, world.reported())
    pages = [reverse("worklist"), reverse("worklist-live"), reverse("case-live", args=[report.pk])]
    clients = {}
    for name in ("technician", "outsider", "device_manager", "guardian"):
        clients[name] = Client()
        clients[name].force_login(getattr(world, name))
    for address in [*pages, reverse("account")]:
        assert "Critical, to be told" in _text(clients["technician"], address) or "live" in address
    assert "to be told</span>" in _text(clients["technician"], f"{reverse('worklist')}?show=signed")
    for name in ("outsider", "device_manager", "guardian"):
        assert "Critical, to be told" not in _text(clients[name], reverse("account"))
    world.call(report, **CLINICIAN, outcome="confirmed")
    assert "Critical, to be told" not in _text(clients["technician"], reverse("worklist"))
    case = page(world.technician, report)
    assert "Told, and read back to me" in case
    assert "Dr Idris, ward 3" in case


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


def _text(client: Client, address: str) -> str:
    return client.get(address).content.decode()


# --- escalation -------------------------------------------------------------------------------


@pytest.fixture
def chain(world: World) -> World:
    """Haematologists at once, the technician by name after 20 minutes, administrators after 60."""
    people = (world.haematologist, world.technician, world.administrator)
    for user in people:
        User.objects.filter(pk=user.pk).update(email=f"{user.username}@example.org")
    for minutes, to in ((20, {"person": world.technician}), (60, {"role": Role.ADMINISTRATOR})):
        step = EscalationStep(clinic=world.clinic, minutes=minutes, **to)
        escalation.save_step(actor=SETUP, step=step)
    return world


def swept_at(minutes: float) -> list[str]:
    """To whom the watch mails when it comes so many minutes after the result."""
    mail.outbox.clear()
    raised = CallBack.objects.get().raised_at
    with time_machine.travel(raised + timedelta(minutes=minutes)):
        escalation.sweep()
    return sorted(message.to[0] for message in mail.outbox)


def test_who_is_next_is_told_when_nobody_has_called(chain: World) -> None:
    sign(chain, chain.reported())
    assert swept_at(0.1) == ["haematologist@example.org"]
    assert swept_at(0.2) == []
    assert swept_at(19) == []
    assert swept_at(20.5) == ["technician@example.org"]
    assert swept_at(61) == ["administrator@example.org"]
    assert swept_at(1000) == []
    assert Escalation.objects.count() == 3


def test_a_mail_tells_neither_whose_result_it_is_nor_what(chain: World, settings: Any) -> None:
    settings.PUBLIC_URL = "https://lab.example.org"
    report = sign(chain, chain.reported())
    swept_at(1)
    (message,) = mail.outbox
    text = f"{message.subject} {message.body}"
    for secret in ("Rahman", "Amina", "N-2026", "N-1", "Pre-B", "leuk", "alignant"):
        assert secret not in text
    assert f"/cases/{report.pk}/" in text


def test_a_watch_that_was_away_tells_them_all_and_nobody_twice(chain: World) -> None:
    """One step a round, so that the first to be told have a chance."""
    sign(chain, chain.reported())
    told = [swept_at(90) for _ in range(5)]
    assert [len(one) for one in told] == [1, 1, 1, 0, 0]


def test_what_is_told_escalates_no_further(chain: World) -> None:
    report = sign(chain, chain.reported())
    swept_at(0.1)
    chain.call(report, **CLINICIAN, outcome="confirmed")
    assert swept_at(200) == []


def test_what_a_call_did_not_tell_is_escalated_by_its_own_time(chain: World) -> None:
    """From the step that is due by when it was found, whatever was escalated before."""
    told = sign(chain, chain.reported())
    with time_machine.travel(timezone.now() + timedelta(minutes=90)):
        for _ in range(3):
            escalation.sweep()
        sign(chain, second(chain), "pro_b")
    with time_machine.travel(timezone.now() + timedelta(minutes=95)):
        chain.call(told, **CLINICIAN, outcome="confirmed")
        waiting = CallBack.objects.get(state=CallBackState.OPEN)
        assert waiting.raised_at == waiting.findings.get().at
        mail.outbox.clear()
        escalation.sweep()
        escalation.sweep()
    assert [message.to[0] for message in mail.outbox] == ["haematologist@example.org"]


def test_a_mail_server_that_is_away_is_tried_again(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(chain, chain.reported())

    def away(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    with monkeypatch.context() as broken:
        broken.setattr(mailing, "send_mail", away)
        assert swept_at(0.1) == []
    assert swept_at(0.5) == ["haematologist@example.org"]
    assert swept_at(1) == []


def test_a_watch_that_dies_while_it_mails_has_told_nobody(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another tells them; not at once, for the first may only be slow."""
    sign(chain, chain.reported())

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(mailing, "send_mail", killed)
        with pytest.raises(KeyboardInterrupt):
            swept_at(0.1)
    assert Escalation.objects.get().mailed_at is None
    assert swept_at(0.5) == []
    assert swept_at(5) == ["haematologist@example.org"]
    assert swept_at(10) == []


def test_an_address_that_is_none_keeps_nobody_else_from_being_told(
    chain: World, colleague: User
) -> None:
    User.objects.filter(pk=colleague.pk).update(email="a line\nand another")
    sign(chain, chain.reported())
    assert swept_at(0.1) == ["haematologist@example.org"]


def test_a_changed_chain_holds_for_what_is_open(chain: World) -> None:
    sign(chain, chain.reported())
    swept_at(0.1)
    step = EscalationStep.objects.get(minutes=20)
    escalation.drop_step(actor=SETUP, step=step)
    assert swept_at(30) == []
    assert swept_at(60) == ["administrator@example.org"]


def test_a_clinic_without_a_chain_has_the_usual_one(world: World) -> None:
    EscalationStep.objects.filter(clinic=world.clinic).delete()
    sign(world, world.reported())
    assert CallBack.objects.get().next_at == CallBack.objects.get().raised_at
