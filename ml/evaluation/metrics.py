"""Figures, with how sure they are. NumPy alone, so that every figure can be followed by hand.

Pictures of one slide are alike, so intervals are drawn over slides (`intervals`), not pictures.
Every figure is a function of weighted pictures: the figure itself weighs each picture 1, a
bootstrap draw as often as it was drawn.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.calibration import BINS, negative_log_likelihood
from ml.classes import CLASSES
from ml.evaluation import intervals
from ml.evaluation.curves import Ranking, confidence_bins
from ml.evaluation.intervals import NEW_BATCH, Batch, Draws

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

BENIGN = 0
assert not CLASSES[BENIGN].malignant and all(label.malignant for label in CLASSES[1:])

SPECIFICITY = 0.95  # at which the sensitivity to malignant pictures is stated
OPERATING_POINT = (
    "The threshold on the probability of any malignant class is the lowest that keeps {wanted:.0%} "
    "specificity on these very answers, so the sensitivity is on the hopeful side."
)

LEAK_WARNING = (
    "These figures come from slides that the model has never seen. Published figures on this set "
    "(99.89 % in the paper) come from a split by picture, which puts fields of one slide on both "
    "sides; they must not be compared with these. Slides were inferred, not recorded: some "
    "leakage between neighbouring slides of one patient cannot be excluded."
)

HEADLINES = (
    "accuracy",
    "slide_accuracy",
    "macro_f1",
    "malignant_sensitivity",
    "malignant_specificity",
    "calibration_error",
)
PER_CLASS = ("precision", "recall", "specificity", "f1", "auroc", "average_precision")


class NothingToMeasure(Exception):
    """There is not a single answer."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the model said of N pictures and what was true.

    `probabilities` (N, 4) calibrated; `targets` (N,) positions in `CLASSES`; `groups` (N,) the
    slide of each.
    """

    probabilities: Floats
    targets: Ints
    groups: NDArray[Any]


def measure(
    answers: Answers,
    *,
    draws: int = intervals.DRAWS,
    batch: Batch | None = NEW_BATCH,
    unseen: bool = True,
) -> dict[str, Any]:
    """Every figure with its 95 % interval, and where a new `batch` of slides would fall.

    JSON-ready; shares 0..1; None where a figure is undefined (a class that is not there).
    `unseen` False leaves the imagined slide out of the intervals, as `seen_only` always does: for
    splits that leak, where no slide is new. Takes about ten seconds for 2,778
    pictures. Raises `NothingToMeasure`.
    """
    if not len(answers.targets):
        raise NothingToMeasure("no picture has an answer: there is nothing to measure")
    values = _values(answers)
    seen = _spread(answers, values, None, draws, unseen=0)
    here = _spread(answers, values, None, draws, unseen=intervals.UNSEEN) if unseen else seen
    there = _spread(answers, values, batch, draws, unseen=intervals.UNSEEN) if batch else None
    further = [name for name in values if "." not in name and name not in HEADLINES]
    method = intervals.METHOD if unseen else intervals.SEEN_METHOD
    return {
        "pictures": len(answers.targets),
        "groups": len(np.unique(answers.groups)),
        "interval": method.format(draws=draws, seed=intervals.SEED),
        "headline": {name: {"value": _plain(values[name]), **here[name]} for name in HEADLINES},
        "further": {name: {"value": _plain(values[name]), **here[name]} for name in further},
        "operating_point": operating_point(answers),
        "seen_only": {
            "method": intervals.SEEN_METHOD.format(draws=draws, seed=intervals.SEED),
            "figures": {name: row for name, row in seen.items() if "." not in name},
        },
        "new_batch": {
            "method": _of_batch(answers, batch, draws),
            "figures": {name: row for name, row in there.items() if "." not in name},
        }
        if batch and there
        else None,
        "classes": {
            key: {**row, "intervals": {name: here[f"{name}.{key}"] for name in PER_CLASS}}
            for key, row in per_class(answers).items()
        },
        "confusion": confusion(answers).tolist(),
        "by_group": by_group(answers),
    }


def values(answers: Answers) -> dict[str, float | None]:
    """Every figure without intervals, at once: `accuracy`, `macro_f1`, `recall.pro_b`, …"""
    return {name: _plain(value) for name, value in _values(answers).items()}


def confusion(answers: Answers) -> Ints:
    """(4, 4) counts: row the truth, column the answer, in the order of `CLASSES`."""
    table = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)
    np.add.at(table, (answers.targets, answers.probabilities.argmax(axis=1)), 1)
    return table


def per_class(answers: Answers) -> dict[str, dict[str, float | None]]:
    """`PER_CLASS` figures of every class, its `pictures` (support) and `slides`.

    Recall is sensitivity. A class that is not there has None for what would need it.
    """
    every = values(answers)
    figures: dict[str, dict[str, float | None]] = {}
    for position, label in enumerate(CLASSES):
        here = answers.targets == position
        figures[label.value] = {name: every[f"{name}.{label.value}"] for name in PER_CLASS}
        figures[label.value]["pictures"] = int(here.sum())
        figures[label.value]["slides"] = len(np.unique(answers.groups[here]))
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


def operating_point(answers: Answers, wanted: float = SPECIFICITY) -> dict[str, Any]:
    """Sensitivity to malignant pictures where specificity is at least `wanted` (0..1)."""
    counts = malignancy(answers.probabilities, answers.targets).counts()
    found = [_plain(float(row[0])) for row in counts.at_specificity(wanted)]
    names = ("sensitivity", "specificity", "threshold")
    return {**dict(zip(names, found, strict=True)), "how": OPERATING_POINT.format(wanted=wanted)}


def malignancy(probabilities: Floats, targets: Ints) -> Ranking:
    """Pictures ranked by the probability of any malignant class, 1 - p(benign)."""
    return Ranking.of(1 - probabilities[:, BENIGN], targets != BENIGN)


def whole(answers: Answers) -> Draws:
    """The draw that is no draw: every picture once, and every slide alike."""
    _, slide, sizes = np.unique(answers.groups, return_inverse=True, return_counts=True)
    return Draws(np.ones((1, len(answers.targets))), (1 / sizes[slide])[None])


def of_table(tables: NDArray[Any]) -> dict[str, Floats]:
    """`PER_CLASS` figures that follow from (…, 4, 4) confusion tables, each (…, 4).

    Of a class that is there, precision is 0 when nothing was called it; of a class that is not
    there, everything that needs it is NaN.
    """
    right = np.diagonal(tables, axis1=-2, axis2=-1).astype(float)
    there, called, every = tables.sum(-1), tables.sum(-2), tables.sum((-1, -2))[..., None]
    absent = np.where(there > 0, 0.0, np.nan)
    return {
        "precision": right / np.maximum(called, 1e-12) + absent,
        "recall": _ratio(right, there),
        "specificity": _ratio(every - there - called + right, every - there),
        "f1": 2 * right / np.maximum(there + called, 1e-12) + absent,
    }


def _averages(tables: NDArray[Any]) -> dict[str, Floats]:
    """Figures over all classes that follow from (…, 4, 4) confusion tables, each (…)."""
    figures = of_table(tables)
    malignant, benign = tables[..., 1:, :], tables[..., BENIGN, :]
    absent = np.where(tables.sum(-1) > 0, 0.0, np.nan)
    return {
        **{f"macro_{name}": mean_of_present(row + absent) for name, row in figures.items()},
        "malignant_sensitivity": _ratio(malignant[..., 1:].sum((-1, -2)), malignant.sum((-1, -2))),
        "malignant_specificity": _ratio(benign[..., BENIGN], benign.sum(-1)),
    }


@dataclass(frozen=True, slots=True)
class _Figures:
    """Everything about R answers that does not change from draw to draw."""

    probabilities: Floats
    targets: Ints
    right: Floats  # (R,)
    sums: Floats  # (R, K): what is summed: confusion, log loss, Brier score, calibration bins

    @classmethod
    def of(cls, probabilities: Floats, targets: Ints) -> "_Figures":
        said, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        right = (said == targets).astype(float)
        cells = np.eye(len(CLASSES) ** 2)[targets * len(CLASSES) + said]
        bins = np.eye(BINS)[confidence_bins(confidence)] * (right - confidence)[:, None]
        brier = ((probabilities - np.eye(len(CLASSES))[targets]) ** 2).sum(axis=1)
        loss = negative_log_likelihood(probabilities, targets)
        sums = np.column_stack([cells, loss, brier, bins])
        return cls(probabilities, targets, right, sums)

    def of_draw(self, draw: Draws) -> dict[str, Floats]:
        """(D,) of every figure; NaN where undefined."""
        sums = draw.pictures @ self.sums
        cells = len(CLASSES) ** 2
        tables = sums[:, :cells].reshape(-1, len(CLASSES), len(CLASSES))
        total = tables.sum((1, 2))
        classes, malignant = self._ranked(draw)
        classes |= of_table(tables)
        figures = {
            "accuracy": np.trace(tables, axis1=1, axis2=2) / total,
            "slide_accuracy": draw.slides @ self.right / draw.slides.sum(axis=1),
            **_averages(tables),
            **malignant,
            "calibration_error": np.abs(sums[:, cells + 2 :]).sum(axis=1) / total,
            "macro_auroc": mean_of_present(classes["auroc"]),
            "macro_average_precision": mean_of_present(classes["average_precision"]),
            "brier": sums[:, cells + 1] / total,  # 0..2, summed over the classes
            "log_loss": sums[:, cells] / total,
        }
        for name in PER_CLASS:
            for position, label in enumerate(CLASSES):
                figures[f"{name}.{label.value}"] = classes[name][:, position]
        return figures

    def _ranked(self, draw: Draws) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Figures that look at every threshold: (D, 4) ones of the classes, (D,) malignant ones."""
        used = draw.pictures.any(axis=0)  # most imagined rows are in no draw: leave them unsorted
        weights, targets = draw.pictures[:, used], self.targets[used]
        probabilities = self.probabilities[used]
        counts = [
            Ranking.of(probabilities[:, position], targets == position).counts(weights)
            for position in range(len(CLASSES))
        ]
        malignant = malignancy(probabilities, targets).counts(weights)
        classes = {
            "auroc": np.stack([one.area() for one in counts], axis=1),
            "average_precision": np.stack([one.average_precision() for one in counts], axis=1),
        }
        return classes, {
            "malignant_sensitivity_at_specificity": malignant.at_specificity(SPECIFICITY)[0],
            "malignant_auroc": malignant.area(),
        }


def _values(answers: Answers) -> dict[str, float]:
    figures = _Figures.of(answers.probabilities, answers.targets).of_draw(whole(answers))
    return {name: float(row[0]) for name, row in figures.items()}


def _of_batch(answers: Answers, batch: Batch, draws: int) -> str:
    """Which part of the batch can be spoken of: the classes that are there."""
    there = np.unique(answers.targets)
    return intervals.BATCH_METHOD.format(
        slides=sum(batch.slides[position] for position in there),
        pictures=sum(batch.pictures[position] for position in there),
        draws=draws,
        seed=intervals.SEED,
    )


def _spread(
    answers: Answers, values: dict[str, float], batch: Batch | None, count: int, *, unseen: float
) -> dict[str, dict[str, float | None]]:
    """{"low", "high"} of every figure: percentiles over the draws.

    Without a batch the ends are moved out to the value itself where they missed it: small
    samples lift the calibration error of every draw above that of the whole.
    """
    fixed = _Figures.of(*intervals.imagined(answers.probabilities, answers.targets))
    found: dict[str, list[Floats]] = {}
    for draw in intervals.draws(
        answers.targets, answers.groups, batch=batch, unseen=unseen, count=count
    ):
        for name, row in fixed.of_draw(draw).items():
            found.setdefault(name, []).append(row)
    ends: dict[str, dict[str, float | None]] = {}
    for name, rows in found.items():
        every = np.concatenate(rows)
        if np.isnan(every).all() or np.isnan(values[name]):
            ends[name] = {"low": None, "high": None}
            continue
        low, high = np.nanpercentile(every, intervals.PERCENTILES)
        if batch is None:
            low, high = min(low, values[name]), max(high, values[name])
        ends[name] = {"low": float(low), "high": float(high)}
    return ends


def mean_of_present(rows: Floats) -> Floats:
    """(…, 4) to (…) mean over what is not NaN; NaN where nothing is."""
    there = ~np.isnan(rows)
    return _ratio(np.where(there, rows, 0).sum(-1), there.sum(-1))


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """NaN where the whole is nothing."""
    safe = np.where(whole > 0, whole, 1)
    return np.asarray(np.where(whole > 0, part / safe, np.nan))


def _plain(value: float) -> float | None:
    """As JSON can hold it."""
    return value if np.isfinite(value) else None
