"""The segmentation that was published with the smears, against the paper's threshold and ours.

The twin that comes with a picture is no truth: nobody drew it, a threshold did, and on pale
Pro-B fields it came out nearly black. So agreement with it (IoU: shared pixels by pixels in
either) is stated beside what each finds at all. Low agreement where the twin is empty speaks
for whoever disagrees.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml import page
from ml.card import NAMES
from ml.classes import CLASSES, Class
from ml.data import Example
from ml.images import decode
from ml.preprocessing import Picture
from ml.segmentation import OUTLINE_COLOUR, Mask, Segmentation, paper_mask, segment

Report = Callable[[str, int, int], None]

LIT = 60
"""A twin's pixel counts as kept when a channel is brighter: its black is a JPEG's, not 0."""
NOTHING = 0.005
"""A mask that covers less than half a percent of the field holds not one whole cell."""
SHOWN_SIDE = 224

QUARTILES = (25, 50, 75)


class NoTwins(Exception):
    """No picture of the folder has a published segmented twin: there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Field:
    """One picture's figures. Shares of the picture 0..1; `iou` None where both masks are empty.

    `iou_paper` and `iou_ours` are against the published mask; `found` is the share of the
    published mask's pixels that lie in ours, None where it has none.
    """

    example: Example
    published: float
    paper: float
    ours: float
    iou_paper: float | None
    iou_ours: float | None
    found: float | None
    cells: int


def compare(examples: Sequence[Example], *, report: Report) -> list[Field]:
    """Figures of every example that has a twin, in their order. Raises `NoTwins`."""
    paired = [example for example in examples if example.segmented is not None]
    if not paired:
        raise NoTwins(
            f"none of {len(examples)} pictures has a segmented twin: "
            "the folder needs Segmented/<class>/ beside Original/<class>/, with the same names"
        )
    fields = []
    for done, example in enumerate(paired, start=1):
        fields.append(_field(example))
        report("comparing segmentations", done, len(paired))
    return fields


def masks(example: Example) -> tuple[Picture, Picture, Mask, Mask, Segmentation]:
    """The picture, its twin, and where cells are: published, by the paper's threshold, ours."""
    assert example.segmented is not None
    rgb, twin = decode(example.read()), decode(example.segmented.read_bytes())
    if twin.shape != rgb.shape:
        size = rgb.shape[1], rgb.shape[0]
        twin = np.asarray(cv2.resize(twin, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return rgb, twin, twin.max(axis=2) > LIT, paper_mask(rgb), segment(rgb)


def iou(one: Mask, other: Mask) -> float | None:
    """Intersection over union, 0..1; None where both are empty."""
    union = int((one | other).sum())
    return float((one & other).sum() / union) if union else None


def summary(fields: Sequence[Field]) -> dict[str, Any]:
    """Per class and over all: quartiles of each figure, and how often each finds nothing."""
    by_class = {
        label.value: _summed(chosen)
        for label in CLASSES
        if (chosen := [field for field in fields if field.example.label is label])
    }
    return {
        "published_means": f"a channel brighter than {LIT} in the twin",
        "nothing_means": f"covers less than {NOTHING:.1%} of the field",
        "classes": by_class,
        "all": _summed(fields),
    }


def _field(example: Example) -> Field:
    _, _, published, paper, found = masks(example)
    ours = found.mask
    return Field(
        example=example,
        published=float(published.mean()),
        paper=float(paper.mean()),
        ours=float(ours.mean()),
        iou_paper=iou(paper, published),
        iou_ours=iou(ours, published),
        found=float((ours & published).sum() / published.sum()) if published.any() else None,
        cells=len(found.cells),
    )


def _summed(fields: Sequence[Field]) -> dict[str, Any]:
    shares = {name: [getattr(f, name) for f in fields] for name in ("published", "paper", "ours")}
    return {
        "fields": len(fields),
        "iou_paper": _quartiles([f.iou_paper for f in fields]),
        "iou_ours": _quartiles([f.iou_ours for f in fields]),
        "published_found_by_ours": _quartiles([f.found for f in fields]),
        "area_share": {name: _quartiles(held) for name, held in shares.items()},
        "nothing_found": {
            name: sum(share < NOTHING for share in held) for name, held in shares.items()
        },
        "cells": _quartiles([f.cells for f in fields]),
    }


def _quartiles(values: Sequence[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, median, high = (float(v) for v in np.percentile(known, QUARTILES))
    return {"median": median, "low": low, "high": high}


HEAD = (
    "class",
    "fields",
    "IoU: paper's",
    "IoU: ours",
    "published in ours",
    "area: published",
    "area: paper's",
    "area: ours",
    "nothing: published",
    "nothing: paper's",
    "nothing: ours",
    "cells a field",
)


def lines(summed: dict[str, Any]) -> Iterator[list[str]]:
    """The summary as rows under `HEAD`, for a terminal or a page; quartiles in brackets."""
    kinds = {**{NAMES[Class(name)]: held for name, held in summed["classes"].items()}}
    for name, held in {**kinds, "all": summed["all"]}.items():
        yield [
            name,
            str(held["fields"]),
            _spread(held["iou_paper"]),
            _spread(held["iou_ours"]),
            _spread(held["published_found_by_ours"]),
            *(f"{held['area_share'][who]['median']:.1%}" for who in ("published", "paper", "ours")),
            *(str(held["nothing_found"][who]) for who in ("published", "paper", "ours")),
            _spread(held["cells"], "{:.0f}"),
        ]


def _spread(held: dict[str, float] | None, form: str = "{:.2f}") -> str:
    if held is None:
        return "-"
    low, median, high = (form.format(held[name]) for name in ("low", "median", "high"))
    return f"{median} ({low}–{high})"


def write_page(fields: Sequence[Field], summed: dict[str, Any], *, report: Report) -> str:
    """HTML: the table, and per class a typical field and those of least agreement, outlined."""
    parts = [
        page.words(
            "How far two ways of finding nucleated cells agree with the segmentation that was "
            "published with the pictures. The published one is no truth: a threshold made it, and "
            "where cells are pale it found none. Median, quartiles in brackets."
        ),
        page.table(HEAD, lines(summed)),
        page.words(
            "IoU: agreement with the published mask, pixels in both by pixels in either. Published "
            "in ours: the part of the published mask that ours holds too. Nothing: fields whose "
            f"mask {summed['nothing_means']}.",
            "quiet",
        ),
    ]
    chosen = [(label, list(_examples(fields, label))) for label in CLASSES]
    done, total = 0, sum(len(held) for _, held in chosen)
    for label, held in chosen:
        if held:
            parts.append(page.heading(NAMES[label]))
        for why, field in held:
            parts.append(_shown(why, field))
            done += 1
            report("drawing examples", done, total)
    return page.page("Published, paper's and our segmentation", *parts)


def _examples(fields: Sequence[Field], label: Class) -> Iterator[tuple[str, Field]]:
    """Typical ones and the worst for either, each field once."""
    known = [f for f in fields if f.example.label is label and f.iou_ours is not None]
    ours = sorted(known, key=lambda f: f.iou_ours or 0.0)
    papers = sorted(known, key=lambda f: f.iou_paper or 0.0)
    kept = [f for f in ours if f.published >= NOTHING]
    wanted = [
        ("Typical", ours[len(ours) // 2 :][:1]),
        ("Best agreement of ours", ours[-1:]),
        ("Worst agreement of ours", ours[:2]),
        ("Worst of ours where the published twin is not empty", kept[:2]),
        ("Worst agreement of the paper's threshold", papers[:1]),
    ]
    seen = set()
    for why, held in wanted:
        for field in held:
            if field.example.path not in seen:
                seen.add(field.example.path)
                yield why, field


def _shown(why: str, field: Field) -> str:
    rgb, twin, _, paper, ours = masks(field.example)
    caption = (
        f"{why}: {field.example.path.name}. IoU with the published: "
        f"paper's {_two(field.iou_paper)}, ours {_two(field.iou_ours)}; {field.cells} cells."
    )
    return page.row(
        caption,
        [
            ("original", rgb),
            (f"published, {field.published:.1%}", twin),
            (f"the paper's threshold, {field.paper:.1%}", outlined(rgb, paper)),
            (f"ours, {field.ours:.1%}", ours.outline(rgb)),
        ],
    )


def outlined(rgb: Picture, mask: NDArray[np.bool_]) -> Picture:
    """The picture with a line around each blob of the mask, twice as large as a small field."""
    scale = 2 if max(rgb.shape[:2]) <= SHOWN_SIDE else 1
    size = rgb.shape[1] * scale, rgb.shape[0] * scale
    out = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
    big = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(big, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(out, contours, -1, OUTLINE_COLOUR, scale, cv2.LINE_AA)
    return np.asarray(out, dtype=np.uint8)


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
