"""Teaching the dense ladder on cached features: the paper's own training, in a minute."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from ml import fusion

Floats = NDArray[np.float32]
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """The paper's figures (section 3.6); `noise` is ours, chosen on the validation groups."""

    epochs: int = 50
    batch: int = 32
    rate: float = 1e-3
    weight_decay: float = 0.0
    noise: float = 0.0  # in standard deviations of each feature
    seed: int = 11


def train(
    shaken: Floats,
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    validation: tuple[Floats, NDArray[np.int64]],
    plan: LadderPlan,
    report: Report,
) -> tuple[keras.Model, list[dict[str, float]]]:
    """The taught head and its history, one row an epoch.

    `shaken` (C, N, 1024): C changed copies of every training picture; each drawn sample takes
    a random one. `weights` (N,) sampling weights. The last epoch's weights are kept.
    """
    keras.utils.set_random_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    centre = shaken.mean(axis=(0, 1))
    # A channel that hardly moves must not be blown up: the folded kernel has to fit float16.
    spread = shaken.std(axis=(0, 1))
    scale = np.maximum(spread, 0.05 * np.median(spread))
    ready, judged = (shaken - centre) / scale, (validation[0] - centre) / scale
    model = fusion.head()
    steps = len(targets) // plan.batch
    model.compile(_optimizer(plan, steps), "sparse_categorical_crossentropy")
    history = []
    for epoch in range(plan.epochs):
        losses = []
        for _ in range(steps):
            chosen = rng.choice(len(targets), plan.batch, p=weights)
            batch = ready[rng.integers(0, len(ready), plan.batch), chosen]
            batch = batch + plan.noise * rng.standard_normal(batch.shape)
            losses.append(float(model.train_on_batch(batch.astype(np.float32), targets[chosen])))
        history.append({"loss": float(np.mean(losses)), **_judge(model, judged, validation[1])})
        report("dense head", epoch + 1, plan.epochs)
    return _absorb(model, centre, scale), history


def describe(plan: LadderPlan) -> dict[str, object]:
    """The plan as the manifest records it."""
    return {**asdict(plan), "optimizer": "Adam", "loss": "sparse categorical cross-entropy"}


def _optimizer(plan: LadderPlan, steps: int) -> keras.optimizers.Optimizer:
    if plan.weight_decay:
        rate = keras.optimizers.schedules.CosineDecay(plan.rate, plan.epochs * steps, alpha=0.01)
        return keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay)
    return keras.optimizers.Adam(plan.rate)


def _judge(model: keras.Model, features: Floats, targets: NDArray[np.int64]) -> dict[str, float]:
    answers = np.asarray(model(features.astype(np.float32), training=False))
    right = answers.argmax(axis=1) == targets
    loss = -np.log(np.maximum(answers[np.arange(len(targets)), targets], 1e-30))
    return {"validation_accuracy": float(right.mean()), "validation_loss": float(loss.mean())}


def _absorb(model: keras.Model, centre: Floats, scale: Floats) -> keras.Model:
    """The same function of raw features: their standardisation moves into the first layer.

    Dense((x - c) / s) = Dense'(x) with W' = W / s and b' = b - c W'. Table 3 has no layer for it.
    """
    first = model.get_layer(f"dense_{fusion.HEAD_UNITS[0]}")
    kernel, bias = first.get_weights()
    kernel = kernel / scale[:, None]
    first.set_weights([kernel, bias - centre @ kernel])
    return model
