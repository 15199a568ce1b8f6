"""Do cells that look alike come from fields of the same class? With slides, then sittings, apart.

    python -m ml.experiments.likeness ../shared/data/taleqani

Ten fields of each slide, at most thirty cells of each, as many of every class. Of a cell's four
nearest among cells of other slides (or sittings), the share whose field is of its own class; the
interval is by drawing slides again, within each class. Chance is the class's share of the cells
that it was compared with.
"""

import csv
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml import likeness, outlines
from ml.preprocessing import open_picture, prepare

FIELDS, CELLS, NEAREST, DRAWS = 10, 30, 4, 1000
Rows = NDArray[Any]


def measured(folder: Path, rng: np.random.Generator) -> dict[str, Rows]:
    """The cells' `measures` (n, 12), and the class, slide and sitting of each, (n,) of words."""
    by_slide = defaultdict(list)
    for row in csv.DictReader((folder / "groups.csv").open()):
        by_slide[row["class"], row["group"]].append(row)
    found: dict[str, list[Any]] = defaultdict(list)
    for (kind, group), fields in sorted(by_slide.items()):
        for number in rng.permutation(len(fields))[:FIELDS]:
            file = folder / "original" / kind / fields[number]["file"]
            picture = open_picture(file.read_bytes())
            cells = outlines.unpack(outlines.pack(prepare(picture).segmentation))
            rows = likeness.measured(cells, picture)
            found["measures"] += list(rows)
            found["class"] += [kind] * len(rows)
            found["slide"] += [f"{kind}/{group}"] * len(rows)
            found["sitting"] += [fields[number]["session"]] * len(rows)
    return {name: np.array(values) for name, values in found.items()}


def judged(cells: dict[str, Rows], apart: str, rng: np.random.Generator) -> dict[str, float]:
    """Agreement with `low` and `high` of its 95 % interval, and `chance`; `apart`: a column."""
    chosen = _balanced(cells, rng)
    measures, kind, slide = (cells[name][chosen] for name in ("measures", "class", "slide"))
    away = cells[apart][chosen]
    allowed = away[:, None] != away[None]
    scale = measures.std(axis=0)
    hits = np.empty(len(kind))
    for cell, others in enumerate(allowed):
        pool = np.flatnonzero(others)
        near = pool[likeness.nearest(measures[cell], measures[pool], scale)[:NEAREST]]
        hits[cell] = (kind[near] == kind[cell]).mean()
    same = kind[:, None] == kind[None]
    chance = (allowed & same).sum(axis=1) / allowed.sum(axis=1)
    low, high = np.percentile(_drawn_again(hits, kind, slide, rng), [2.5, 97.5])
    figures = {"agreement": hits.mean(), "low": low, "high": high, "chance": chance.mean()}
    return {name: float(value) for name, value in figures.items()}


def _balanced(cells: dict[str, Rows], rng: np.random.Generator) -> Rows:
    """Indices: at most `CELLS` of each slide, and as many of every class."""
    slides = [np.flatnonzero(cells["slide"] == one) for one in sorted(set(cells["slide"]))]
    kept = np.concatenate([rng.permutation(members)[:CELLS] for members in slides])
    fewest = min(Counter(cells["class"][kept]).values())
    kinds = sorted(set(cells["class"]))
    return np.concatenate(
        [rng.permutation(kept[cells["class"][kept] == kind])[:fewest] for kind in kinds]
    )


def _drawn_again(hits: Rows, kind: Rows, slide: Rows, rng: np.random.Generator) -> list[float]:
    of = {one: hits[slide == one] for one in sorted(set(slide))}
    by_kind = [sorted(set(slide[kind == one])) for one in sorted(set(kind))]
    return [
        float(np.concatenate([of[s] for own in by_kind for s in rng.choice(own, len(own))]).mean())
        for _ in range(DRAWS)
    ]


def main() -> None:
    """Measure, judge, print."""
    rng = np.random.default_rng(0)
    cells = measured(Path(sys.argv[1]), rng)
    for apart in ("slide", "sitting"):
        figures = judged(cells, apart, rng)
        told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        sys.stdout.write(f"{apart}s apart: {told}\n")


if __name__ == "__main__":
    main()
