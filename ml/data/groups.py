"""Which pictures were probably taken from one slide, when nobody has written it down.

Files were named in the order they were exported, sometimes from two or three slides in turn, so
a slide's pictures are near in order and alike in glass, red cells, stain and scale bar. Within a
class, pictures are merged upwards (Ward) along a graph of near neighbours in file order and of
twins; cut low the tree gives slides, cut higher sittings. Groups that show the same field are
then one. Both are estimates: good enough to see leakage by, never patient ids.

Against the Taleqani groups.csv, itself an estimate: see tests/ml/data/test_groups.py.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.data.index import Example, Report, silent
from ml.data.marks import Mark
from ml.data.survey import Survey, survey
from ml.data.twins import Twins, find_twins

NEAR = 3  # files further in the order that a picture may be merged with directly
# Spread within one slide, in grey levels, about: a unit of distance is one of these.
GLASS_SPREAD, RED_CELL_SPREAD, NUCLEUS_SPREAD = 4, 8, 12
MARK_WEIGHT = 4  # units between two pictures with different scale bars
SLIDE, SITTING = 12.0, 20.0  # Ward distances at which the tree is cut


def infer(examples: Sequence[Example], *, report: Report = silent) -> list[Example]:
    """The examples with `group` and `session` filled in from the pictures themselves."""
    seen = survey(examples, report=report)
    return infer_from(seen, find_twins(seen, report=report))


def infer_from(seen: Survey, twins: Sequence[Twins]) -> list[Example]:
    """`infer` for whoever has surveyed the pictures already."""
    looks = _looks(seen)
    groups = [""] * len(seen)
    sessions = [""] * len(seen)
    for label in sorted({example.label for example in seen.examples}):
        where = in_file_order(seen.examples, label)
        for names, cut, letter in ((groups, SLIDE, "g"), (sessions, SITTING, "s")):
            for position, number in zip(where, _cut(looks, where, twins, cut), strict=True):
                names[position] = f"{label.value}-{letter}{number:02d}"
    return join_twins(
        [
            replace(example, group=group, session=session)
            for example, group, session in zip(seen.examples, groups, sessions, strict=True)
        ],
        twins,
    )


def join_twins(examples: Sequence[Example], twins: Sequence[Twins]) -> list[Example]:
    """The examples with groups that show the same field made one group.

    Whoever recorded or guessed the groups, two pictures of one field come from one slide: folds
    made of the joined groups let no field into training and test at once.
    """
    joined: dict[str, str] = {}

    def root(name: str) -> str:
        while joined.get(name, name) != name:
            name = joined[name]
        return name

    for pair in twins:
        names = sorted(root(examples[at].group) for at in (pair.first, pair.second))
        joined[names[1]] = names[0]
    return [replace(example, group=root(example.group)) for example in examples]


def agreement(names: Sequence[str], truth: Sequence[str]) -> dict[str, float]:
    """How well two groupings of the same pictures agree, over all pairs of pictures.

    `adjusted_rand` 1 is equal, 0 chance (Hubert and Arabie 1985). `precision`: of the pairs that
    `names` puts together, the share that `truth` does; `recall` the other way round.
    """
    from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415
    from sklearn.metrics.cluster import pair_confusion_matrix  # noqa: PLC0415

    (_, wrong), (missed, right) = pair_confusion_matrix(truth, names)
    return {
        "adjusted_rand": float(adjusted_rand_score(truth, names)),
        "precision": float(right / (right + wrong)) if right + wrong else 1.0,
        "recall": float(right / (right + missed)) if right + missed else 1.0,
    }


def in_file_order(examples: Sequence[Example], label: str) -> NDArray[np.int64]:
    """Positions of one class's pictures, 2 before 10."""

    def key(at: int) -> list[tuple[int, str]]:
        parts = re.split(r"(\d+)", Path(examples[at].path).stem.lower())
        return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]

    return np.array(sorted((at for at, one in enumerate(examples) if one.label == label), key=key))


def _looks(seen: Survey) -> NDArray[np.float64]:
    """(N, features) in units of the spread within a slide; NaN where no nucleus was found."""
    marks = np.array([[mark == kind for kind in Mark] for mark in seen.marks]) / np.sqrt(2)
    return np.hstack(
        [
            seen.glass / GLASS_SPREAD,
            seen.red_cells / RED_CELL_SPREAD,
            marks * MARK_WEIGHT,
            seen.nuclei / NUCLEUS_SPREAD,
        ]
    ).astype(np.float64)


def _filled(looks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Missing colours taken from the four files before and after, else from the whole class."""
    known = ~np.isnan(looks)
    rows = np.arange(len(looks))
    filled = looks.copy()
    for row, column in np.argwhere(~known):
        values = looks[known[:, column], column]
        near = looks[(abs(rows - row) <= 4) & known[:, column], column]
        filled[row, column] = np.median(near if near.size else values) if values.size else 0.0
    return filled


def _cut(
    looks: NDArray[np.float64], where: NDArray[np.int64], twins: Sequence[Twins], height: float
) -> NDArray[np.int64]:
    """Cluster numbers of one class's pictures, counted from 1 in file order."""
    from sklearn.cluster import AgglomerativeClustering  # noqa: PLC0415

    if len(where) < 2:
        return np.ones(len(where), dtype=np.int64)
    found = AgglomerativeClustering(
        n_clusters=None,
        distance_threshold=height,
        connectivity=_neighbours(where, twins),
        linkage="ward",
    ).fit_predict(_filled(looks[where]))
    order = {number: place for place, number in enumerate(dict.fromkeys(found.tolist()), start=1)}
    return np.array([order[number] for number in found.tolist()])


def _neighbours(where: NDArray[np.int64], twins: Sequence[Twins]) -> object:
    """Sparse (n, n): who may be merged with whom directly."""
    from scipy.sparse import coo_matrix  # noqa: PLC0415

    place = {int(position): number for number, position in enumerate(where)}
    pairs = [
        (one, one + step) for step in range(1, NEAR + 1) for one in range(len(where) - step)
    ] + [
        (place[pair.first], place[pair.second])
        for pair in twins
        if pair.first in place and pair.second in place
    ]
    rows, columns = np.array([*pairs, *((b, a) for a, b in pairs)]).T
    return coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(where),) * 2).tocsr()
