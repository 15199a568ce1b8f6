"""Promises about the package that reads along: nobody hears it, and it disturbs nobody."""

from pathlib import Path

import pytest

from diagnostics import pipeline
from diagnostics.models import (
    Analysis,
    AnalysisState,
    DiagnosticReport,
    ModelPackage,
    Priority,
)
from diagnostics.services import analyses, packages, reanalysis
from diagnostics.services.reanalysis import Where
from hospital.base.problems import Conflict
from ml import packages as ml_packages
from tests.diagnostics.packages.conftest import folder
from tests.diagnostics.test_pipeline import post
from tests.world import BENIGN, SETUP, SURE, World, result_of, store_result

pytestmark = pytest.mark.django_db


def test_reading_along_is_never_heard(
    world: World, engines: list[Path | None], first: ModelPackage, second: ModelPackage
) -> None:
    packages.shadow(actor=SETUP, package=second)
    image = post(world, seed=1)
    assert pipeline.drain() == 2
    live, silent = image.analyses.order_by("priority")
    assert (live.package_digest, live.speaks) == (first.digest, True)
    assert (silent.package_digest, silent.speaks) == (second.digest, False)
    assert silent.priority == Priority.SHADOW
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    assert report.findings["fields"]["total"] == 1
    assert not report.findings["fields"].get("pending")
    assert len(engines) == 2, "each is loaded once"
    pipeline.drain()
    assert image.analyses.count() == 2, "what has been read along is not read again"


def test_another_verdict_in_silence_moves_no_report(
    world: World, first: ModelPackage, second: ModelPackage
) -> None:
    packages.shadow(actor=SETUP, package=second)
    world.reported(SURE)
    before = DiagnosticReport.objects.get(specimen=world.specimen)
    [run] = analyses.claim(worker="w", limit=0, package=second.digest, background=4)
    result = result_of(run, BENIGN, "classified") | {"package_digest": second.digest}
    assert store_result(run, outcome="unusable", rejection="out_of_focus", result=result)
    after = DiagnosticReport.objects.get(specimen=world.specimen)
    assert (after.version, after.findings) == (before.version, before.findings)
    run.image.refresh_from_db()
    assert run.image.state == "accepted"


def test_live_pictures_go_before_those_read_along(
    world: World, engines: list[Path | None], first: ModelPackage, second: ModelPackage
) -> None:
    packages.shadow(actor=SETUP, package=second)
    for seed in range(3):
        post(world, seed=seed)
    pipeline.drain()
    order = Analysis.objects.order_by("finished_at").values_list("priority", flat=True)
    assert list(order) == [Priority.LIVE] * 3 + [Priority.SHADOW] * 3


def test_a_control_slide_is_not_read_along(
    world: World, first: ModelPackage, second: ModelPackage
) -> None:
    packages.shadow(actor=SETUP, package=second)
    run = world.claim(world.receive(1))
    run.image.control_slide_id, run.image.specimen_id = world.control_slide.pk, None
    assert packages.queue_shadows([run]) == 0


def test_what_fails_in_silence_disturbs_nobody(
    world: World, first: ModelPackage, second: ModelPackage
) -> None:
    packages.shadow(actor=SETUP, package=second)
    before = world.reported()
    [run] = analyses.claim(worker="w", limit=0, package=second.digest, background=4)
    assert analyses.fail(run, code="internal")
    assert DiagnosticReport.objects.get(pk=before.pk).findings == before.findings


def test_ending_it_drops_what_waits_and_keeps_what_was_read(
    world: World, engines: list[Path | None], first: ModelPackage, second: ModelPackage
) -> None:
    packages.shadow(actor=SETUP, package=second)
    post(world, seed=1)
    pipeline.drain()
    world.succeed(world.receive(2))
    silent = Analysis.objects.filter(priority=Priority.SHADOW)
    assert silent.filter(state=AnalysisState.QUEUED).count() == 1
    packages.end_shadow(actor=SETUP, package=second)
    assert [run.state for run in silent] == [AnalysisState.SUCCEEDED]
    post(world, seed=3)
    pipeline.drain()
    assert silent.count() == 1


def test_one_at_a_time_reads_along_and_only_beside_one_in_use(
    tmp_path: Path, second: ModelPackage
) -> None:
    with pytest.raises(Conflict) as alone:
        packages.shadow(actor=SETUP, package=second)
    assert alone.value.code == "no_active_package"
    first = packages.register(actor=SETUP, folder=ml_packages.COMMITTED)
    packages.activate(actor=SETUP, package=first)
    packages.shadow(actor=SETUP, package=second)
    third = packages.register(actor=SETUP, folder=folder(tmp_path, "3.0"))
    with pytest.raises(Conflict) as taken:
        packages.shadow(actor=SETUP, package=third)
    assert taken.value.code == "shadow_taken"
    with pytest.raises(Conflict) as not_it:
        packages.end_shadow(actor=SETUP, package=third)
    assert not_it.value.code == "not_shadow"


def test_what_was_read_along_can_still_be_read_again_aloud(
    world: World, engines: list[Path | None], first: ModelPackage, second: ModelPackage
) -> None:
    packages.shadow(actor=SETUP, package=second)
    post(world, seed=1)
    pipeline.drain()
    assert reanalysis.progress(second.digest).total == 0
    packages.activate(actor=SETUP, package=second)
    assert sum(reanalysis.queue(actor=SETUP, where=Where(), package=second.digest)) == 1
    pipeline.drain()
    assert Analysis.objects.filter(package_digest=second.digest, speaks=True).count() == 1
