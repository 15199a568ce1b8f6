"""Figures, with how sure they are. NumPy alone, so that every figure can be followed by hand.

Pictures of one slide are alike, so intervals are drawn over slides (groups), not pictures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.calibration import calibration_error
from ml.classes import CLASSES

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)  # percentiles: 95 %
SEED = 95

BENIGN = 0
assert not CLASSES[BENIGN].malignant and all(label.malignant for label in CLASSES[1:])

LEAK_WARNING = (
    "These figures come from slides that the model has never seen. Published figures on this set "
    "(99.89 % in the paper) come from a split by picture, which puts fields of one slide on both "
    "sides; they must not be compared with these. Slides were inferred, not recorded: some "
    "leakage between neighbouring slides of one patient cannot be excluded."
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the model said of N pictures and what was true.

    `probabilities` (N, 4) calibrated; `targets` (N,) positions in `CLASSES`; `groups` (N,) the
    slide of each.
    """

    probabilities: Floats
    targets: Ints
    groups: NDArray[Any]


def measure(answers: Answers) -> dict[str, Any]:
    """Every headline figure with its 95 % interval, per-class figures, the confusion matrix."""
    draws = _resampled(answers)
    headline = {
        name: {
            "value": figure(answers),
            "low": float(np.nanpercentile(values, INTERVAL[0])),
            "high": float(np.nanpercentile(values, INTERVAL[1])),
        }
        for name, figure in HEADLINES.items()
        for values in [[figure(draw) for draw in draws]]
    }
    return {
        "pictures": len(answers.targets),
        "groups": len(np.unique(answers.groups)),
        "interval": f"95 %, {RESAMPLES} bootstrap draws of slides within each class, seed {SEED}",
        "headline": headline,
        "classes": per_class(answers),
        "confusion": confusion(answers).tolist(),
        "by_group": by_group(answers),
    }


def confusion(answers: Answers) -> Ints:
    """(4, 4) counts: row the truth, column the answer, in the order of `CLASSES`."""
    table = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)
    np.add.at(table, (answers.targets, answers.probabilities.argmax(axis=1)), 1)
    return table


def per_class(answers: Answers) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 (each 0..1, 0 where undefined) and support of every class."""
    table = confusion(answers)
    figures = {}
    for position, label in enumerate(CLASSES):
        right = table[position, position]
        precision = _ratio(right, table[:, position].sum())
        recall = _ratio(right, table[position].sum())
        figures[label.value] = {
            "precision": precision,
            "recall": recall,
            "f1": _ratio(2 * precision * recall, precision + recall),
            "pictures": int(table[position].sum()),
        }
    return figures


def by_group(answers: Answers) -> dict[str, dict[str, Any]]:
    """How each slide fared: a good average can hide a slide that fails altogether."""
    right = answers.probabilities.argmax(axis=1) == answers.targets
    return {
        str(group): {
            "class": CLASSES[int(answers.targets[here][0])].value,
            "pictures": int(here.sum()),
            "accuracy": float(right[here].mean()),
        }
        for group in np.unique(answers.groups)
        for here in [answers.groups == group]
    }


def accuracy(answers: Answers) -> float:
    """Share of pictures answered rightly."""
    return float((answers.probabilities.argmax(axis=1) == answers.targets).mean())


def slide_accuracy(answers: Answers) -> float:
    """Mean accuracy of the slides, each counting alike, however many pictures it has."""
    return float(np.mean([row["accuracy"] for row in by_group(answers).values()]))


def macro_f1(answers: Answers) -> float:
    """Mean F1 of the four classes, each counting alike."""
    return float(np.mean([row["f1"] for row in per_class(answers).values()]))


def sensitivity(answers: Answers) -> float:
    """Of malignant pictures, the share called any malignant class."""
    table = confusion(answers)
    return _ratio(table[1:, 1:].sum(), table[1:].sum())


def specificity(answers: Answers) -> float:
    """Of benign pictures, the share called benign."""
    table = confusion(answers)
    return _ratio(table[BENIGN, BENIGN], table[BENIGN].sum())


def expected_calibration_error(answers: Answers) -> float:
    """`ml.calibration.calibration_error` of the answers."""
    return calibration_error(answers.probabilities, answers.targets)


HEADLINES: Mapping[str, Callable[[Answers], float]] = {
    "accuracy": accuracy,
    "slide_accuracy": slide_accuracy,
    "macro_f1": macro_f1,
    "malignant_sensitivity": sensitivity,
    "malignant_specificity": specificity,
    "calibration_error": expected_calibration_error,
}


def _resampled(answers: Answers) -> list[Answers]:
    """Bootstrap draws: within each class, its slides with replacement, all their pictures."""
    rng = np.random.default_rng(SEED)
    slides = [
        [
            np.flatnonzero(answers.groups == group)
            for group in np.unique(answers.groups[answers.targets == target])
        ]
        for target in np.unique(answers.targets)
    ]
    draws = []
    for _ in range(RESAMPLES):
        drawn = [
            held[choice] for held in slides for choice in rng.integers(0, len(held), len(held))
        ]
        # A slide drawn twice counts as two, hence the new names.
        names = np.repeat(np.arange(len(drawn)), [len(rows) for rows in drawn])
        rows = np.concatenate(drawn)
        draws.append(Answers(answers.probabilities[rows], answers.targets[rows], names))
    return draws


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
