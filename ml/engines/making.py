"""A package's export for the CPU engine: measured on training pictures, checked on all of them.

Part of making a package (`ml.training.train`), and by itself `python -m ml package export`. What
comes of it is `engine.json`: ranges, allowed precisions and the self-test's answers, a few
kilobytes; the weights stay as they are.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml import card, packages
from ml.classes import CLASSES, Class
from ml.engines import Engine, selftest
from ml.engines.exports import FILE, Export, Precision
from ml.engines.graph import watched
from ml.engines.openvino import OpenVinoEngine, compile_graph, supported
from ml.engines.tensorflow import TensorFlowEngine
from ml.packages import Package
from ml.reading import FAMILIAR
from ml.samples import Samples

CALIBRATION = 256  # pictures, evenly over the set
COVERED = 99.0
"""Percentile, over those pictures, of the largest value of each. Beyond it values are cut off: the
rarest picture's peak would stretch everyone's steps."""
PART = 64  # pictures answered between two words of progress

# Issue 4's: what a precision must keep to, to be allowed.
LEAST_SAME = 0.998
MOST_OFF = 0.02  # calibrated probability, 99th percentile over pictures of the largest difference

Report = Callable[[str, int, int], None]
Floats = NDArray[np.float32]


class ExportDisagrees(Exception):
    """No precision of the CPU engine agrees with the reference: the package must not ship."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An engine's raw probabilities (N, 4) and features (N, 1024) of the whole set."""

    probabilities: Floats
    features: Floats


def make(
    package: Package, samples: Samples, *, folder: Path, report: Report
) -> tuple[Export, dict[str, Any]]:
    """The package's export, and for `figures.json` how far each precision agrees.

    `samples` are the evaluation set; `folder` keeps what was answered, so that a broken run goes
    on. Raises `ExportDisagrees` when no precision keeps to the bounds.
    """
    ranges = calibrate(package, samples, report=report)
    reference = TensorFlowEngine(package)
    told = selftest.answers(reference, package).round(6).tolist()
    export = Export(
        ranges=ranges, precisions=supported(), answers=tuple(tuple(row) for row in told)
    )
    expected = answer(reference, package, samples, folder=folder, report=report)
    measured = {}
    for precision in export.precisions:
        engine = OpenVinoEngine(package, precision, export=export)
        rounding = str(ranges) if precision is Precision.INT8 else ""
        answered = answer(engine, package, samples, folder=folder, report=report, key=rounding)
        measured[precision.value] = {
            **agreement(expected, answered, package),
            "self_test_off": float(
                np.abs(selftest.answers(engine, package) - np.array(export.answers)).max()
            ),
        }
    allowed = tuple(one for one in export.precisions if keeps(measured[one.value]))
    if not allowed:
        raise ExportDisagrees(f"no precision agrees with {reference.name}: {measured}")
    figures = {
        "reference": reference.name,
        "bounds": {"same_class": LEAST_SAME, "off_p99": MOST_OFF, "turned_benign": 0},
        "precisions": measured,
    }
    return replace(export, precisions=allowed), figures


def export(
    package: Package, samples: Samples, *, out: Path, version: str, folder: Path, report: Report
) -> Package:
    """`make`, written into `out` as this `version` of the package, every weight to the byte."""
    made, figures = make(package, samples, folder=folder, report=report)
    documents = written(package, made, figures, version=version)
    return packages.revise(package, out, version=version, documents=documents)


def written(
    package: Package, made: Export, figures: dict[str, Any], *, version: str
) -> dict[str, str]:
    """The package's documents with the export in them."""
    held = {**json.loads(package.document("figures.json")), "engines": figures}
    description = {**package.manifest, "version": version}
    return {
        FILE: made.text(),
        "figures.json": json.dumps(held, indent=1) + "\n",
        "MODEL_CARD.md": card.write(description, held),
    }


def calibrate(package: Package, samples: Samples, *, report: Report) -> dict[str, float]:
    """The range of what comes into each rounded convolution, from pictures of the training set."""
    graph, names = watched(package)
    network = compile_graph(graph, Precision.FP32)
    count = min(CALIBRATION, len(samples))
    chosen = np.linspace(0, len(samples) - 1, count).astype(int)
    peaks = []
    for start in range(0, count, 8):
        here = chosen[start : start + 8]
        peaks.append(network([samples.original[here], samples.segmented[here]])[0].copy())
        report("measuring ranges", min(start + 8, count), count)
    found = np.percentile(np.concatenate(peaks), COVERED, axis=0)
    return {name: float(f"{peak:.5g}") for name, peak in zip(names, found, strict=True)}


def agreement(reference: Answered, engine: Answered, package: Package) -> dict[str, Any]:
    """How far `engine` answers as `reference` does, on the same pictures.

    `same_class` is a share, `turned_benign` the number of pictures that the reference calls
    malignant and the engine benign; `off_*` the largest difference of a picture's four calibrated
    probabilities; `gate_flips` the share of pictures that only one of both calls unfamiliar.
    """
    theirs = package.temperature(reference.probabilities)
    ours = package.temperature(engine.probabilities)
    benign = CLASSES.index(Class.BENIGN)
    off = np.abs(theirs - ours).max(axis=1)
    called, calls = theirs.argmax(axis=1), ours.argmax(axis=1)
    strange = [package.gate.familiarity(one.features) < FAMILIAR for one in (reference, engine)]
    return {
        "pictures": len(off),
        "same_class": float((called == calls).mean()),
        "turned_benign": int(((called != benign) & (calls == benign)).sum()),
        "off_median": float(np.median(off)),
        "off_p99": float(np.percentile(off, 99)),
        "off_most": float(off.max()),
        "gate_flips": float((strange[0] != strange[1]).mean()),
    }


def keeps(measured: dict[str, Any]) -> bool:
    """Whether this agreement is close enough for a precision to be allowed."""
    return bool(
        measured["same_class"] >= LEAST_SAME
        and measured["turned_benign"] == 0
        and measured["off_p99"] <= MOST_OFF
        and measured["self_test_off"] <= selftest.TOLERANCE / 2
    )


def answer(
    engine: Engine,
    package: Package,
    samples: Samples,
    *,
    folder: Path,
    report: Report,
    key: str = "",
) -> Answered:
    """What the engine says of every picture; from `folder` where it has been asked before."""
    known = hashlib.sha256(f"{engine.name} {key}".encode())
    for file in sorted(name for name in package.manifest["files"] if name.endswith("safetensors")):
        known.update(package.manifest["files"][file]["sha256"].encode())
    known.update(samples.original.tobytes() + samples.segmented.tobytes())
    kept = folder / f"answers-{known.hexdigest()[:16]}.npz"
    if not kept.exists():
        parts = []
        for start in range(0, len(samples), PART):
            here = slice(start, start + PART)
            parts.append(engine(samples.original[here], samples.segmented[here]))
            report(f"asking {engine.name}", min(start + PART, len(samples)), len(samples))
        folder.mkdir(parents=True, exist_ok=True)
        probabilities, features = (np.concatenate(part) for part in zip(*parts, strict=True))
        np.savez(kept, probabilities=probabilities, features=features)
    with np.load(kept) as held:
        return Answered(held["probabilities"], held["features"])
