"""Critical results: somebody must be told, and reads it back; until then everybody is reminded."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from diagnostics.models import (
    CallBack,
    CallBackState,
    CriticalFinding,
    CriticalFrom,
    DiagnosticReport,
)
from diagnostics.selectors import open_call_backs
from diagnostics.services import own_call
from hospital.accounts.models import User
from hospital.audit.models import Entry
from hospital.live.models import Event
from tests.diagnostics.test_changes import amend, withdraw
from tests.world import BENIGN, SURE, UNSURE, World, add_specimen, look_and_sign

pytestmark = pytest.mark.django_db


CLINICIAN = {"relation": "clinician", "name": "Dr Idris", "role": "ward 3"}


def sign(world: World, report: DiagnosticReport, conclusion: str = "pre_b") -> DiagnosticReport:
    report = DiagnosticReport.objects.get(pk=report.pk)
    return look_and_sign(world.haematologist, report, conclusion)


def second(world: World, probabilities: Any = SURE) -> DiagnosticReport:
    """A report on another sample of the same patient."""
    specimen = add_specimen(world.patient, "N-77")
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
    assert Event.objects.filter(kind="critical.changed", subject=back.pk).exists()


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


def test_one_more_of_many_samples_is_told_to_screens_once(world: World) -> None:
    """Not once for each of them: a patient under treatment may have a hundred."""
    world.critical_from(CriticalFrom.MODEL)
    world.reported()
    for number in range(4):
        specimen = add_specimen(world.patient, f"N-8{number}")
        world.succeed(world.receive(80 + number, specimen=specimen))
        assert Event.objects.filter(kind="critical.changed").count() == 2 + number
    assert CallBack.objects.get().findings.count() == 5


def test_where_only_signatures_are_critical_the_models_word_asks_nothing_of_call_backs(
    world: World,
) -> None:
    """It neither raises one nor ends one; and most reports of a batch are such."""
    world.critical_from(CriticalFrom.SIGNED)
    image = world.receive(6)
    with CaptureQueriesContext(connection) as statements:
        world.succeed(image)
    assert not [one for one in statements if "diagnostics_callback" in one["sql"]]


def test_after_a_call_that_was_read_back_the_same_result_is_no_news_for_a_day(world: World) -> None:
    sign(world, world.reported())
    world.call(DiagnosticReport.objects.get(), **CLINICIAN, outcome="confirmed")
    sign(world, second(world))
    assert CallBack.objects.get().findings.count() == 2
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        specimen = add_specimen(world.patient, "N-78")
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


def _text(client: Client, address: str) -> str:
    return client.get(address).content.decode()
