"""Teaching the dense ladder on features computed once: fifty epochs in seconds."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from ml import fusion
from ml.classes import CLASSES

Floats = NDArray[np.float32]
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """Epochs, batch and rate are the paper's (section 3.6); the rest was chosen by the folds."""

    epochs: int = 50
    batch: int = 32
    rate: float = 1e-3
    weight_decay: float = 0.0
    smoothing: float = 0.0  # of the labels
    noise: float = 0.0  # in standard deviations of each feature
    mixup: float = 0.0  # Beta(a, a) of how two samples are mixed; 0: none
    seed: int = 11


def train(
    features: Floats,
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    plan: LadderPlan,
    report: Report,
    validation: tuple[Floats, NDArray[np.int64]] | None = None,
) -> tuple[keras.Model, list[dict[str, float]]]:
    """The taught head and its history, one row an epoch.

    `features` (N, 1024) of plain and changed pictures alike, `targets` (N,), `weights` (N,) how
    often each is drawn, summing to 1. The last epoch's weights are kept: `validation` is only
    watched.
    """
    keras.utils.set_random_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    centre = features.mean(axis=0)
    # A channel that hardly moves must not be blown up: the folded kernel has to fit float16.
    spread = features.std(axis=0)
    scale = np.maximum(spread, 0.05 * np.median(spread))
    ready = (features - centre) / scale
    judged = None if validation is None else ((validation[0] - centre) / scale, validation[1])
    model = fusion.head()
    steps = max(1, len(targets) // plan.batch)
    model.compile(_optimizer(plan, steps), "categorical_crossentropy")
    history = []
    for epoch in range(plan.epochs):
        model.reset_metrics()  # the loss that Keras returns is the mean since then
        chosen = rng.choice(len(targets), (steps, plan.batch), p=weights)
        for rows in chosen:
            loss = float(model.train_on_batch(*_batch(ready, targets, rows, plan, rng)))
        watched = _judge(model, *judged) if judged else {}
        history.append({"loss": loss, **watched})
        report("dense head", epoch + 1, plan.epochs)
    return _absorb(model, centre, scale), history


def describe(plan: LadderPlan) -> dict[str, object]:
    """The plan as the manifest records it."""
    return {**asdict(plan), "optimizer": "Adam", "loss": "categorical cross-entropy"}


def _batch(
    ready: Floats,
    targets: NDArray[np.int64],
    rows: NDArray[np.int64],
    plan: LadderPlan,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Features and soft labels of one step."""
    shown, wanted = ready[rows], np.eye(len(CLASSES), dtype=np.float32)[targets[rows]]
    wanted = wanted * (1 - plan.smoothing) + plan.smoothing / len(CLASSES)
    if plan.mixup:
        share = rng.beta(plan.mixup, plan.mixup, (len(rows), 1)).astype(np.float32)
        shown = share * shown + (1 - share) * shown[::-1]
        wanted = share * wanted + (1 - share) * wanted[::-1]
    if plan.noise:
        shown = shown + plan.noise * rng.standard_normal(shown.shape, dtype=np.float32)
    return shown.astype(np.float32), wanted.astype(np.float32)


def _optimizer(plan: LadderPlan, steps: int) -> keras.optimizers.Optimizer:
    if plan.weight_decay:
        rate = keras.optimizers.schedules.CosineDecay(plan.rate, plan.epochs * steps, alpha=0.01)
        return keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay)
    return keras.optimizers.Adam(plan.rate)


def _judge(model: keras.Model, features: Floats, targets: NDArray[np.int64]) -> dict[str, float]:
    answers = np.asarray(model.predict_on_batch(features.astype(np.float32)))
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
