"""The paper's dense head, taught by the paper's recipe on features computed once."""

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml import fusion
from ml.experiments.paper import Recipe

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
History = list[dict[str, float]]


def teach(
    copies: Floats,
    targets: Ints,
    *,
    recipe: Recipe,
    seed: int,
    watched: tuple[Floats, Ints] | None = None,
) -> tuple[keras.Model, History]:
    """The head after the last epoch, and one row an epoch (accuracy, loss, val_ of the same).

    `copies` (C, N, W) plain and changed features of N pictures, of which every epoch takes one
    each; `targets` (N,). `watched` is looked at after every epoch and decides nothing.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = head(copies.shape[-1])
    # XLA would compile every new head for longer than it takes to teach it.
    model.compile(
        keras.optimizers.Adam(recipe.rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    lessons = _Lessons(copies, targets, recipe.batch, seed)
    fitted = model.fit(lessons, epochs=recipe.epochs, validation_data=watched, verbose=0)
    names, rows = zip(*fitted.history.items(), strict=True)
    return model, [
        dict(zip(names, map(float, row), strict=True)) for row in zip(*rows, strict=True)
    ]


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
