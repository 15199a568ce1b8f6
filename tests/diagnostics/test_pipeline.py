"""Promises of the worker: a bad picture harms no other, a slow machine loses nothing.

The reader is the real one but for its engine: TensorFlow is tried in tests/ml and tests/stack.
"""

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from diagnostics import pipeline
from diagnostics.models import Analysis, AnalysisState, FieldImage, ImageState, Outcome
from diagnostics.services import analyses, drawing, intake
from ml import images, packages, synthetic
from ml.reading import Reader
from tests.world import World, content_digest

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
