"""Whether a probability means what it says, and whether the picture is one the model knows.

Two small fitted things, in NumPy alone, both fitted on validation groups: a temperature that
softens the softmax, and a gate that measures how far a picture lies from the training ones.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

TEMPERATURES = np.geomspace(0.05, 20.0, 600)
BINS = 10  # equal-width confidence bins of the calibration error
SMALLEST = 1e-30  # below float32's smallest normal softmax nothing needs telling apart


@dataclass(frozen=True, slots=True)
class Temperature:
    """Divides the logits before the softmax. Above 1 the model is made less sure of itself."""

    value: float

    @classmethod
    def fit(cls, probabilities: Floats, targets: NDArray[np.integer[Any]], weights: Floats) -> Self:
        """The temperature with the least weighted negative log-likelihood.

        `probabilities` (N, 4) uncalibrated softmax, `targets` (N,) positions, `weights` (N,)
        at least 0: slides of unequal size should not outvote each other.
        """
        losses = [
            float(
                np.average(
                    negative_log_likelihood(cls(value)(probabilities), targets), weights=weights
                )
            )
            for value in TEMPERATURES
        ]
        return cls(float(TEMPERATURES[int(np.argmin(losses))]))

    def __call__(self, probabilities: Floats) -> Floats:
        """(N, 4) softmax to calibrated (N, 4); rows sum to 1 and keep their order."""
        # The logarithm of a softmax is its logits up to a constant, which softmax ignores.
        logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST)) / self.value
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def negative_log_likelihood(probabilities: Floats, targets: NDArray[np.integer[Any]]) -> Floats:
    """(N,) of -log p(true class), natural logarithm."""
    right = probabilities[np.arange(len(targets)), targets]
    return np.asarray(-np.log(np.maximum(right, SMALLEST)))


def calibration_error(probabilities: Floats, targets: NDArray[np.integer[Any]]) -> float:
    """Expected calibration error, 0..1: how far confidence and accuracy part, over ten bins."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == targets
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(correct[bins == b].mean()) - float(confidence[bins == b].mean()))
        * np.mean(bins == b)
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


@dataclass(frozen=True, slots=True)
class Gate:
    """How far a picture's pooled features lie from the training pictures.

    Features (N, 1024) are centred, scaled and projected on the leading principal components;
    the distance is the mean one to the `neighbours` nearest training pictures. A picture
    further away than `threshold` is 'unfamiliar': the model was not trained on its like.
    """

    centre: Floats  # (1024,)
    scale: Floats  # (1024,)
    components: Floats  # (1024, K)
    known: Floats  # (M, K): training pictures, projected
    neighbours: int
    threshold: float

    @classmethod
    def fit(
        cls,
        training: Floats,
        validation: Floats,
        slides: NDArray[Any],
        *,
        width: int,
        neighbours: int,
        false_alarms: float,
    ) -> Self:
        """Learn the space from (M, 1024) training features, the threshold from (N, 1024) others.

        `slides` (N,) says which slide each validation picture is of. `false_alarms` is the share
        of the median slide's pictures that may lie beyond the threshold. Not of all pictures: a
        single strange slide would pull the threshold out until it, and all the world's smears,
        count as familiar.
        """
        centre, scale = training.mean(axis=0), training.std(axis=0) + 1e-6
        _, sizes, rows = np.linalg.svd((training - centre) / scale, full_matrices=False)
        # Whitened: a quiet direction that suddenly moves is as telling as a lively one.
        components = rows[:width].T / (sizes[:width] / np.sqrt(len(training)))
        half = [_halved(a) for a in (centre, scale, components)]
        known = _halved(((training - half[0]) / half[1]) @ half[2])
        gate = cls(half[0], half[1], half[2], known, neighbours, threshold=np.inf)
        distance = gate.distance(validation)
        rims = [np.quantile(distance[slides == one], 1 - false_alarms) for one in np.unique(slides)]
        threshold = float(np.median(rims))
        return cls(half[0], half[1], half[2], known, neighbours, threshold)

    def distance(self, features: Floats) -> Floats:
        """(N, 1024) features to (N,) distances, at least 0, in whitened standard deviations."""
        if not len(features):
            return np.zeros(0)
        here = ((features - self.centre) / self.scale) @ self.components
        squared = (
            (here**2).sum(axis=1)[:, None] + (self.known**2).sum(axis=1) - 2 * here @ self.known.T
        )
        nearest = np.sort(np.maximum(squared, 0), axis=1)[:, : self.neighbours]
        return np.asarray(np.sqrt(nearest).mean(axis=1))

    def familiarity(self, features: Floats) -> Floats:
        """(N,) in 0..1: 1 is a training picture's twin, below 0.5 is beyond the threshold."""
        return np.asarray(self.threshold / (self.threshold + self.distance(features)))


def _halved(values: Floats) -> Floats:
    """As float16 will give them back from the package: fit with what ships."""
    return values.astype(np.float16).astype(np.float32)
