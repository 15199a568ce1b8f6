"""Curves: what every threshold would give, whether confidence is earned, how training went.

NumPy alone. A `Ranking` is sorted once and then counts any number of weightings of its pictures,
which is what makes thousands of bootstrap draws affordable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ml.calibration import BINS

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]

HISTORY_KEYS = {
    "accuracy": ("accuracy", "validation_accuracy"),
    "loss": ("loss", "validation_loss"),
}


class HistoryUnreadable(Exception):
    """A training history without a single figure that a learning curve could show."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """N pictures from the highest score to the lowest; pictures with one score stand together."""

    order: Ints  # (N,)
    ends: Ints  # (M,) last place of each distinct score
    thresholds: Floats  # (M,) distinct scores, falling
    positive: Flags  # (N,) in ranked order

    @classmethod
    def of(cls, scores: Floats, positive: Flags) -> Self:
        """`scores` (N,), higher means likelier positive; `positive` (N,) the truth."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(scores) else order
        return cls(order, ends, ranked[ends], positive[order])

    def counts(self, weights: Floats | None = None) -> "Counts":
        """What every threshold calls positive, in D weightings (D, N); without any, one of 1."""
        if weights is None:
            weights = np.ones((1, len(self.order)))
        ranked = weights[:, self.order]
        called = np.cumsum(ranked, axis=1)[:, self.ends]
        true = np.cumsum(ranked * self.positive, axis=1)[:, self.ends]
        return Counts(true, called - true, self.thresholds)


@dataclass(frozen=True, slots=True)
class Counts:
    """Weight of true and of false positives at M thresholds, in D weightings: (D, M) each."""

    true: Floats
    false: Floats
    thresholds: Floats  # (M,) falling

    def roc(self) -> tuple[Floats, Floats]:
        """(D, M) false and true positive shares, 0..1; NaN where a side has no weight at all."""
        with np.errstate(invalid="ignore"):
            return self.false / self.false[:, -1:], self.true / self.true[:, -1:]

    def area(self) -> Floats:
        """(D,) area under the ROC curve, ties counting half; NaN where a side is missing."""
        width = np.diff(self.false, axis=1, prepend=0)
        gained = np.diff(self.true, axis=1, prepend=0)
        with np.errstate(invalid="ignore"):
            below = (width * (self.true - gained / 2)).sum(axis=1)
            return np.asarray(below / (self.false[:, -1] * self.true[:, -1]))

    def average_precision(self) -> Floats:
        """(D,) mean precision over the recalls gained, as scikit-learn defines it."""
        gained = np.diff(self.true, axis=1, prepend=0)
        called = np.maximum(self.true + self.false, 1e-12)
        with np.errstate(invalid="ignore"):
            return np.asarray((gained * self.true / called).sum(axis=1) / self.true[:, -1])

    def at_specificity(self, wanted: float) -> tuple[Floats, Floats, Floats]:
        """(D,) sensitivity, specificity and threshold of the lowest threshold that keeps
        specificity at `wanted` or above. A threshold of infinity calls nothing positive."""
        allowed = self.false <= (1 - wanted + 1e-9) * self.false[:, -1:]
        place = allowed.sum(axis=1) - 1  # the counts only rise, so the allowed ones come first
        rows, some = np.arange(len(place)), place >= 0
        with np.errstate(invalid="ignore"):
            sensitivity = np.where(some, self.true[rows, place], 0) / self.true[:, -1]
            specificity = 1 - np.where(some, self.false[rows, place], 0) / self.false[:, -1]
        undefined = np.where((self.false[:, -1] > 0) & (self.true[:, -1] > 0), 0.0, np.nan)
        threshold = np.where(some, self.thresholds[place], np.inf)
        return sensitivity + undefined, specificity + undefined, threshold + undefined


def roc(scores: Floats, positive: Flags) -> tuple[Floats, Floats]:
    """False and true positive shares to draw, from (0, 0) to (1, 1); NaN without both kinds."""
    false, true = Ranking.of(scores, positive).counts().roc()
    return np.append(0.0, false[0]), np.append(0.0, true[0])


def precision_recall(scores: Floats, positive: Flags) -> tuple[Floats, Floats]:
    """Recall (rising) and precision to draw, one point a distinct score; NaN without positives."""
    counts = Ranking.of(scores, positive).counts()
    with np.errstate(invalid="ignore"):
        recall = counts.true[0] / counts.true[0, -1]
        return recall, counts.true[0] / (counts.true[0] + counts.false[0])


@dataclass(frozen=True, slots=True)
class Reliability:
    """Ten equal-width bins of confidence; NaN in empty ones."""

    edges: Floats  # (11,)
    confidence: Floats  # (10,) mean confidence
    accuracy: Floats  # (10,) share right
    pictures: Ints  # (10,)


def reliability(probabilities: Floats, targets: Ints) -> Reliability:
    """The bins of `ml.calibration.calibration_error`, of (N, 4) probabilities and (N,) truths."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    bins = confidence_bins(confidence)
    pictures = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=np.linspace(0, 1, BINS + 1),
            confidence=np.bincount(bins, confidence, BINS) / pictures,
            accuracy=np.bincount(bins, right, BINS) / pictures,
            pictures=pictures,
        )


def confidence_bins(confidence: Floats) -> Ints:
    """Which of the ten bins each confidence (0..1) falls into; 1 belongs to the last."""
    return np.asarray(np.minimum((confidence * BINS).astype(int), BINS - 1))


def coverage(probabilities: Floats, targets: Ints) -> tuple[Floats, Floats]:
    """Share answered (rising) and accuracy among those, when the least sure are left to people."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    counts = Ranking.of(confidence, right).counts()
    answered = counts.true[0] + counts.false[0]
    return answered / len(targets), counts.true[0] / answered


def learning(history: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Floats]]:
    """{"accuracy" | "loss": {"training" | "validation": (E,)}} of one row an epoch.

    Keras's names (`val_loss`) and this project's (`validation_loss`) both count; what a history
    does not hold is left out. Raises `HistoryUnreadable` when nothing is left.
    """
    curves: dict[str, dict[str, Floats]] = {}
    for what, keys in HISTORY_KEYS.items():
        for part, key in zip(("training", "validation"), keys, strict=True):
            short = key.replace("validation_", "val_")
            values = [row.get(key, row.get(short, np.nan)) for row in history]
            if values and not np.isnan(values).all():
                curves.setdefault(what, {})[part] = np.array(values, dtype=float)
    if not curves:
        raise HistoryUnreadable("the history names neither accuracy nor loss in any epoch")
    return curves
