"""Promise: what is due goes, and what must stay stays."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from diagnostics.models import Specimen
from diagnostics.services import retention
from diagnostics.services.erasure import erase_patient
from hospital.audit.models import Entry
from hospital.base.problems import Refusal
from hospital.live.models import Event
from patients import holds
from patients.models import LegalHold, Patient
from tests.diagnostics.conftest import everything
from tests.world import SETUP, World


def test_nothing_under_legal_hold_is_erased(world: World) -> None:
    world.reported()
    hold = holds.place(actor=SETUP, patient=world.patient, reason="Complaint 12/2026 is open")
    before = everything()
    with pytest.raises(holds.UnderHold, match="Complaint 12/2026"):
        erase_patient(actor=SETUP, patient=world.patient, reason="request")
    assert everything() == before
    holds.lift(actor=SETUP, hold=hold)
    with pytest.raises(Refusal, match="lifted before"):
        holds.lift(actor=SETUP, hold=hold)
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    with pytest.raises(Refusal, match="erased"):
        holds.place(actor=SETUP, patient=world.patient, reason="Complaint 13/2026 is open")


def test_a_hold_without_a_reason_is_refused(world: World) -> None:
    with pytest.raises(Refusal, match="why"):
        holds.place(actor=SETUP, patient=world.patient, reason="because")


def aged(world: World, *, days: int) -> None:
    """As if all had been registered so long ago."""
    then = timezone.now() - timedelta(days=days)
    Patient.objects.update(registered_at=then)
    Specimen.objects.update(registered_at=then)
    Event.objects.update(at=then)


def test_without_rules_everything_is_kept(world: World) -> None:
    aged(world, days=36_500)
    assert retention.apply(actor=SETUP) == []
    assert not Patient.objects.filter(erased_at__isnull=False).exists()


def test_a_dry_run_says_what_would_go_and_changes_nothing(world: World) -> None:
    world.receive(seed=1)
    aged(world, days=400)
    retention.set_rule(actor=SETUP, kind="patients", days=365)
    retention.set_rule(actor=SETUP, kind="events", days=30)
    holds.place(actor=SETUP, patient=world.other_patient, reason="A study until 2030")
    before = everything()
    out = io.StringIO()
    call_command("retention", "--dry-run", stdout=out)
    assert "365 days: 1 would go, 1 kept by a legal hold" in out.getvalue()
    assert everything() == before


def test_what_is_due_goes_and_what_is_not_stays(world: World) -> None:
    world.receive(seed=1)
    aged(world, days=400)
    world.receive(seed=2)
    fresh = (
        Event.objects.count()
        - Event.objects.filter(at__lt=timezone.now() - timedelta(days=30)).count()
    )
    Specimen.objects.filter(pk=world.other_specimen.pk).update(registered_at=timezone.now())
    retention.set_rule(actor=SETUP, kind="patients", days=365)
    retention.set_rule(actor=SETUP, kind="events", days=30)
    retention.apply(actor=SETUP)
    assert Event.objects.filter(kind="report.changed").count() >= fresh
    assert not Event.objects.filter(at__lt=timezone.now() - timedelta(days=30)).exists()
    erased = Patient.objects.filter(erased_at__isnull=False)
    assert [one.pk for one in erased] == [world.patient.pk]
    assert retention.due()[1].count == 0


def test_who_was_never_examined_is_due_from_their_registration_on(
    world: World, second_patient: Patient
) -> None:
    retention.set_rule(actor=SETUP, kind="patients", days=365)
    Patient.objects.update(registered_at=timezone.now() - timedelta(days=400))
    assert "1 would go" in said("--dry-run")
    hold = holds.place(actor=SETUP, patient=second_patient, reason="A study until 2030")
    assert "0 would go, 1 kept by a legal hold" in said("--dry-run")
    holds.lift(actor=SETUP, hold=hold)
    Patient.objects.filter(pk=second_patient.pk).update(registered_at=timezone.now())
    assert "0 would go" in said("--dry-run")
    Patient.objects.update(registered_at=timezone.now() - timedelta(days=400))
    assert "1 gone" in said()
    assert [one.pk for one in Patient.objects.exclude(erased_at=None)] == [second_patient.pk]


def test_one_patient_who_cannot_be_erased_stops_no_other(
    world: World, second_patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold that came after the question, and whatever else goes wrong."""
    aged(world, days=400)
    retention.set_rule(actor=SETUP, kind="patients", days=365)

    def erase(*, patient: Patient, **how: Any) -> Any:
        if patient.pk == world.patient.pk:
            holds.place(actor=SETUP, patient=patient, reason="Complaint 12/2026 is open")
        if patient.pk == world.other_patient.pk:
            raise OSError("something else")
        return erase_patient(patient=patient, **how)

    monkeypatch.setattr(retention, "erase_patient", erase)
    [done] = retention.apply(actor=SETUP)
    assert (done.count, done.held, done.failed) == (1, 1, 1)
    erased = Patient.objects.filter(erased_at__isnull=False)
    assert [one.pk for one in erased] == [second_patient.pk]
    with pytest.raises(CommandError, match="could not be erased"):
        said()


def test_a_child_is_kept_until_the_age_that_the_law_names(world: World) -> None:
    aged(world, days=5000)
    retention.set_rule(actor=SETUP, kind="patients", days=365, until_age=28)
    retention.apply(actor=SETUP)
    assert not Patient.objects.filter(erased_at__isnull=False).exists()


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("retention", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_holds_by_accession_number_lifts_and_erases(world: World) -> None:
    said("hold", "N-2026-0001", "--reason", "Complaint 12/2026 is open")
    hold = LegalHold.objects.get()
    assert "N-2026-0001" in said("holds")
    with pytest.raises(CommandError, match="legal hold"):
        said("erase", str(world.patient.pk), "--reason", "request")
    said("lift", str(hold.pk))
    assert "would be erased" in said("--dry-run", "erase", str(world.patient.pk), "--reason", "x")
    assert "is erased" in said("erase", str(world.patient.pk), "--reason", "request")
    actions = set(Entry.objects.values_list("action", flat=True))
    assert {"legal_hold.placed", "legal_hold.lifted", "patient.erased"} <= actions


@pytest.mark.parametrize(
    "wrong",
    [
        ("hold", "nobody", "--reason", "Complaint 12/2026"),
        ("lift", "6b1a1a30-0000-4000-8000-000000000000"),
        ("erase", "6b1a1a30-0000-4000-8000-000000000000", "--reason", "x"),
        ("keep", "patients", "-1"),
        ("keep", "everything", "10"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(world: World, wrong: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        said(*wrong)
