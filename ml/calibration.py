"""Whether a probability means what it says: one fitted number, in NumPy alone."""

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
