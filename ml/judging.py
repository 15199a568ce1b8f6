"""A written package, judged through the very door that the product uses."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml import foreign
from ml.data import DataLeaks, Example, read_index
from ml.evaluation import LEAK_WARNING, Answers, measure
from ml.images import decode
from ml.packages import Package
from ml.reading import Outcome, Reader, Reading, load

BATCH = 32
Report = Callable[[str, int, int], None]


def judge(
    folder: Path, *, data: Path, elsewhere: Path | None = None, report: Report
) -> dict[str, Any]:
    """Figures of the package in `folder` on the slides of `data` it has never seen.

    Whatever slide the package names as trained or tuned on is left out, so the figures stay
    honest when the data has grown since. Raises `DataLeaks` when nothing is left.
    `elsewhere`: a folder with smears (*.jpg) of another laboratory.
    """
    reader = load(folder)
    examples = unseen(reader.package, read_index(data))
    readings = _read(reader, examples, report)
    training = reader.package.manifest["training"]
    return {
        "engine": reader.engine,
        "split": {"seed": training["seed"], "kind": "whole slides", "parts": training["split"]},
        "warning": LEAK_WARNING,
        "outcomes": {kind.value: sum(r.outcome is kind for r in readings) for kind in Outcome},
        "test": _measure(examples, readings, {Outcome.CLASSIFIED, Outcome.UNFAMILIAR}),
        "classified_only": _measure(examples, readings, {Outcome.CLASSIFIED}),
        "unfamiliar": {
            "set_to": reader.package.manifest["gate"]["validation_false_alarms"],
            **_alarms(examples, readings),
        },
        "foreign": foreign.measure(reader, elsewhere, report=report),
    }


def unseen(package: Package, examples: Sequence[Example]) -> list[Example]:
    """The examples of slides that the package was neither trained nor tuned on."""
    slides = package.manifest["training"]["slides"]
    used = {*slides["train"], *slides["validation"]}
    left = [example for example in examples if example.group not in used]
    if not left:
        raise DataLeaks("the package has been trained or tuned on every slide of this data")
    return left


def _read(reader: Reader, examples: Sequence[Example], report: Report) -> list[Reading]:
    readings: list[Reading] = []
    for start in range(0, len(examples), BATCH):
        batch = examples[start : start + BATCH]
        readings += reader.read([decode(example.read()) for example in batch])
        report("reading the test slides", len(readings), len(examples))
    return readings


def _alarms(examples: Sequence[Example], readings: Sequence[Reading]) -> dict[str, int]:
    """How many pictures would be read rightly and wrongly, and how many of each are stopped."""
    counts = dict.fromkeys(("right", "right_stopped", "wrong", "wrong_stopped"), 0)
    for example, reading in zip(examples, readings, strict=True):
        if reading.probabilities is None:
            continue
        likeliest = max(reading.probabilities, key=reading.probabilities.__getitem__)
        kind = "right" if likeliest is example.label else "wrong"
        counts[kind] += 1
        counts[f"{kind}_stopped"] += reading.outcome is Outcome.UNFAMILIAR
    return counts


def _measure(
    examples: Sequence[Example], readings: Sequence[Reading], outcomes: set[Outcome]
) -> dict[str, Any]:
    """`measure` over the pictures with one of these outcomes."""
    chosen = [
        (example, list(reading.probabilities.values()))
        for example, reading in zip(examples, readings, strict=True)
        if reading.outcome in outcomes and reading.probabilities is not None
    ]
    return measure(
        Answers(
            probabilities=np.array([row for _, row in chosen]),
            targets=np.array([example.target for example, _ in chosen]),
            groups=np.array([example.group for example, _ in chosen]),
        )
    )
