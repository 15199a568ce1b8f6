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
from ml.augmentation import Ranges, colour, compress, draw, move, move_points
from ml.gallery import gallery
from ml.preprocessing import Picture, prepare, shrink, unit
from ml.samples import Samples

BATCH = 32
PART = 256  # changed pictures kept in one file
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
            left = self.original.predict_on_batch(unit(original[here]))
            right = self.segmented.predict_on_batch(unit(segmented[here]))
            rows.append(np.concatenate([np.asarray(left), np.asarray(right)], axis=1))
        return np.concatenate(rows) if rows else np.zeros((0, 2 * fusion.TRUNK_WIDTH), np.float32)

    def fingerprint(self) -> str:
        """Changes with any weight: cached features of other trunks must not be used."""
        known = hashlib.sha256()
        for trunk in (self.original, self.segmented):
            for weight in trunk.weights:
                known.update(np.ascontiguousarray(weight.numpy()).tobytes())
        return known.hexdigest()[:16]


def plain(trunks: Trunks, samples: Samples, *, folder: Path, report: Report) -> Floats:
    """(N, 1024): the pictures as they are."""
    made = []
    for start in range(0, len(samples), PART):
        here = slice(start, start + PART)
        made.append(_cached(trunks, samples.original[here], samples.segmented[here], folder))
        report("features", min(start + PART, len(samples)), len(samples))
    return np.concatenate(made)


def of_pictures(
    trunks: Trunks, makers: Sequence[Callable[[], Picture]], *, folder: Path, report: Report
) -> Floats:
    """(N, 1024) of any pictures, one or more, prepared as a reading would.

    Each maker gives one (H, W, 3) uint8.
    """
    ready = []
    for done, make in enumerate(makers, start=1):
        made = prepare(make())
        ready.append((made.original, made.segmented))
        report("foreign pictures", done, len(makers))
    original, segmented = (np.stack(side) for side in zip(*ready, strict=True))
    return _cached(trunks, original, segmented, folder)


def _cached(trunks: Trunks, original: Picture, segmented: Picture, folder: Path) -> Floats:
    """The features, from `folder` where these very pictures were shown to these trunks before."""
    known = hashlib.sha256(original.tobytes() + segmented.tobytes()).hexdigest()[:16]
    file = folder / f"features-{trunks.fingerprint()}-{known}.npy"
    if not file.exists():
        np.save(file, trunks(original, segmented))
    return np.asarray(np.load(file))


@dataclass(frozen=True, slots=True)
class Shaken:
    """M changed pictures: their (M, 1024) features, and (M,) which sample each was made of."""

    features: Floats
    of: NDArray[np.int64]


def shaken(
    trunks: Trunks,
    samples: Samples,
    *,
    ranges: Ranges,
    count: int,
    folder: Path,
    seed: int,
    report: Report,
) -> Shaken:
    """`count` pictures under random changes, drawn so that a large slide does not fill them all.

    Written down every few hundred pictures: a broken run goes on where it stopped.
    """
    chosen = np.random.default_rng(seed).choice(len(samples), count, p=samples.weights)
    mark = hashlib.sha256(repr((ranges, seed)).encode()).hexdigest()[:8]
    made: list[Any] = []
    for start in range(0, count, PART):
        file = folder / f"features-{trunks.fingerprint()}-shaken-{mark}-{start}.npy"
        part = chosen[start : start + PART]
        if not file.exists():
            np.save(file, trunks(*_changed(samples, part, ranges=ranges, seed=(seed, start))))
        made.append(np.load(file)[: len(part)])
        report("features of changed pictures", min(start + PART, count), count)
    return Shaken(features=np.concatenate(made), of=chosen)


def _changed(
    samples: Samples, chosen: NDArray[np.int64], *, ranges: Ranges, seed: Sequence[int]
) -> tuple[Picture, Picture]:
    def one(number: int, index: int) -> tuple[Picture, Picture]:
        change = draw(np.random.default_rng([*seed, number]), ranges)
        field = compress(colour(move(samples.fields[index], change), change), change.jpeg)
        mask = move(samples.masks[index].astype(np.uint8), change).astype(bool)
        spots = move_points(samples.spots[index], change, field.shape)
        return shrink(field), gallery(field, mask, spots)

    with ThreadPoolExecutor(max_workers=2) as makers:
        pairs = list(makers.map(one, range(len(chosen)), chosen))
    return np.stack([a for a, _ in pairs]), np.stack([b for _, b in pairs])
