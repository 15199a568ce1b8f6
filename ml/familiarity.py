"""Is this picture of the kind the model was trained on? One score over the pooled features decides.

The known pictures' features are turned to their principal components and brought to unit
variance. How strange a picture is, is then a weighted sum: of its place on each component, of
the logarithm of its squared distance along each, and of what the components do not explain. The
weights are a logistic regression's between known pictures and foreign ones. Places count up to
four standard deviations, and no distance may count less than `LEAST`: so whatever the foreign
pictures of the fit looked like, one far enough away in any direction is strange.

NumPy alone when a picture is read; SciPy for the fit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Names = NDArray[Any]
Tensors = dict[str, NDArray[Any]]

KIND = "learned ellipsoid, logistic between known and foreign pictures"
FLOOR = 1e-3  # below this a feature is as good as constant
FOLDS = 5
LEAST = 0.05  # weight of every distance, whatever the foreign pictures of the fit looked like
FURTHEST = 4.0  # standard deviations; beyond, only the distance goes on counting
DECAY = 1e-3  # penalty on squared weights: ten times more or less changes little
STEPS = 300  # of the optimiser, which mostly needs fewer
ARRAYS = ("centre", "scale", "components", "spread", "place", "distance")
NUMBERS = ("rest", "bias", "threshold")


@dataclass(frozen=True, slots=True)
class Gate:
    """How strange a picture's pooled features are; above `threshold` it is 'unfamiliar'."""

    centre: Floats  # (D,)
    scale: Floats  # (D,)
    components: Floats  # (D, K), orthonormal columns
    spread: Floats  # (K,) standard deviation of the known pictures along each
    place: Floats  # (K,) weights of the whitened components, either sign
    distance: Floats  # (K + 1,) weights of the log squared distances, at least LEAST; rest last
    rest: float  # mean square of what the components leave unexplained in the known pictures
    bias: float
    threshold: float

    @classmethod
    def fit(
        cls,
        known: Floats,
        slides: Names,
        foreign: Floats,
        kinds: Names,
        *,
        sittings: Names | None = None,
        width: int = 128,
        false_alarms: float = 0.03,
        seed: int = 0,
    ) -> Self:
        """Learn the score from both, and the threshold from known pictures left out.

        `known` (N, D) features with the slide of each in `slides` (N,); `foreign` (M, D) with
        the kind of each in `kinds` (M,). Slides count by the root of their size, kinds alike.
        `width` is the number of components. The threshold lets `false_alarms` of the
        pictures lie beyond it when a fifth of the slides at a time is left out of the fit: new
        slides are stranger than those that were learned from. New sittings at the microscope are
        stranger still; with `sittings` (N,) the threshold is for a batch of which half are of
        new slides, half of new sittings. Raises `ValueError` where there are fewer than five
        slides or sittings, or no foreign picture.
        """
        units = [slides] if sittings is None else [slides, sittings]
        fewest = min(len(np.unique(names)) for names in units)
        if fewest < FOLDS or not len(foreign):
            raise ValueError(
                f"the gate needs pictures of {FOLDS} slides and sittings or more, and foreign "
                f"ones; got {fewest} and {len(foreign)}"
            )

        def learn(rows: NDArray[np.bool_]) -> Gate:
            return _learn(known[rows], slides[rows], foreign, kinds, width=width)

        strange = np.concatenate([left_out(known, names, learn, seed=seed) for names in units])
        arrays, settings = learn(np.ones(len(known), dtype=bool)).pack()
        settings["threshold"] = float(np.quantile(strange, 1 - false_alarms))
        return cls.unpack(arrays, settings)

    @classmethod
    def unpack(cls, arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> Self:
        """What `pack` gave, also after a way through float16."""
        held: dict[str, Any] = {name: arrays[name].astype(np.float32) for name in ARRAYS}
        held |= {name: float(settings[name]) for name in NUMBERS}
        return cls(**held)

    def pack(self) -> tuple[Tensors, dict[str, Any]]:
        """The arrays for `ml.packages.pack16`, and the settings for the manifest."""
        arrays = {name: np.asarray(getattr(self, name)) for name in ARRAYS}
        return arrays, {"kind": KIND, **{name: getattr(self, name) for name in NUMBERS}}

    def strangeness(self, features: Floats) -> Floats:
        """(N, D) features to (N,): the log odds of being foreign, in the fit's balance."""
        weights = np.concatenate([self.place, self.distance])
        return np.asarray(self.clues(features) @ weights + self.bias)

    def familiarity(self, features: Floats) -> Floats:
        """(N,) in 0..1: below 0.5 is beyond the threshold."""
        beyond = np.clip(self.strangeness(features) - self.threshold, -50, 50)
        return np.asarray(1 / (1 + np.exp(beyond)))

    def clues(self, features: Floats) -> Floats:
        """(N, 2 K + 1): places on the components, log squared distances along them, the rest's."""
        scaled = (features - self.centre) / self.scale
        along = scaled @ self.components
        left = np.maximum((scaled**2).sum(axis=1) - (along**2).sum(axis=1), 0) / self.rest
        place = along / self.spread
        near = np.clip(place, -FURTHEST, FURTHEST)
        return np.concatenate([near, np.log1p(place**2), np.log1p(left)[:, None]], axis=1)


def _learn(known: Floats, slides: Names, foreign: Floats, kinds: Names, *, width: int) -> Gate:
    """The score, with the threshold still to be set."""
    known, foreign = known.astype(np.float64), foreign.astype(np.float64)
    weights = _even(slides, power=0.5)
    centre = weights @ known
    scale = np.sqrt(weights @ (known - centre) ** 2) + FLOOR
    scaled = (known - centre) / scale
    shares, axes = np.linalg.eigh((weights[:, None] * scaled).T @ scaled)  # ascending
    sizes, axes = np.sqrt(np.maximum(shares[::-1], 0)), axes[:, ::-1]
    width = min(width, int((sizes > FLOOR).sum()))
    gate = Gate(
        centre=_halved(centre),
        scale=_halved(scale),
        components=_halved(axes[:, :width]),
        spread=_halved(sizes[:width]),
        place=np.zeros(width),
        distance=np.full(width + 1, LEAST),
        rest=max(float((sizes[width:] ** 2).sum()), FLOOR),
        bias=0.0,
        threshold=0.0,
    )
    target = np.repeat([0.0, 1.0], [len(known), len(foreign)])
    balance = np.concatenate([weights, _even(kinds, power=1.0)]) / 2
    clues = gate.clues(np.concatenate([known, foreign]))
    found = _logistic(clues, target, balance, free=width)
    return replace(
        gate,
        place=_halved(found[:width]),
        distance=_halved(found[width:-1]),
        bias=float(found[-1]),
    )


def left_out(
    known: Floats,
    units: Names,
    learn: Callable[[NDArray[np.bool_]], Gate],
    *,
    seed: int,
) -> Floats:
    """(N,) strangeness of each picture by a gate that has learned from other units alone."""
    names = np.random.default_rng(seed).permutation(np.unique(units))
    strange = np.zeros(len(known))
    for fold in range(FOLDS):
        out = np.isin(units, names[fold::FOLDS])
        strange[out] = learn(~out).strangeness(known[out])
    return strange


def _logistic(clues: Floats, target: Floats, balance: Floats, *, free: int) -> Floats:
    """Weights and, last, the bias; all weights but the first `free` are at least `LEAST`."""
    from scipy.optimize import minimize  # noqa: PLC0415  (only the fit needs SciPy)

    columns = np.column_stack([clues, np.ones(len(clues))]).astype(np.float64)
    penalty = np.append(np.full(clues.shape[1], DECAY), 0.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        odds = np.clip(columns @ weights, -500, 500)
        share = 1 / (1 + np.exp(-odds))
        value = balance @ (np.logaddexp(0, odds) - target * odds) + penalty @ weights**2 / 2
        return float(value), columns.T @ (balance * (share - target)) + penalty * weights

    floor = [None if i < free or i == clues.shape[1] else LEAST for i in range(columns.shape[1])]
    found = minimize(
        loss,
        np.zeros(columns.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(low, None) for low in floor],
        options={"maxiter": STEPS},
    )
    return np.asarray(found.x)


def _even(names: Names, *, power: float) -> Floats:
    """(N,) weights summing to 1: each name's share goes with its count to the power 1 - `power`."""
    _, where, counts = np.unique(names, return_inverse=True, return_counts=True)
    weights = counts[where] ** -power
    return np.asarray(weights / weights.sum())


def _halved(values: Floats) -> Floats:
    """As float16 will give them back from the package: fit with what ships."""
    return values.astype(np.float16).astype(np.float32)
