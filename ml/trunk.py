"""Teaching DenseNet-121's trunk without a label, where ImageNet's weights are out of reach.

VGG16 knows ImageNet; it is shown galleries of cells, and DenseNet learns to give the same map of
features, position by position (64 a picture, so few pictures go a long way; Hinton et al. 2015,
arXiv 1503.02531, and Romero et al. 2014, arXiv 1412.6550, on learning from another network's
maps). Neither class nor slide is looked at: one trunk serves every split of the data.

A trunk taught on labels instead (`docs/model.md`) knew its training slides by heart.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from ml import fusion
from ml.augmentation import stain
from ml.gallery import GRID, lay, tiles
from ml.preprocessing import Picture, unit
from ml.samples import Samples

Report = Callable[[str, int, int], None]  # what is being done, how far, of how much
Maps = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class TrunkPlan:
    """How the trunk is taught."""

    pictures: int = 5000  # galleries drawn once, half of one field each, half of many
    epochs: int = 6
    batch: int = 32
    peak_rate: float = 2e-3
    weight_decay: float = 1e-2
    strength: float = 0.25  # of the stain: each channel's density times exp(+-strength)
    lamp: float = 0.08  # each channel's light times exp(+-lamp)
    seed: int = 7


def teach(
    samples: Samples, teacher: keras.Model, *, plan: TrunkPlan, folder: Path, report: Report
) -> keras.Model:
    """The taught trunk, (N, 128, 128, 3) in 0..1 to (N, 8, 8, 512).

    `teacher` gives (N, 8, 8, 512) for the same pictures (`fusion.teacher`). `folder` keeps the
    plan, the checkpoint and `trunk-history.json`: run again, it goes on where it stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished = folder / "trunk-settled.keras"
    _same_plan(plan, folder / "trunk-plan.json")
    if finished.exists():
        return keras.models.load_model(finished)
    pictures = lessons(samples, plan=plan)
    maps = _standardised(_answers(teacher, pictures, plan, report))
    keras.utils.set_random_seed(plan.seed)
    steps = len(pictures) // plan.batch
    trunk = fusion.densenet121(None)
    trunk.compile(_optimizer(plan, steps), "mean_squared_error")
    checkpoint, history_file = folder / "trunk.keras", folder / "trunk-history.json"
    history: list[dict[str, float]] = []
    if checkpoint.exists() and history_file.exists():
        history = json.loads(history_file.read_text())
        trunk = keras.models.load_model(checkpoint)
    for epoch in range(len(history), plan.epochs):
        trunk.reset_metrics()  # the loss that Keras returns is the mean since then
        rng = np.random.default_rng([plan.seed, epoch])
        for step, (shown, answer) in enumerate(_batches(pictures, maps, plan, rng)):
            loss = float(trunk.train_on_batch(shown, answer))
            report(f"DenseNet trunk, epoch {epoch + 1} of {plan.epochs}", step + 1, steps)
        history.append({"loss": loss})
        partial = checkpoint.with_name("partial.keras")
        trunk.save(partial)
        partial.replace(checkpoint)
        history_file.write_text(json.dumps(history, indent=1))
    _settle(trunk, _batches(pictures, maps, plan, np.random.default_rng(plan.seed)))
    trunk.save(finished)
    return trunk


def describe(plan: TrunkPlan) -> dict[str, object]:
    """The plan as the manifest records it."""
    return {**asdict(plan), "optimizer": "AdamW, cosine decay after a warm-up", "labels": "none"}


def lessons(samples: Samples, *, plan: TrunkPlan) -> Picture:
    """(pictures, 128, 128, 3) galleries to learn from: every cell turned, every stain changed.

    Half show one field, as readings will; half are mixed of cells from all over, for variety.
    """
    rng = np.random.default_rng([plan.seed, 1])
    cells = [
        tiles(field, mask, spots)
        for field, mask, spots in zip(samples.fields, samples.masks, samples.spots, strict=True)
    ]
    full = [index for index, held in enumerate(cells) if len(held)]
    every = np.concatenate(cells)
    drawn = np.empty((plan.pictures, *samples.segmented.shape[1:]), np.uint8)
    for number in range(plan.pictures):
        one = cells[full[rng.integers(len(full))]]
        chosen = rng.permutation(one) if number % 2 else rng.choice(every, GRID * GRID)
        drawn[number] = stain(
            lay(np.stack([_turned(cell, rng) for cell in chosen])),
            strengths=np.exp(rng.uniform(-plan.strength, plan.strength, 3)),
            lamp=np.exp(rng.uniform(-plan.lamp, plan.lamp, 3)),
        )
    return drawn


def _turned(cell: Picture, rng: np.random.Generator) -> Picture:
    turned = np.rot90(cell, int(rng.integers(4)))
    return np.asarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


def _answers(teacher: keras.Model, pictures: Picture, plan: TrunkPlan, report: Report) -> Maps:
    """(N, 8, 8, 512) float16: a third of a megabyte for every five pictures."""
    maps = []
    for start in range(0, len(pictures), plan.batch):
        batch = unit(pictures[start : start + plan.batch])
        maps.append(np.asarray(teacher.predict_on_batch(batch), dtype=np.float16))
        report("what VGG16 says of the cells", start + len(batch), len(pictures))
    return np.concatenate(maps)


def _standardised(maps: Maps) -> Maps:
    """Every channel to mean 0 and deviation 1: the loud ones must not be all that is learnt."""
    flat = maps.reshape(-1, maps.shape[-1])
    some = flat[:: max(1, len(flat) // 50_000)].astype(np.float32)
    centre, scale = some.mean(axis=0), some.std(axis=0) + 1e-3 * some.std()
    for start in range(0, len(flat), 65_536):  # in place: the maps are a third of a gigabyte
        part = slice(start, start + 65_536)
        flat[part] = (flat[part].astype(np.float32) - centre) / scale
    return maps


def _same_plan(plan: TrunkPlan, file: Path) -> None:
    """Raise `ValueError` rather than go on with another plan's checkpoint."""
    if file.exists() and json.loads(file.read_text()) != asdict(plan):
        raise ValueError(f"{file.parent} holds a run of another plan; give another runs folder")
    file.write_text(json.dumps(asdict(plan)))


def _optimizer(plan: TrunkPlan, steps: int) -> keras.optimizers.Optimizer:
    warm = steps // 2
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=plan.peak_rate / 20,
        decay_steps=plan.epochs * steps - warm,
        alpha=0.01,
        warmup_target=plan.peak_rate,
        warmup_steps=warm,
    )
    return keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay)


def _batches(
    pictures: Picture, maps: Maps, plan: TrunkPlan, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Shuffled pictures and maps, some batches mirrored: VGG16 hardly minds which way is up."""
    order = rng.permutation(len(pictures))
    for start in range(0, len(order) - plan.batch + 1, plan.batch):
        chosen = np.sort(order[start : start + plan.batch])
        shown, answer = pictures[chosen], maps[chosen]
        for axis in (1, 2):
            if rng.random() < 0.5:
                shown, answer = np.flip(shown, axis), np.flip(answer, axis)
        yield unit(shown), np.ascontiguousarray(answer, dtype=np.float32)


def _settle(
    trunk: keras.Model, batches: Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]
) -> None:
    """Replace the batch normalisations' running means by true means over these batches.

    The running ones lag by hundreds of steps, and the lags of seventy layers in a row add up:
    half way through training a trunk answered 63 % of validation rightly with the batch's own
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
