"""Promises of the worker in trouble: a bad picture harms no other, a slow machine loses nothing."""

import threading
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from diagnostics import pipeline
from diagnostics.models import Analysis, AnalysisState, FoundCells
from diagnostics.models.analysis import OPEN
from diagnostics.services import analyses, results
from ml.reading import Reader
from tests.diagnostics.worker import Engine, only, post, work_with
from tests.world import World


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
