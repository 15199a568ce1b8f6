"""A worker to test with: the real reader but for its engine, and pictures for it to read."""

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from diagnostics import pipeline
from diagnostics.models import Analysis, FieldImage
from diagnostics.services import intake
from ml import packages, synthetic
from ml.reading import Reader
from tests.world import World, content_digest

Ran = tuple[np.ndarray, np.ndarray]


class Engine:
    """Answers Pre-B to everything, after doing what the test wants."""

    name = "tests"
    batch = 32

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
