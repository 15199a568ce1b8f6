"""Promises of the worker: a bad picture harms no other, a slow machine loses nothing.

The reader is the real one but for its engine: TensorFlow is tried in tests/ml and tests/stack.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection
from django.utils import timezone

from diagnostics import pipeline, readers
from diagnostics.models import (
    Analysis,
    AnalysisState,
    DiagnosticReport,
    FieldImage,
    FoundCells,
    ImageState,
    Outcome,
)
from diagnostics.models.analysis import OPEN
from diagnostics.services import analyses, drawing, intake, reanalysis, results
from diagnostics.services.reanalysis import Where
from hospital.live.models import Event
from ml import images, packages, synthetic
from ml.reading import Reader
from tests.world import SETUP, World, content_digest

Ran = tuple[np.ndarray, np.ndarray]


class Engine:
    """Answers Pre-B to everything, after doing what the test wants."""

    name = "tests"

    def __init__(self, before: Callable[[np.ndarray], Any] = lambda pictures: None) -> None:
        self.before = before

    def __call__(self, original: np.ndarray, segmented: np.ndarray) -> Ran:
        self.before(original)
        count = len(original)
        likely = np.tile(np.float32([0.01, 0.01, 0.97, 0.01]), (count, 1))
        return likely, np.zeros((count, 1024), np.float32)


def work_with(engine: Engine, monkeypatch: Any) -> int:
    reader = Reader(packages.verify(packages.COMMITTED), engine)
    monkeypatch.setattr(pipeline, "reader", lambda: reader)
    return pipeline.drain()


def post(world: World, *, seed: int, **flaws: Any) -> FieldImage:
    body = synthetic.to_bytes(synthetic.smear(seed=seed, size=224, **flaws), "image/png")
    image, _ = intake.receive(
        device=world.device,
        image_id=uuid.uuid4(),
        body=body,
        content_digest=content_digest(body),
        accession=world.specimen.accession,
    )
    return image


def only(image: FieldImage) -> Analysis:
    return image.analyses.get()


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


def test_a_poisonous_picture_fails_alone(world: World, monkeypatch: Any) -> None:
    sent = [post(world, seed=seed) for seed in range(3)]
    poison: list[bytes] = []

    def choke(pictures: np.ndarray) -> None:
        if not poison:
            poison.append(pictures[1].tobytes())
        if any(picture.tobytes() == poison[0] for picture in pictures):
            raise RuntimeError("the model chokes on it")

    work_with(Engine(choke), monkeypatch)
    states = [only(image).state for image in sent]
    assert states == [AnalysisState.SUCCEEDED, AnalysisState.FAILED, AnalysisState.SUCCEEDED]
    assert only(sent[1]).failure in analyses.FAILURES


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda path: path.unlink(), "file_missing"),
        (lambda path: path.write_bytes(b"rotten"), "undecodable"),
    ],
)
def test_a_file_lost_or_rotten_in_the_store_is_said_so(
    world: World, monkeypatch: Any, tmp_path: Any, damage: Any, code: str
) -> None:
    image = post(world, seed=3)
    damage(tmp_path / "files" / image.storage_key)
    work_with(Engine(), monkeypatch)
    analysis = only(image)
    assert (analysis.state, analysis.failure) == (AnalysisState.FAILED, code)
    assert code in analyses.FAILURES


@pytest.mark.django_db(transaction=True)
def test_a_slow_machine_keeps_its_lease(world: World, monkeypatch: Any, settings: Any) -> None:
    settings.ANALYSIS_LEASE_SECONDS = 0.6
    image = post(world, seed=4)
    renewed = threading.Event()

    def note(held: Any) -> int:
        count = renew(held)
        renewed.set()
        return count

    def dawdle(pictures: np.ndarray) -> None:
        past = timezone.now() - timedelta(seconds=1)
        Analysis.objects.update(lease_until=past)
        assert renewed.wait(10)
        assert analyses.sweep()["requeued"] == 0

    renew = analyses.renew
    monkeypatch.setattr(analyses, "renew", note)
    assert work_with(Engine(dawdle), monkeypatch) == 1
    assert only(image).attempts == 1


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


def test_the_first_pictures_of_a_backlog_wait_for_few_others(
    world: World, monkeypatch: Any
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(pipeline, "FIRST", 1)
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
    assert sizes == [2, 2, 1]
    assert all(only(image).state == AnalysisState.SUCCEEDED for image in sent)


def test_a_report_is_rebuilt_and_told_once_for_a_batch(world: World, monkeypatch: Any) -> None:
    for seed in range(4):
        post(world, seed=seed)
    before = Event.objects.count()
    work_with(Engine(), monkeypatch)
    assert Event.objects.count() == before + 1
    assert DiagnosticReport.objects.get().findings["fields"] == {"total": 4, "unfamiliar": 4}


def test_a_worker_told_to_stop_finishes_what_is_begun_and_gives_the_rest_back(
    world: World, monkeypatch: Any, settings: Any
) -> None:
    settings.ANALYSIS_BATCH = 2
    for seed in range(6):
        post(world, seed=seed)
    monkeypatch.setattr(pipeline, "_stopping", threading.Event())
    assert work_with(Engine(lambda pictures: pipeline.stop()), monkeypatch) == 2
    counts = Counter(Analysis.objects.values_list("state", "attempts"))
    assert counts == {("succeeded", 1): 2, ("queued", 0): 4}


def test_a_result_that_cannot_be_stored_costs_the_others_nothing(
    world: World, monkeypatch: Any
) -> None:
    sent = [post(world, seed=seed) for seed in range(3)]
    judge = results._judge

    def choke(batch: Any) -> None:
        if any(one.analysis.image_id == sent[1].pk for one in batch):
            raise IntegrityError("it does not fit")
        judge(batch)

    monkeypatch.setattr(results, "_judge", choke)
    work_with(Engine(), monkeypatch)
    states = [only(image).state for image in sent]
    assert states == [AnalysisState.SUCCEEDED, AnalysisState.FAILED, AnalysisState.SUCCEEDED]
    assert FoundCells.objects.count() == 2


def in_the_way(sqlstate: str, times: int) -> Any:
    """A store whose transaction is ended `times` over by the database, with this code."""
    tries = Counter[str]()

    def store(found: Any) -> int:
        tries["store"] += 1
        if tries["store"] <= times:
            raise OperationalError("ended") from psycopg.errors.lookup(sqlstate)()
        return results.succeed_all(found)

    return store


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
def test_two_transactions_that_waited_for_each_other_cost_a_batch_no_lease(
    world: World, monkeypatch: Any, sqlstate: str
) -> None:
    sent = [post(world, seed=seed) for seed in range(2)]
    monkeypatch.setattr(pipeline, "succeed_all", in_the_way(sqlstate, times=2))
    assert work_with(Engine(), monkeypatch) == 2
    states = [(only(image).state, only(image).attempts) for image in sent]
    assert states == [(AnalysisState.SUCCEEDED, 1)] * 2


@pytest.mark.parametrize(("sqlstate", "times"), [("40P01", 3), ("57P01", 1)])
def test_a_database_that_is_away_is_left_to_the_leases(
    world: World, monkeypatch: Any, sqlstate: str, times: int
) -> None:
    image = post(world, seed=1)
    monkeypatch.setattr(pipeline, "succeed_all", in_the_way(sqlstate, times=times))
    with pytest.raises(OperationalError):
        work_with(Engine(), monkeypatch)
    assert only(image).state == AnalysisState.RUNNING


def test_a_picture_that_breaks_the_preparation_fails_alone(world: World, monkeypatch: Any) -> None:
    sent = [post(world, seed=seed) for seed in range(3)]
    prepare, called = Reader.prepare, iter([False, True, False])

    def choke(reader: Reader, picture: np.ndarray) -> Any:
        if next(called):
            raise ValueError("no such picture")
        return prepare(reader, picture)

    monkeypatch.setattr(Reader, "prepare", choke)
    monkeypatch.setattr(pipeline, "PREPARERS", 1)
    work_with(Engine(), monkeypatch)
    states = [only(image).state for image in sent]
    assert states == [AnalysisState.SUCCEEDED, AnalysisState.FAILED, AnalysisState.SUCCEEDED]


def test_a_store_that_is_away_fails_no_picture_and_blames_none(
    world: World, monkeypatch: Any
) -> None:
    sent = [post(world, seed=seed) for seed in range(3)]
    read, tries = pipeline.files.read, Counter[str]()

    def away_at_first(key: str) -> bytes:
        tries[key] += 1
        if key == sent[0].storage_key and tries[key] < 5:
            raise OSError("away")
        return read(key)

    monkeypatch.setattr(pipeline.files, "read", away_at_first)
    monkeypatch.setattr(pipeline, "STORE_PAUSE_SECONDS", 0)
    assert work_with(Engine(), monkeypatch) == 3
    assert [only(image).state for image in sent] == [AnalysisState.SUCCEEDED] * 3
    # The others were not kept waiting, and trying more often than a picture may is no fault of it.
    assert tries[sent[1].storage_key] == 1
    assert only(sent[0]).attempts == 1


class Killed(BaseException):
    """As far as this process is concerned."""


def test_a_picture_that_kills_workers_takes_no_other_with_it(
    world: World, monkeypatch: Any, settings: Any
) -> None:
    settings.ANALYSIS_BATCH = 4
    sent = [post(world, seed=seed) for seed in range(9)]
    poison = sent[4].storage_key
    read, deaths = pipeline.files.read, Counter[str]()

    def deadly(key: str) -> bytes:
        if key == poison:
            deaths[key] += 1
            raise Killed
        return read(key)

    monkeypatch.setattr(pipeline.files, "read", deadly)
    while Analysis.objects.filter(state__in=OPEN).exists():
        try:
            work_with(Engine(), monkeypatch)
        except Killed:
            Analysis.objects.filter(state=AnalysisState.RUNNING).update(
                lease_until=timezone.now() - timedelta(seconds=1)
            )
            analyses.sweep()
    assert deaths[poison] == settings.ANALYSIS_MAX_ATTEMPTS
    states = {image: only(image) for image in sent}
    assert (states[sent[4]].state, states[sent[4]].failure) == ("failed", "worker_lost")
    others = [one for image, one in states.items() if image != sent[4]]
    assert [one.state for one in others] == [AnalysisState.SUCCEEDED] * 8
    assert max(one.attempts for one in others) == 2


def test_a_worker_that_lost_its_lease_stores_nothing(world: World, monkeypatch: Any) -> None:
    image = post(world, seed=1)

    def too_late(found: Any) -> int:
        Analysis.objects.update(lease=uuid.uuid4())
        return results.succeed_all(found)

    monkeypatch.setattr(pipeline, "succeed_all", too_late)
    assert work_with(Engine(), monkeypatch) == 0
    assert only(image).state == AnalysisState.RUNNING
    assert not FoundCells.objects.exists()


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
