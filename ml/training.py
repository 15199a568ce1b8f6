"""From a folder of smears to a committed model package, one step after the other.

Every step leaves its result in the runs folder (checkpoints, cached features), so that a broken
run goes on where it stopped. The test groups are read in the last step alone.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ml import augmentation, card, features, fusion, ladder, packages, preprocessing, trunk
from ml.calibration import Gate, Temperature
from ml.data import SEED, Part, Split, read_index, split, summary
from ml.evaluation import Answers, measure
from ml.judging import judge
from ml.ladder import LadderPlan
from ml.packages import Package
from ml.samples import Samples
from ml.samples import load as load_samples
from ml.trunk import TrunkPlan

Report = Callable[[str, int, int], None]  # what is being done, how far, of how much


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides the outcome, besides the pictures. Recorded in the package."""

    name: str = "leukolens-fusion"
    version: str = "1"
    seed: int = SEED
    scale_original: fusion.Scale = "unit"
    scale_segmented: fusion.Scale = "unit"
    copies: int = 2  # augmented copies of each training picture, besides the plain one
    trunk: TrunkPlan = field(default_factory=TrunkPlan)
    ladder: LadderPlan = field(default_factory=LadderPlan)
    gate_width: int = 32  # principal components of the pooled features
    gate_neighbours: int = 5
    gate_false_alarms: float = 0.025  # of the median validation slide's pictures


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are. `vgg16` and `densenet121` are weight files of keras.applications'
    layout, or "imagenet" to download them; `densenet121` None teaches the trunk here."""

    data: Path
    out: Path
    runs: Path
    vgg16: Path | Literal["imagenet"]
    densenet121: Path | Literal["imagenet"] | None = None
    foreign: Path | None = None


def train(paths: Paths, plan: Plan, *, report: Report) -> Package:
    """The whole way. Returns the written and verified package."""
    paths.runs.mkdir(parents=True, exist_ok=True)
    parts = split(read_index(paths.data), seed=plan.seed)
    training = _samples(parts, Part.TRAIN, report)
    validation = _samples(parts, Part.VALIDATION, report)

    shipped = {
        "vgg16.safetensors": _vgg16(paths, plan),
        "densenet121.safetensors": _densenet121(training, validation, paths, plan, report),
    }
    trunks = _as_shipped(shipped, plan)
    seen = features.plain(trunks, training, folder=paths.runs, name="training", report=report)
    judged = features.plain(trunks, validation, folder=paths.runs, name="validation", report=report)

    shaken = features.shaken(
        trunks,
        training,
        ranges=augmentation.TRAINING,
        copies=plan.copies,
        folder=paths.runs,
        seed=plan.seed,
        report=report,
    )
    head, history = ladder.train(
        np.concatenate([seen[None], shaken]),
        training.targets,
        training.weights,
        validation=(judged, validation.targets),
        plan=plan.ladder,
        report=report,
    )
    (paths.runs / "head-history.json").write_text(json.dumps(history, indent=1))
    shipped["head.safetensors"] = packages.pack16(fusion.weights_of(head))
    fusion.set_weights(head, packages.unpack(shipped["head.safetensors"]))
    raw = np.asarray(head(judged, training=False))
    temperature = Temperature.fit(raw, validation.targets, validation.weights)
    gate = Gate.fit(
        seen,
        judged,
        validation.groups,
        width=plan.gate_width,
        neighbours=plan.gate_neighbours,
        false_alarms=plan.gate_false_alarms,
    )
    shipped["gate.safetensors"] = _gate_tensors(gate)

    description = _description(plan, parts, temperature, gate, taught=paths.densenet121 is None)
    packages.write(paths.out, description=description, tensors=shipped, documents={})
    figures = judge(paths.out, data=paths.data, elsewhere=paths.foreign, report=report)
    figures["validation"] = measure(
        Answers(temperature(raw), validation.targets, validation.groups)
    )
    documents = {
        "figures.json": json.dumps(figures, indent=1) + "\n",
        "MODEL_CARD.md": card.write(description, figures),
    }
    return packages.write(paths.out, description=description, tensors=shipped, documents=documents)


def _samples(parts: Split, part: Part, report: Report) -> Samples:
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        report(f"preparing {part}", done, len(parts[part]))

    return load_samples(parts[part], step=step)


def _vgg16(paths: Paths, plan: Plan) -> packages.Tensors:
    """The ImageNet trunk in 8 bits: 15 MB instead of 59, and what all figures are taken with."""
    model = fusion.vgg16(paths.vgg16, scale=plan.scale_original)
    return packages.pack8(fusion.weights_of(model))


def _densenet121(
    training: Samples, validation: Samples, paths: Paths, plan: Plan, report: Report
) -> packages.Tensors:
    if paths.densenet121 is not None:
        model = fusion.densenet121(paths.densenet121, scale=plan.scale_segmented)
    else:
        model = trunk.train(training, validation, plan=plan.trunk, folder=paths.runs, report=report)
    return packages.pack16(fusion.weights_of(model))


def _as_shipped(shipped: dict[str, packages.Tensors], plan: Plan) -> features.Trunks:
    """Both trunks with the rounded weights, so that the head is taught on what will run."""
    original = fusion.vgg16(scale=plan.scale_original)
    segmented = fusion.densenet121(scale=plan.scale_segmented)
    fusion.set_weights(original, packages.unpack(shipped["vgg16.safetensors"]))
    fusion.set_weights(segmented, packages.unpack(shipped["densenet121.safetensors"]))
    return features.Trunks(fusion.pool(original), fusion.pool(segmented))


def _gate_tensors(gate: Gate) -> packages.Tensors:
    held = {name: getattr(gate, name) for name in ("centre", "scale", "components", "known")}
    return packages.pack16(held)


def _description(
    plan: Plan, parts: Split, temperature: Temperature, gate: Gate, *, taught: bool
) -> dict[str, Any]:
    """The manifest without files and digest."""
    return {
        "name": plan.name,
        "version": plan.version,
        "preprocessing": {
            "version": preprocessing.VERSION,
            "side": preprocessing.SIZE,
            "corner_share": preprocessing.CORNER_SHARE,
            "glass": preprocessing.GLASS,
            "scale_original": plan.scale_original,
            "scale_segmented": plan.scale_segmented,
        },
        "calibration": {"kind": "temperature", "temperature": temperature.value},
        "gate": {
            "kind": "mean distance to nearest training pictures, whitened principal components",
            "neighbours": gate.neighbours,
            "threshold": gate.threshold,
            "validation_false_alarms": plan.gate_false_alarms,
        },
        "training": {
            "seed": plan.seed,
            "split": summary(parts),
            "slides": {part.value: sorted({e.group for e in parts[part]}) for part in Part},
            "augmentation": asdict(augmentation.TRAINING),
            "copies": plan.copies,
            "densenet121": trunk.describe(plan.trunk) if taught else "given weights",
            "head": ladder.describe(plan.ladder),
        },
        "licences": card.LICENCES,
    }
