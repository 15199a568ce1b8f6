"""Promises of the worker: what it stores, in which batches, and what goes first.

The reader is the real one but for its engine: TensorFlow is tried in tests/ml and tests/stack.
"""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from diagnostics import pipeline, readers
from diagnostics.models import (
    Analysis,
    AnalysisState,
    DiagnosticReport,
    FieldImage,
    ImageState,
    Outcome,
)
from diagnostics.services import analyses, drawing, reanalysis
from diagnostics.services.reanalysis import Where
from hospital.live.models import Event
from ml import images, packages
from ml.reading import Reader
from tests.diagnostics.worker import Engine, only, post, work_with
from tests.world import SETUP, World


def test_a_reading_stores_what_made_it_and_what_its_three_pictures_are_drawn_from(
    world: World, monkeypatch: Any
) -> None:
    image = post(world, seed=1)
    assert work_with(Engine(), monkeypatch) == 1
    analysis = only(image)
    committed = packages.verify(packages.COMMITTED)
    assert analysis.state == AnalysisState.SUCCEEDED
    assert (analysis.package_digest, analysis.engine) == (committed.digest, "tests")
    assert analysis.probabilities is not None
    assert sum(analysis.probabilities.values()) == pytest.approx(1)
    for kind in ("segmented", "overlay", "thumbnail"):
        assert images.decode(drawing.picture(analysis, kind)).any()


def test_a_picture_out_of_focus_is_rejected_with_advice_and_never_classified(
    world: World, monkeypatch: Any
) -> None:
    image = post(world, seed=2, blur=8.0)
    work_with(Engine(), monkeypatch)
    image.refresh_from_db()
    analysis = only(image)
    assert (image.state, image.rejection) == (ImageState.REJECTED, "out_of_focus")
    assert (analysis.outcome, analysis.label) == (Outcome.UNUSABLE, "")
    assert analysis.quality["advice"]


def test_a_burst_is_read_in_few_batches_and_one_picture_does_not_wait_for_company(
    world: World, monkeypatch: Any
) -> None:
    sizes: list[int] = []
    engine = Engine(lambda pictures: sizes.append(len(pictures)))
    post(world, seed=1)
    assert work_with(engine, monkeypatch) == 1
    for seed in range(2, 7):
        post(world, seed=seed)
    assert work_with(engine, monkeypatch) == 5
    assert sizes == [1, 5]


def test_what_the_model_says_of_one_picture_is_stored_before_others_are_looked_for(
    world: World, monkeypatch: Any
) -> None:
    deeds: list[str] = []
    claim, store = analyses.claim, pipeline.succeed_all

    def looking(**how: Any) -> Any:
        deeds.append("look")
        return claim(**how)

    def storing(found: Any) -> int:
        deeds.append("store")
        return store(found)

    monkeypatch.setattr(analyses, "claim", looking)
    monkeypatch.setattr(pipeline, "succeed_all", storing)
    post(world, seed=1)
    assert work_with(Engine(), monkeypatch) == 1
    # The second look is taken while the model reads.
    assert deeds == ["look", "look", "store", "look"]


def test_the_first_pictures_of_a_backlog_wait_for_few_others(
    world: World, monkeypatch: Any
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(pipeline, "FIRST", 1)
    monkeypatch.setattr(pipeline, "ASKED", 1)  # two at once are answered in any order
    for seed in range(6):
        post(world, seed=seed)
    assert work_with(Engine(lambda pictures: sizes.append(len(pictures))), monkeypatch) == 6
    assert sizes == [1, 2, 3]


def test_a_worker_with_its_hands_full_wakes_another(
    world: World, monkeypatch: Any, settings: Any
) -> None:
    settings.ANALYSIS_BATCH = 2
    rung: list[bool] = []
    for seed in range(3):
        post(world, seed=seed)
    monkeypatch.setattr(pipeline.bell, "ring", lambda: rung.append(True))
    work_with(Engine(), monkeypatch)
    assert len(rung) == 1


def test_large_pictures_are_taken_in_small_batches(world: World, monkeypatch: Any) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(pipeline, "MOST_PIXELS", 2 * 224 * 224)
    sent = [post(world, seed=seed) for seed in range(5)]
    work_with(Engine(lambda pictures: sizes.append(len(pictures))), monkeypatch)
    assert sorted(sizes) == [1, 2, 2]
    assert all(only(image).state == AnalysisState.SUCCEEDED for image in sent)


def test_a_report_is_rebuilt_and_told_once_for_a_batch(world: World, monkeypatch: Any) -> None:
    for seed in range(4):
        post(world, seed=seed)
    before = Event.objects.count()
    work_with(Engine(), monkeypatch)
    assert Event.objects.count() == before + 1
    assert DiagnosticReport.objects.get().findings["fields"] == {"total": 4, "unfamiliar": 4}


def test_a_worker_told_to_stop_finishes_what_the_engine_has_and_gives_the_rest_back(
    world: World, monkeypatch: Any, settings: Any
) -> None:
    settings.ANALYSIS_BATCH = 4
    for seed in range(6):
        post(world, seed=seed)
    monkeypatch.setattr(pipeline, "_stopping", threading.Event())
    monkeypatch.setattr(pipeline, "ASKED", 1)
    engine = Engine(lambda pictures: pipeline.stop())
    engine.batch = 2
    assert work_with(engine, monkeypatch) == 2
    counts = Counter(Analysis.objects.values_list("state", "attempts"))
    assert counts == {("succeeded", 1): 2, ("queued", 0): 4}


def test_the_engine_need_not_wait_for_a_whole_batch_to_be_prepared(
    world: World, monkeypatch: Any
) -> None:
    asked = threading.Event()
    prepare, turns = Reader.prepare, iter(range(100))

    def prepare_the_last_only_after_an_answer(reader: Reader, picture: Any) -> Any:
        if next(turns) == 3:
            assert asked.wait(10), "the engine was not asked before all were prepared"
        return prepare(reader, picture)

    monkeypatch.setattr(Reader, "prepare", prepare_the_last_only_after_an_answer)
    engine = Engine(lambda pictures: asked.set())
    engine.batch = 2
    sent = [post(world, seed=seed) for seed in range(4)]
    assert work_with(engine, monkeypatch) == 4
    assert all(only(image).state == AnalysisState.SUCCEEDED for image in sent)


def test_while_one_batch_is_read_the_engine_is_asked_about_the_next(
    world: World, monkeypatch: Any, settings: Any
) -> None:
    settings.ANALYSIS_BATCH = 2
    together = threading.Barrier(2)
    sent = [post(world, seed=seed) for seed in range(4)]
    assert work_with(Engine(lambda pictures: together.wait(10) and None), monkeypatch) == 4
    assert all(only(image).state == AnalysisState.SUCCEEDED for image in sent)


def archive(world: World, monkeypatch: Any, *, seeds: range) -> list[FieldImage]:
    """Pictures that were read by another package and wait to be read again."""
    sent = [post(world, seed=seed) for seed in seeds]
    work_with(Engine(), monkeypatch)
    Analysis.objects.update(package_digest="ab" * 32)
    ours = packages.verify(packages.COMMITTED).digest
    assert sum(reanalysis.queue(actor=SETUP, where=Where(), package=ours)) == len(sent)
    return sent


def test_a_live_picture_overtakes_the_archive(
    world: World, monkeypatch: Any, settings: Any
) -> None:
    settings.ANALYSIS_BACKGROUND_BATCH = 2
    archive(world, monkeypatch, seeds=range(6))
    late = post(world, seed=9)
    assert work_with(Engine(), monkeypatch) == 7
    finished = Analysis.objects.filter(finished_at__isnull=False).order_by("finished_at")
    order = [run.image_id for run in finished if run.package_digest != "ab" * 32]
    assert order[0] == late.pk


def test_a_live_picture_that_comes_in_the_middle_waits_for_one_small_batch_only(
    world: World, monkeypatch: Any, settings: Any
) -> None:
    settings.ANALYSIS_BACKGROUND_BATCH = 2
    archive(world, monkeypatch, seeds=range(6))
    order: list[int] = []
    answers = Reader.classify

    def classify(reader: Reader, ready: Any) -> Any:
        order.append(len(ready))
        return answers(reader, ready)

    claim, claims = analyses.claim, iter(range(100))

    def claim_and_post(**how: Any) -> Any:
        if next(claims) == 2:  # the first batch is being read, the second is ready
            post(world, seed=9)
        return claim(**how)

    monkeypatch.setattr(Reader, "classify", classify)
    monkeypatch.setattr(analyses, "claim", claim_and_post)
    assert work_with(Engine(), monkeypatch) == 7
    assert order[:3] == [2, 1, 2]


def test_two_threads_share_one_model_which_is_loaded_once(monkeypatch: Any) -> None:
    loads: list[Any] = []
    monkeypatch.setattr(readers, "_held", readers._Held())
    monkeypatch.setattr(readers.packages, "in_use", lambda: None)

    def load(folder: Any, *, engine: str) -> Reader:
        loads.append(folder)
        return Reader(packages.verify(packages.COMMITTED), Engine())

    monkeypatch.setattr(readers.reading, "load", load)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(pipeline.reader) for _ in range(8)]
        same = {id(one.result()) for one in asked}
    assert (len(same), len(loads)) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_two_drains_of_one_process_read_everything_once(world: World, monkeypatch: Any) -> None:
    for seed in range(6):
        post(world, seed=seed)
    reader = Reader(packages.verify(packages.COMMITTED), Engine())
    monkeypatch.setattr(pipeline, "reader", lambda: reader)

    def drain() -> int:
        try:
            return pipeline.drain()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        done = [one.result() for one in [pool.submit(drain) for _ in range(2)]]
    assert sum(done) == 6
    assert set(Analysis.objects.values_list("state", "attempts")) == {("succeeded", 1)}
