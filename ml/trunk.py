"""Teaching DenseNet-121's trunk from scratch, where ImageNet's weights are out of reach.

It sees segmented pictures of the training groups only, behind a small head that is thrown away
afterwards. Each epoch ends in a checkpoint, so a broken run goes on where it stopped.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from ml import fusion
from ml.augmentation import TRAINING, apply, draw
from ml.classes import CLASSES
from ml.preprocessing import shrink, unit
from ml.samples import Samples

Report = Callable[[str, int, int], None]  # what is being done, how far, of how much


@dataclass(frozen=True, slots=True)
class TrunkPlan:
    """How the trunk is taught. An epoch draws as many pictures as the training part holds."""

    epochs: int = 24
    batch: int = 32
    peak_rate: float = 2e-3
    weight_decay: float = 1e-2
    smoothing: float = 0.05
    seed: int = 7


def train(
    training: Samples, validation: Samples, *, plan: TrunkPlan, folder: Path, report: Report
) -> keras.Model:
    """The taught trunk, (N, 128, 128, 3) in 0..1 to (N, 8, 8, 512).

    `folder` keeps the plan, the checkpoint and `trunk-history.json`. The last epoch's weights are
    taken: picking the epoch that validation likes best would make validation figures flatter.
    """
    finished = folder / "trunk-settled.keras"
    _same_plan(plan, folder / "trunk-plan.json")
    if finished.exists():
        return keras.models.load_model(finished)
    keras.utils.set_random_seed(plan.seed)
    trunk = fusion.densenet121(None)
    steps = len(training) // plan.batch
    model = _with_head(trunk, plan, steps)
    checkpoint, history_file = folder / "trunk.keras", folder / "trunk-history.json"
    history: list[dict[str, float]] = []
    if checkpoint.exists() and history_file.exists():
        history = json.loads(history_file.read_text())
        model = keras.models.load_model(checkpoint)
        trunk = model.get_layer("densenet121")
    for epoch in range(len(history), plan.epochs):
        rng = np.random.default_rng([plan.seed, epoch])
        losses = []
        for step, (pictures, targets) in enumerate(_batches(training, plan.batch, steps, rng)):
            losses.append(float(model.train_on_batch(pictures, targets)))
            report(f"DenseNet trunk, epoch {epoch + 1} of {plan.epochs}", step + 1, steps)
        history.append({"loss": float(np.mean(losses[steps // 2 :])), **_judge(model, validation)})
        partial = checkpoint.with_name("partial.keras")
        model.save(partial)
        partial.replace(checkpoint)
        history_file.write_text(json.dumps(history, indent=1))
    rng = np.random.default_rng([plan.seed, plan.epochs])
    _settle(trunk, _batches(training, plan.batch, steps, rng))
    trunk.save(finished)
    return trunk


def describe(plan: TrunkPlan) -> dict[str, object]:
    """The plan as the manifest records it."""
    return {**asdict(plan), "optimizer": "AdamW, cosine decay after a warm-up", "weights": "last"}


def _same_plan(plan: TrunkPlan, file: Path) -> None:
    """Raise `ValueError` rather than go on with another plan's checkpoint."""
    if file.exists() and json.loads(file.read_text()) != asdict(plan):
        raise ValueError(f"{file.parent} holds a run of another plan; give another runs folder")
    file.write_text(json.dumps(asdict(plan)))


def _with_head(trunk: keras.Model, plan: TrunkPlan, steps: int) -> keras.Model:
    # The trunk stays one layer, so that a loaded checkpoint can hand it back by name.
    picture = keras.Input(fusion.INPUT)
    features = keras.layers.GlobalAveragePooling2D()(trunk(picture))
    logits = keras.layers.Dense(len(CLASSES), name="aside")(keras.layers.Dropout(0.2)(features))
    model = keras.Model(picture, logits)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=plan.peak_rate / 20,
        decay_steps=(plan.epochs - 2) * steps,
        alpha=0.01,
        warmup_target=plan.peak_rate,
        warmup_steps=2 * steps,
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=plan.smoothing),
    )
    return model


def _batches(
    samples: Samples, batch: int, steps: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Augmented segmented pictures and one-hot targets; the next batch is made meanwhile."""
    chosen = rng.choice(len(samples), (steps, batch), p=samples.weights)
    seeds = rng.integers(0, 2**32, (steps, batch))

    def make(step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        pictures = [
            shrink(
                apply(
                    draw(np.random.default_rng(seed), TRAINING),
                    field=samples.fields[index],
                    mask=samples.masks[index],
                )[1]
            )
            for index, seed in zip(chosen[step], seeds[step], strict=True)
        ]
        onehot = np.eye(len(CLASSES), dtype=np.float32)[samples.targets[chosen[step]]]
        return unit(np.stack(pictures)), onehot

    with ThreadPoolExecutor(max_workers=1) as maker:
        ahead = maker.submit(make, 0)
        for step in range(steps):
            made = ahead.result()
            if step + 1 < steps:
                ahead = maker.submit(make, step + 1)
            yield made


def _settle(
    trunk: keras.Model, batches: Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]
) -> None:
    """Replace the batch normalisations' running means by true means over these batches.

    The running ones lag by hundreds of steps, and the lags of seventy layers in a row add up:
    half way through training the trunk answered 63 % of validation rightly with the batch's own
    means and 29 % with the running ones.
    """
    inner = next(layer for layer in trunk.layers if isinstance(layer, keras.Model))
    normalisations = [
        layer for layer in inner.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for count, (pictures, _) in enumerate(batches):
        for layer in normalisations:
            layer.momentum = count / (count + 1)
        trunk(pictures, training=True)


def _judge(model: keras.Model, samples: Samples) -> dict[str, float]:
    """Accuracy and mean recall over the classes on plain (not augmented) pictures."""
    answers = np.concatenate(
        [
            np.asarray(model.predict_on_batch(unit(pictures)))
            for pictures in np.array_split(samples.segmented, max(1, len(samples) // 64))
        ]
    )
    right = answers.argmax(axis=1) == samples.targets
    recalls = [right[samples.targets == target].mean() for target in np.unique(samples.targets)]
    return {"accuracy": float(right.mean()), "mean_recall": float(np.mean(recalls))}
