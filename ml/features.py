"""What the two frozen trunks say of each picture, computed once: the head is taught from it.

Pooled features are 1,024 numbers a picture; with them at hand an epoch of the head takes a
second instead of minutes.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml import fusion
from ml.augmentation import Ranges, apply, draw
from ml.preprocessing import Picture, shrink, unit
from ml.samples import Samples

BATCH = 32
Floats = NDArray[np.float32]
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Trunks:
    """Both trunks behind their pooling, as the package will ship them."""

    original: keras.Model
    segmented: keras.Model

    def __call__(self, original: Picture, segmented: Picture) -> Floats:
        """Two (N, 128, 128, 3) uint8 stacks to (N, 1024) features."""
        rows = []
        for start in range(0, len(original), BATCH):
            here = slice(start, start + BATCH)
            left = self.original(unit(original[here]), training=False)
            right = self.segmented(unit(segmented[here]), training=False)
            rows.append(np.concatenate([np.asarray(left), np.asarray(right)], axis=1))
        return np.concatenate(rows) if rows else np.zeros((0, 2 * fusion.TRUNK_WIDTH), np.float32)

    def fingerprint(self) -> str:
        """Changes with any weight: cached features of other trunks must not be used."""
        known = hashlib.sha256()
        for trunk in (self.original, self.segmented):
            for weight in trunk.weights:
                known.update(np.ascontiguousarray(weight.numpy()).tobytes())
        return known.hexdigest()[:16]


def plain(trunks: Trunks, samples: Samples, *, folder: Path, name: str, report: Report) -> Floats:
    """(N, 1024): the pictures as they are."""
    file = folder / f"features-{trunks.fingerprint()}-{name}.npy"
    if not file.exists():
        report(f"features of {name}", 0, 1)
        np.save(file, trunks(samples.original, samples.segmented))
        report(f"features of {name}", 1, 1)
    return np.asarray(np.load(file))


def shaken(
    trunks: Trunks,
    samples: Samples,
    *,
    ranges: Ranges,
    copies: int,
    folder: Path,
    seed: int,
    report: Report,
) -> Floats:
    """(copies, N, 1024): each picture anew under `copies` random changes."""
    mark = hashlib.sha256(repr((ranges, seed)).encode()).hexdigest()[:8]
    made: list[Any] = []
    for copy in range(copies):
        file = folder / f"features-{trunks.fingerprint()}-shaken-{mark}-{copy}.npy"
        if not file.exists():
            np.save(file, _shaken_once(trunks, samples, ranges=ranges, seed=(seed, copy)))
        report("features of augmented pictures", copy + 1, copies)
        made.append(np.load(file))
    return np.stack(made)


def _shaken_once(
    trunks: Trunks, samples: Samples, *, ranges: Ranges, seed: Sequence[int]
) -> Floats:
    def change(index: int) -> tuple[Picture, Picture]:
        rng = np.random.default_rng([*seed, index])
        field, cells = apply(
            draw(rng, ranges), field=samples.fields[index], mask=samples.masks[index]
        )
        return shrink(field), shrink(cells)

    with ThreadPoolExecutor(max_workers=2) as makers:
        pairs = list(makers.map(change, range(len(samples))))
    return trunks(np.stack([a for a, _ in pairs]), np.stack([b for _, b in pairs]))
