"""Pictures that the model was not trained on, and whether it says so.

Drawn ones (noise, pages, screens...), smears of the data distorted beyond use, real smears of
another laboratory, and whatever else lies in a folder. A model that names a leukaemia on any of
them ought at least to be known for it. `ml.familiarity` learns from one half of them and is
judged on the other: no picture, and no seed, is in both.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ml.data import Example
from ml.foreign_drawings import DISTORTIONS, DRAWINGS, collage
from ml.images import decode
from ml.preprocessing import Picture
from ml.reading import Outcome, Reader

COUNT = 60  # pictures of each drawn kind
SEED = 5
BATCH = 16
SIDE = 640  # pixels: a file's longer side is shrunk to this, as a microscope camera's would be
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")

Maker = Callable[[], Picture]
Kinds = dict[str, list[Maker]]
Report = Callable[[str, int, int], None]


class Half(StrEnum):
    """What the pictures are for; the two halves share none."""

    FIT = "fit"
    JUDGE = "judge"


def kinds(
    half: Half,
    *,
    laboratory: Path | None = None,
    others: Path | None = None,
    smears: Sequence[Example] = (),
) -> Kinds:
    """Makers of foreign pictures by kind; each call of a maker gives the same picture.

    `laboratory` is a folder of another laboratory's smears (BCCD); `others` holds one folder of
    pictures for each further kind, named after it; of both, every second file is for `FIT`, the
    rest for `JUDGE`. `smears` are examples to distort: give each half its own slides.
    """
    found: Kinds = {name: _drawn(draw, half) for name, draw in DRAWINGS.items()}
    for name, distort in DISTORTIONS.items() if smears else ():
        found[name] = [_distorted(example, distort) for example in smears]
    if len(smears) > 1:
        pairs = zip(smears, [*smears[1:], smears[0]], strict=True)
        found["collage"] = [_collage(left, right) for left, right in pairs]
    if laboratory is not None:
        found["other_laboratory"] = _files(laboratory, half)
    for folder in sorted(others.iterdir()) if others is not None else ():
        if folder.is_dir():
            found[folder.name] = _files(folder, half)
    return {name: makers for name, makers in found.items() if makers}


def one_a_slide(examples: Sequence[Example], *, each: int = 1) -> list[Example]:
    """The first `each` pictures of every slide: enough to distort, and no slide outvotes others."""
    slides: dict[str, list[Example]] = {}
    for example in examples:
        slides.setdefault(example.group, []).append(example)
    return [example for slide in slides.values() for example in slide[:each]]


def measure(
    reader: Reader,
    folder: Path | None,
    *,
    others: Path | None = None,
    smears: Sequence[Example] = (),
    report: Report,
) -> dict[str, dict[str, Any]]:
    """For each kind of the half kept for judging: how many pictures, and the share of each outcome.

    `folder` holds another laboratory's smears, `others` one folder for each further kind, and
    `smears` are distorted; see `kinds`.
    """
    gathered = kinds(Half.JUDGE, laboratory=folder, others=others, smears=smears)
    return {name: _outcomes(reader, makers, name, report) for name, makers in gathered.items()}


def _drawn(draw: Callable[[np.random.Generator], Picture], half: Half) -> list[Maker]:
    stream = list(Half).index(half)
    return [
        lambda i=i: draw(np.random.default_rng([SEED, stream, i]))  # type: ignore[misc]
        for i in range(COUNT)
    ]


def _distorted(example: Example, distort: Callable[[Picture], Picture]) -> Maker:
    return lambda: distort(decode(example.read()))


def _collage(left: Example, right: Example) -> Maker:
    return lambda: collage(decode(left.read()), decode(right.read()))


def _files(folder: Path, half: Half) -> list[Maker]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return [_file(path) for path in files[list(Half).index(half) :: len(Half)]]


def _file(path: Path) -> Maker:
    def make() -> Picture:
        picture = decode(path.read_bytes())
        scale = SIDE / max(picture.shape[:2])
        if scale >= 1:
            return picture
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return small.astype(np.uint8, copy=False)

    return make


def _outcomes(reader: Reader, makers: Sequence[Maker], name: str, report: Report) -> dict[str, Any]:
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


def _batches(makers: Sequence[Maker]) -> Iterator[tuple[int, Sequence[Maker]]]:
    for start in range(0, len(makers), BATCH):
        batch = makers[start : start + BATCH]
        yield start + len(batch), batch
