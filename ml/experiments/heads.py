"""The paper's dense head, taught by the paper's recipe on features computed once."""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml import fusion
from ml.experiments.paper import Recipe

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
History = list[dict[str, float]]


@dataclass(frozen=True, slots=True)
class Head:
    """A taught head behind what levels its features (0 and 1 where the recipe does not)."""

    model: keras.Model
    centre: Floats
    scale: Floats

    def __call__(self, features: Floats) -> Floats:
        """(N, W) to (N, 4) shares that sum to 1."""
        answers = self.model((features - self.centre) / self.scale, training=False)
        return np.asarray(answers, dtype=np.float32)


def teach(
    copies: Floats,
    targets: Ints,
    *,
    recipe: Recipe,
    seed: int,
    watched: tuple[Floats, Ints] | None = None,
) -> tuple[Head, History]:
    """The head after the last epoch, and one row an epoch (accuracy, loss, val_ of the same).

    `copies` (C, N, W) plain and changed features of N pictures, of which every epoch takes one
    each; `targets` (N,). `watched` is looked at after every epoch and decides nothing.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = head(copies.shape[-1])
    # XLA would compile every new head for longer than it saves, and the steps are slower for it.
    model.compile(
        keras.optimizers.Adam(recipe.rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    centre, scale = _levels(copies) if recipe.level else (np.float32(0), np.float32(1))
    lessons = _Lessons((copies - centre) / scale, targets, recipe.batch, seed)
    judged = watched and ((watched[0] - centre) / scale, watched[1])
    fitted = model.fit(lessons, epochs=recipe.epochs, validation_data=judged, verbose=0)
    names, rows = zip(*fitted.history.items(), strict=True)
    history = [dict(zip(names, map(float, row), strict=True)) for row in zip(*rows, strict=True)]
    return Head(model, np.asarray(centre), np.asarray(scale)), history


def _levels(copies: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of each feature, (W,); one that hardly moves must not be blown up."""
    spread = copies.std(axis=(0, 1))
    return copies.mean(axis=(0, 1)), np.maximum(spread, 0.05 * np.median(spread))


def head(width: int) -> keras.Model:
    """Table 3's ladder on `width` features; 1,024 make it exactly Table 3's."""
    table_3 = fusion.head()
    if width == 2 * fusion.TRUNK_WIDTH:
        return table_3
    features = keras.Input((width,), name="features")
    x: Any = features
    for layer in table_3.layers[1:]:
        x = type(layer).from_config(layer.get_config())(x)
    return keras.Model(features, x, name="head")


class _Lessons(keras.utils.PyDataset):  # type: ignore[misc]  # Keras comes without types
    """Batches of one epoch: shuffled, each picture as one of its copies, drawn anew."""

    def __init__(self, copies: Floats, targets: Ints, batch: int, seed: int) -> None:
        super().__init__()
        self._copies, self._targets, self._batch = copies, targets, batch
        self._rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._targets) / self._batch)

    def __getitem__(self, index: int) -> tuple[Floats, Ints]:
        here = slice(index * self._batch, (index + 1) * self._batch)
        rows = self._order[here]
        return self._copies[self._shown[here], rows], self._targets[rows]

    def on_epoch_end(self) -> None:
        """Keras calls it; the name is Keras's."""
        self._order = self._rng.permutation(len(self._targets))
        self._shown = self._rng.integers(0, len(self._copies), len(self._targets))
