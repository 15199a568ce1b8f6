"""Promises of the queue: every picture is worked on, each result counts once, none is forgotten."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from diagnostics.models import (
    Analysis,
    AnalysisState,
    CallBack,
    CriticalFrom,
    DiagnosticReport,
    ImageState,
    Outcome,
)
from diagnostics.services import analyses, bell
from diagnostics.services.results import Found, succeed_all
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden
from hospital.base.states import IllegalTransition
from tests.world import (
    BENIGN,
    SURE,
    World,
    add_patient,
    add_specimen,
    result_of,
    store_result,
)


def let_lease_expire(analysis: Analysis) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Analysis.objects.filter(pk=analysis.pk).update(lease_until=past)


def finish(analysis: Analysis) -> bool:
    result = result_of(analysis, SURE, Outcome.CLASSIFIED)
    return store_result(analysis, outcome=Outcome.CLASSIFIED, rejection="", result=result)


def found(analysis: Analysis, probabilities: dict[str, float] = SURE) -> Found:
    result = result_of(analysis, probabilities, Outcome.CLASSIFIED)
    return Found(analysis=analysis, outcome=Outcome.CLASSIFIED, rejection="", result=result)


def test_a_run_is_claimed_by_one_worker_only(world: World) -> None:
    world.receive()
    first = analyses.claim(worker="a", limit=8)
    assert len(first) == 1
    assert analyses.claim(worker="b", limit=8) == []


def test_a_worker_is_handed_only_what_it_claimed_just_now(world: World) -> None:
    world.receive(1)
    (earlier,) = analyses.claim(worker="a", limit=8)
    world.receive(2)
    (later,) = analyses.claim(worker="a", limit=8)
    assert earlier.pk != later.pk


def test_the_oldest_picture_is_read_first(world: World) -> None:
    images = [world.receive(seed) for seed in range(3)]
    claimed = analyses.claim(worker="a", limit=2)
    assert [a.image_id for a in claimed] == [i.pk for i in images[:2]]


def test_a_result_makes_the_picture_accepted_and_the_report_partial(world: World) -> None:
    image = world.receive()
    world.succeed(image)
    image.refresh_from_db()
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    assert image.state == ImageState.ACCEPTED
    assert (report.status, report.impression) == ("partial", "pre_b")


def test_a_picture_that_is_no_smear_is_rejected_with_its_reason_and_gets_no_class(
    world: World,
) -> None:
    image = world.receive()
    world.succeed(image, outcome=Outcome.NOT_A_SMEAR, rejection="not_a_smear")
    image.refresh_from_db()
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    assert (image.state, image.rejection) == (ImageState.REJECTED, "not_a_smear")
    assert (report.impression, report.findings["probabilities"]) == ("", None)


def test_what_a_dead_worker_held_is_given_to_another(world: World) -> None:
    image = world.receive()
    dead = world.claim(image, worker="dead")
    assert analyses.sweep()["requeued"] == 0  # its lease still runs
    let_lease_expire(dead)
    assert analyses.sweep()["requeued"] == 1
    assert finish(world.claim(image, worker="living"))
    assert image.analyses.count() == 1


def test_a_worker_that_comes_back_from_the_dead_cannot_write_a_second_result(
    world: World,
) -> None:
    image = world.receive()
    zombie = world.claim(image, worker="zombie")
    let_lease_expire(zombie)
    analyses.sweep()
    assert finish(world.claim(image, worker="living"))
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    assert not finish(zombie)
    assert not analyses.fail(zombie, code="internal")
    assert DiagnosticReport.objects.get(pk=report.pk).version == report.version


def test_a_worker_that_renews_just_as_the_sweep_looks_keeps_its_work(
    world: World, monkeypatch: Any
) -> None:
    image = world.receive()
    slow = world.claim(image, worker="slow")
    let_lease_expire(slow)
    take_back = analyses._take_back

    def renewed_first(analysis: Analysis) -> bool:
        assert analyses.renew([slow]) == 1
        return take_back(analysis)

    monkeypatch.setattr(analyses, "_take_back", renewed_first)
    assert analyses.sweep() == {"requeued": 0, "failed": 0, "nudged": 0}
    assert finish(slow)


def test_a_picture_that_kills_every_worker_is_set_aside_with_a_reason(
    world: World, settings: Any
) -> None:
    image = world.receive()
    for _ in range(settings.ANALYSIS_MAX_ATTEMPTS):
        let_lease_expire(world.claim(image))
        analyses.sweep()
    analysis = image.analyses.get()
    assert (analysis.state, analysis.failure) == (AnalysisState.FAILED, "worker_lost")
    assert analyses.FAILURES[analysis.failure]
    assert DiagnosticReport.objects.get().findings["fields"]["failed"] == 1


def test_a_run_that_a_worker_died_with_is_given_to_empty_hands_and_by_itself(world: World) -> None:
    for number in range(4):
        world.receive(number)
    first, second = analyses.claim(worker="doomed", limit=2)
    for run in (first, second):
        let_lease_expire(run)
    analyses.sweep()

    # The others first: they wait for nobody.
    others = analyses.claim(worker="busy", limit=4, alone=False)
    assert len(others) == 2
    assert not {first, second} & set(others)
    assert analyses.claim(worker="busy", limit=4, background=4, alone=False) == []
    [one] = analyses.claim(worker="careful", limit=4)
    [other] = analyses.claim(worker="careful too", limit=4)
    assert {one, other} == {first, second}


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_whose_clock_is_wrong_holds_a_lease_like_any_other(
    world: World, monkeypatch: Any, settings: Any, hours: int
) -> None:
    world.receive()
    with monkeypatch.context() as wrong:
        wrong.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(hours=hours))
        [run] = analyses.claim(worker="wrong", limit=1)
        analyses.renew([run])
    assert analyses.sweep()["requeued"] == 0
    run.refresh_from_db()
    assert run.lease_until < timezone.now() + timedelta(seconds=settings.ANALYSIS_LEASE_SECONDS + 5)


def test_a_lost_message_is_sent_again_by_the_sweep(world: World, monkeypatch: Any) -> None:
    world.receive()
    rung: list[bool] = []
    monkeypatch.setattr(bell, "ring", lambda: rung.append(True))
    assert analyses.sweep()["nudged"] == 0  # it has only just been queued
    assert not rung
    long_ago = timezone.now() - timedelta(minutes=5)
    Analysis.objects.update(nudged_at=long_ago)
    assert analyses.sweep()["nudged"] == 1
    assert rung == [True]


def test_a_technician_restarts_a_failed_run_with_one_click(world: World) -> None:
    image = world.receive()
    analysis = world.claim(image)
    analyses.fail(analysis, code="internal")
    analyses.retry(user=world.technician, analysis=analysis)
    assert finish(world.claim(image))


def test_only_a_failed_run_can_be_restarted_and_only_by_the_clinics_own(world: World) -> None:
    image = world.receive()
    analysis = world.claim(image)
    with pytest.raises(Conflict):
        analyses.retry(user=world.technician, analysis=analysis)
    finish(analysis)
    with pytest.raises(IllegalTransition):
        analyses.retry(user=world.technician, analysis=analysis)
    for user in (world.outsider, world.device_manager, world.guardian):
        with pytest.raises(Forbidden):
            analyses.retry(user=user, analysis=analysis)


def test_what_is_given_back_was_never_tried(world: World) -> None:
    world.receive()
    held = analyses.claim(worker="a", limit=8)
    assert analyses.give_back(held) == 1
    assert analyses.give_back(held) == 0
    (again,) = analyses.claim(worker="b", limit=8)
    assert (again.attempts, again.worker) == (1, "b")


def test_of_a_batch_only_what_is_still_held_is_stored(world: World) -> None:
    for seed in range(3):
        world.receive(seed)
    held = analyses.claim(worker="a", limit=8)
    Analysis.objects.filter(pk=held[1].pk).update(lease=uuid.uuid4())
    batch = [found(run) for run in held]
    assert succeed_all(batch) == 2
    assert succeed_all(batch) == 0  # a second delivery
    stands = dict(Analysis.objects.values_list("pk", "state"))
    assert [stands[run.pk] for run in held] == ["succeeded", "running", "succeeded"]
    assert Entry.objects.filter(action="analysis.succeeded").count() == 2


def test_a_batch_of_several_specimens_brings_each_its_own_report(world: World) -> None:
    world.receive(1)
    world.receive(2, specimen=world.other_specimen)
    held = analyses.claim(worker="a", limit=8)
    succeed_all([found(run) for run in held])
    for specimen in (world.specimen, world.other_specimen):
        fields = DiagnosticReport.objects.get(specimen=specimen).findings["fields"]
        assert fields == {"total": 1, "classified": 1}


def stored(world: World, slides: int, probabilities: dict[str, float]) -> int:
    """Statements that storing a batch takes: one picture each of so many patients' slides."""
    for number in range(slides):
        patient = add_patient(world.clinic, f"{slides}-{number}", "Keita", "Moussa")
        slide = add_specimen(patient, f"N-{slides}-{number:03d}")
        world.receive(100 * slides + number, specimen=slide)
    held = analyses.claim(worker="a", limit=slides)
    with CaptureQueriesContext(connection) as statements:
        assert succeed_all([found(run, probabilities) for run in held]) == slides
    return len(statements)


@pytest.mark.parametrize(("probabilities", "most"), [(BENIGN, 18), (SURE, 27)])
def test_a_batch_asks_the_database_no_more_often_for_more_specimens(
    world: World, probabilities: dict[str, float], most: int
) -> None:
    """A worker's batch is of many slides, and every statement costs the one database.

    Also where each is critical, and where families read at once.
    """
    world.critical_from(CriticalFrom.MODEL)
    world.at_once()
    assert stored(world, 2, probabilities) == stored(world, 8, probabilities) <= most
    told = DiagnosticReport.objects.values_list("status", flat=True)
    assert list(told) == ["partial"] * 10
    assert CallBack.objects.count() == (10 if probabilities == SURE else 0)
