"""Pictures that the model was not trained on, and whether it says so.

Real smears of another laboratory, synthetic ones, and things that are no smears at all. A model
that names a leukaemia on any of them ought at least to be known for it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml import synthetic
from ml.images import decode
from ml.preprocessing import Picture
from ml.reading import Outcome, Reader

SIDE = 224
COUNT = 60  # pictures of each made-up kind
SEED = 5
BATCH = 16


def measure(
    reader: Reader, folder: Path | None, *, report: Callable[[str, int, int], None]
) -> dict[str, dict[str, Any]]:
    """For each kind: how many pictures, and the share of each outcome.

    `folder` holds the *.jpg of another laboratory (BCCD); None leaves that kind out.
    """
    kinds: dict[str, Sequence[Callable[[], Picture]]] = {
        "noise": _made(noise),
        "gradients": _made(gradient),
        "synthetic": _made(drawn),
    }
    if folder is not None:
        kinds["other_laboratory"] = [_file(path) for path in sorted(folder.glob("*.jpg"))]
    return {name: _outcomes(reader, makers, name, report) for name, makers in kinds.items()}


def noise(rng: np.random.Generator) -> Picture:
    """Independent random bytes, blurred a little more or less."""
    raw = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(raw, (0, 0), float(rng.uniform(0.3, 3.0)))
    return np.asarray(blurred, dtype=np.uint8)


def gradient(rng: np.random.Generator) -> Picture:
    """A smooth passage between two colours with a few soft discs: a photograph's low notes."""
    ends = rng.uniform(0, 255, (2, 3))
    across = np.linspace(0, 1, SIDE)
    ramp = (
        np.outer(across, np.ones(SIDE)) * rng.random()
        + np.outer(np.ones(SIDE), across) * rng.random()
    )
    picture = (ends[0] + (ends[1] - ends[0]) * ramp[..., None] / 2).astype(np.uint8)
    for _ in range(int(rng.integers(3, 12))):
        centre = (int(rng.integers(0, SIDE)), int(rng.integers(0, SIDE)))
        colour = [float(value) for value in rng.integers(0, 256, 3)]
        cv2.circle(picture, centre, int(rng.integers(4, 50)), colour, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.2), dtype=np.uint8)


def drawn(rng: np.random.Generator) -> Picture:
    """One of this project's own drawn smears, which imitate the Taleqani fields."""
    return synthetic.smear(seed=int(rng.integers(0, 2**31)))


def _made(maker: Callable[[np.random.Generator], Picture]) -> list[Callable[[], Picture]]:
    return [lambda i=i: maker(np.random.default_rng([SEED, i])) for i in range(COUNT)]  # type: ignore[misc]


def _file(path: Path) -> Callable[[], Picture]:
    return lambda: decode(path.read_bytes())


def _outcomes(
    reader: Reader,
    makers: Sequence[Callable[[], NDArray[np.uint8]]],
    name: str,
    report: Callable[[str, int, int], None],
) -> dict[str, Any]:
    counts = dict.fromkeys((kind.value for kind in Outcome), 0)
    for done, batch in _batches(makers):
        for reading in reader.read([make() for make in batch]):
            counts[reading.outcome.value] += 1
        report(f"foreign pictures: {name}", done, len(makers))
    asked = counts[Outcome.CLASSIFIED] + counts[Outcome.UNFAMILIAR]
    return {
        "pictures": len(makers),
        "outcomes": counts,
        "kept_from_a_label": 1 - counts[Outcome.CLASSIFIED] / max(1, len(makers)),
        "caught_by_the_gate": counts[Outcome.UNFAMILIAR] / asked if asked else None,
    }


def _batches(
    makers: Sequence[Callable[[], Picture]],
) -> Iterator[tuple[int, Sequence[Callable[[], Picture]]]]:
    for start in range(0, len(makers), BATCH):
        batch = makers[start : start + BATCH]
        yield start + len(batch), batch
