"""From a folder of smears to a model package, one step after the other.

Every step leaves its result in the runs folder (checkpoints, cached features), so that a broken
run goes on where it stopped. The shipped head is taught on every picture; what it can do on new
ones is told by heads of the same recipe that were each kept from a part (`ml.experiments.folds`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from ml import augmentation, card, features, foreign, fusion, ladder, packages, preprocessing, trunk
from ml.calibration import Temperature
from ml.data import SEED, Example, read_index
from ml.engines import making
from ml.engines.exports import FILE
from ml.evaluation import by_group, measure, sections
from ml.experiments import folds
from ml.experiments.folds import Known
from ml.foreign import Half
from ml.ladder import LadderPlan
from ml.packages import Package
from ml.reading import load
from ml.samples import Samples, prepared
from ml.trunk import TrunkPlan

Report = Callable[[str, int, int], None]  # what is being done, how far, of how much


# Against the paper's training of the head: surer of less, and done in seconds.
OURS = LadderPlan(epochs=25, batch=128, weight_decay=1e-2, smoothing=0.05, noise=0.2, mixup=0.3)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides the outcome, besides the pictures. Recorded in the package."""

    name: str = "leukolens-fusion"
    version: str = "2"
    seed: int = SEED
    scale_original: fusion.Scale = "unit"
    scale_segmented: fusion.Scale = "unit"
    copies: int = 3000  # changed pictures, besides the plain ones
    trunk: TrunkPlan = field(default_factory=TrunkPlan)
    ladder: LadderPlan = field(default_factory=lambda: OURS)


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
    examples = read_index(paths.data)
    samples = prepared(examples, report)
    shipped = {
        "vgg16.safetensors": _vgg16(paths, plan),
        "densenet121.safetensors": _densenet121(samples, paths, plan, report),
    }
    trunks = as_shipped(shipped, plan)
    known = know(samples, trunks, paths.foreign, plan, folder=paths.runs, report=report)
    study, temperature = folds.study(known, plan=plan.ladder, report=report)
    sections.write(paths.runs / "study", study)

    head = folds.teach(known, range(len(examples)), plan=plan.ladder, report=report)
    shipped["head.safetensors"] = packages.pack16(fusion.weights_of(head))
    gate = folds.gate(known, range(len(examples)))
    arrays, settings = gate.pack()
    shipped["gate.safetensors"] = packages.pack16(arrays)

    description = _description(plan, examples, temperature, settings, taught=not paths.densenet121)
    packages.write(paths.out, description=description, tensors=shipped, documents={})
    figures = {
        **measured(study, report=report),
        "foreign": foreign.measure(
            load(paths.out), paths.foreign, smears=judge_smears(examples), report=report
        ),
    }
    export, figures["engines"] = making.make(
        packages.verify(paths.out), samples, folder=paths.runs, report=report
    )
    documents = {
        FILE: export.text(),
        "figures.json": json.dumps(figures, indent=1) + "\n",
        "MODEL_CARD.md": card.write(description, figures),
    }
    return packages.write(paths.out, description=description, tensors=shipped, documents=documents)


def judge_again(
    package: Package, *, data: Path, elsewhere: Path | None, runs: Path, plan: Plan, report: Report
) -> sections.Study:
    """The folds once more with the package's own trunks: every figure of its card, regenerated."""
    runs.mkdir(parents=True, exist_ok=True)
    shipped = {
        name: package.stored(name) for name in ("vgg16.safetensors", "densenet121.safetensors")
    }
    samples = prepared(read_index(data), report)
    trunks = as_shipped(shipped, plan)
    known = know(samples, trunks, elsewhere, plan, folder=runs, report=report)
    study, _ = folds.study(known, plan=plan.ladder, report=report)
    sections.write(runs / "study", study)
    return study


def measured(study: sections.Study, *, report: Report) -> dict[str, Any]:
    """What a package's `figures.json` says of its folds."""
    figures: dict[str, Any] = {}
    for done, section in enumerate(study.sections, start=1):
        answers = section.predictions.answers()
        figures[section.name] = measure(answers, unseen=section.leaks is None)
        sittings = replace(answers, groups=np.array(section.predictions.sessions))
        figures[section.name]["by_sitting"] = by_group(sittings)
        report("figures and their intervals", done, len(study.sections))
    figures["unfamiliar"] = {
        section.name: float(1 - section.predictions.familiar.mean())
        for section in study.sections
        if section.predictions.familiar is not None
    }
    return figures


def know(
    samples: Samples,
    trunks: features.Trunks,
    elsewhere: Path | None,
    plan: Plan,
    *,
    folder: Path,
    report: Report,
) -> Known:
    """What the trunks say of every picture, as it is and changed, and of foreign ones; once.

    `elsewhere` holds another laboratory's smears; without them the gate learns from drawings and
    distorted smears alone.
    """
    strangers = foreign.kinds(Half.FIT, laboratory=elsewhere, smears=fit_smears(samples.examples))
    makers = [maker for held in strangers.values() for maker in held]
    return Known(
        foreign=features.of_pictures(trunks, makers, folder=folder, report=report),
        kinds=np.repeat(list(strangers), [len(held) for held in strangers.values()]),
        examples=samples.examples,
        plain=features.plain(trunks, samples, folder=folder, report=report),
        shaken=features.shaken(
            trunks,
            samples,
            ranges=augmentation.TRAINING,
            count=plan.copies,
            folder=folder,
            seed=plan.seed,
            report=report,
        ),
    )


def fit_smears(examples: Sequence[Example]) -> list[Example]:
    """One picture of every second slide, for the gate to learn from distorted; the other slides'
    are for judging it (`judge_smears`)."""
    return foreign.one_a_slide(examples)[::2]


def judge_smears(examples: Sequence[Example]) -> list[Example]:
    """One picture of each slide that `fit_smears` leaves."""
    return foreign.one_a_slide(examples)[1::2]


def as_shipped(shipped: dict[str, packages.Tensors], plan: Plan) -> features.Trunks:
    """Both trunks with the rounded weights, so that the head is taught on what will run."""
    original = fusion.vgg16(scale=plan.scale_original)
    segmented = fusion.densenet121(scale=plan.scale_segmented)
    fusion.set_weights(original, packages.unpack(shipped["vgg16.safetensors"]))
    fusion.set_weights(segmented, packages.unpack(shipped["densenet121.safetensors"]))
    return features.Trunks(fusion.pool(original), fusion.pool(segmented))


def _vgg16(paths: Paths, plan: Plan) -> packages.Tensors:
    """The ImageNet trunk in 8 bits: 15 MB instead of 59, and what all figures are taken with."""
    model = fusion.pass_through(fusion.vgg16(paths.vgg16, scale=plan.scale_original))
    return packages.pack8(fusion.weights_of(model))


def _densenet121(samples: Samples, paths: Paths, plan: Plan, report: Report) -> packages.Tensors:
    model: keras.Model
    if paths.densenet121 is not None:
        model = fusion.densenet121(paths.densenet121, scale=plan.scale_segmented)
    else:
        model = trunk.teach(
            samples,
            fusion.teacher(paths.vgg16),
            plan=plan.trunk,
            folder=paths.runs,
            report=report,
        )
    return packages.pack16(fusion.weights_of(model))


def _description(
    plan: Plan,
    examples: Sequence[Example],
    temperature: Temperature,
    gate: Mapping[str, Any],
    *,
    taught: bool,
) -> dict[str, Any]:
    """The manifest without files and digest."""
    return {
        "name": plan.name,
        "version": plan.version,
        "preprocessing": {
            "version": preprocessing.VERSION,
            "side": preprocessing.SIZE,
            "corner_share": preprocessing.CORNER_SHARE,
            "scale_original": plan.scale_original,
            "scale_segmented": plan.scale_segmented,
        },
        "calibration": {"kind": "temperature", "temperature": temperature.value},
        "gate": gate,
        "training": {
            "seed": plan.seed,
            "augmentation": asdict(augmentation.TRAINING),
            "copies": plan.copies,
            "densenet121": trunk.describe(plan.trunk) if taught else "given weights",
            "head": ladder.describe(plan.ladder),
            # Twelve digits of each picture's SHA-256: enough to know a picture again.
            "pictures": sorted({example.sha256[:12] for example in examples}),
        },
        "licences": card.LICENCES,
    }
