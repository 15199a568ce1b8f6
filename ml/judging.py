"""A written package, judged through the very door that the product uses."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml import foreign
from ml.data import DataLeaks, Example, read_index
from ml.evaluation import Answers, measure
from ml.images import decode
from ml.packages import Package
from ml.reading import Outcome, Reader, Reading, load

BATCH = 32
DIGITS = 12  # of a picture's SHA-256 that a package keeps of what it was taught on
CLAIM = "slides"  # the protocol in a package's figures that speaks of new slides
Report = Callable[[str, int, int], None]


def judge(
    folder: Path, *, data: Path, elsewhere: Path | None = None, report: Report
) -> dict[str, Any]:
    """Figures of the package in `folder` on the slides of `data` that it was not taught on.

    A slide of which it was taught a single picture is left out whole, so the figures stay honest
    when the data has grown since. Raises `DataLeaks` when nothing is left. `elsewhere`: a folder
    with smears (*.jpg) of another laboratory. `claims` sets each figure beside the interval in
    which the package's own figures said a new batch of slides would fall.
    """
    reader = load(folder)
    examples = unseen(reader.package, read_index(data))
    readings = _read(reader, examples, report)
    measured = _measure(examples, readings, {Outcome.CLASSIFIED, Outcome.UNFAMILIAR})
    return {
        "engine": reader.engine,
        "outcomes": {kind.value: sum(r.outcome is kind for r in readings) for kind in Outcome},
        "test": measured,
        "classified_only": _measure(examples, readings, {Outcome.CLASSIFIED}),
        "claims": claims(reader.package, measured) if measured else {},
        "unfamiliar": _alarms(examples, readings),
        "foreign": foreign.measure(reader, elsewhere, report=report),
    }


def unseen(package: Package, examples: Sequence[Example]) -> list[Example]:
    """The examples of slides of which the package was taught no picture."""
    taught = set(package.manifest["training"]["pictures"])
    slides = {example.group for example in examples if example.sha256[:DIGITS] in taught}
    left = [example for example in examples if example.group not in slides]
    if not left:
        raise DataLeaks(
            "the package was taught on every slide of this data; its own figures.json tells how "
            "the same recipe does on slides left out"
        )
    return left


def claims(package: Package, measured: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each headline figure beside what the package said of new slides.

    `value`, `low`, `high` of the package's interval for a new batch, and whether it `held`.
    """
    promised = json.loads(package.document("figures.json"))[CLAIM]["new_batch"]["figures"]
    return {
        name: {
            "value": row["value"],
            "low": promised[name]["low"],
            "high": promised[name]["high"],
            "held": promised[name]["low"] <= row["value"] <= promised[name]["high"],
        }
        for name, row in measured["headline"].items()
        if row["value"] is not None and promised[name]["low"] is not None
    }


def _read(reader: Reader, examples: Sequence[Example], report: Report) -> list[Reading]:
    readings: list[Reading] = []
    for start in range(0, len(examples), BATCH):
        batch = examples[start : start + BATCH]
        readings += reader.read([decode(example.read()) for example in batch])
        report("reading slides never seen", len(readings), len(examples))
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
) -> dict[str, Any] | None:
    """`measure` over the pictures with one of these outcomes; None where there is none."""
    chosen = [
        (example, list(reading.probabilities.values()))
        for example, reading in zip(examples, readings, strict=True)
        if reading.outcome in outcomes and reading.probabilities is not None
    ]
    if not chosen:
        return None
    return measure(
        Answers(
            probabilities=np.array([shares for _, shares in chosen]),
            targets=np.array([example.target for example, _ in chosen]),
            groups=np.array([example.group for example, _ in chosen]),
        )
    )
