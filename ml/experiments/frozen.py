"""What a frozen trunk says of the paper's two pictures, computed once and kept.

The paper's pictures, not ours: the field as it is and its own HSV twin, both shrunk to 128 x 128;
no balanced light, no gallery, and the corner with the scale bar only blanked where asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.augmentation import Change, colour, compress, draw, move
from ml.data import Example, Report
from ml.experiments.cache import kept, mark, mark_of
from ml.experiments.paper import Input, Recipe
from ml.experiments.trunks import Frozen
from ml.images import decode
from ml.preprocessing import Picture, blank_corner, shrink, unit
from ml.segmentation import paper_mask

PART = 256  # pictures in one file: what a broken run loses
BATCH = 32

Floats = NDArray[np.float32]
Views = dict[Input, Floats]
"""(1 + copies, N, 512) of each of the two pictures; the plain one first."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How the pictures are shown: with or without the burnt-in corner, under which recipe."""

    corner: bool
    recipe: Recipe
    seed: int


def views(
    trunk: Frozen, examples: Sequence[Example], sight: Sight, *, folder: Path, report: Report
) -> Views:
    """The trunk's features of every picture and of its changed copies, both inputs."""
    fingerprint, done = trunk.fingerprint(), 0
    total = len(examples) * (1 + sight.recipe.copies)
    what = f"{trunk.model.name}, {'as published' if sight.corner else 'corner blanked'}"
    copies = []
    for copy in range(1 + sight.recipe.copies):
        parts = []
        for start in range(0, len(examples), PART):
            chosen = examples[start : start + PART]
            parts.append(_part(trunk, fingerprint, chosen, sight, copy, folder))
            done += len(chosen)
            report(what, done, total)
        copies.append(np.concatenate(parts, axis=1))
    stacked = np.stack(copies, axis=1)
    return {"original": stacked[0], "segmented": stacked[1]}


def pictures(
    example: Example, *, corner: bool, change: Change | None = None
) -> tuple[Picture, Picture]:
    """The field and its twin as the paper's network is shown them, (128, 128, 3) uint8 each.

    A change moves the field and its mask together, so that the two never contradict each other.
    """
    field = decode(example.read())
    if not corner:
        field = blank_corner(field)
    mask = paper_mask(field)
    if change is not None:
        field = compress(colour(move(field, change), change), change.jpeg)
        mask = move(mask.astype(np.uint8), change).astype(bool)
    return shrink(field), shrink(np.where(mask[..., None], field, np.uint8(0)))


def _part(
    trunk: Frozen,
    fingerprint: str,
    examples: Sequence[Example],
    sight: Sight,
    copy: int,
    folder: Path,
) -> Floats:
    """(2, n, 512): original, segmented."""
    changes = (sight.recipe.augmentation, sight.seed, copy) if copy else "plain"
    known = mark(mark_of(examples), sight.corner, sight.recipe.scale, changes)

    def make() -> Floats:
        shown = [
            pictures(example, corner=sight.corner, change=_change(example, sight, copy))
            for example in examples
        ]
        return np.stack([_pooled(trunk, np.stack(one)) for one in zip(*shown, strict=True)])

    return kept(folder / f"{trunk.model.name}-{fingerprint}-{known}.npy", make)


def _change(example: Example, sight: Sight, copy: int) -> Change | None:
    """The same for a picture in every run, whatever other pictures there are."""
    if not copy:
        return None
    rng = np.random.default_rng([sight.seed, copy, int(example.sha256[:12], 16)])
    return draw(rng, sight.recipe.augmentation)


def _pooled(trunk: Frozen, shown: Picture) -> Floats:
    batches = [
        trunk.model.predict_on_batch(unit(shown[start : start + BATCH]))
        for start in range(0, len(shown), BATCH)
    ]
    return np.concatenate([np.asarray(batch, dtype=np.float32) for batch in batches])
