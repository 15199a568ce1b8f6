"""The Taleqani smears: what is there, and which part each slide belongs to.

The pictures come without patient ids; `groups.csv` says which were probably taken from one
slide. A part of the split is made of whole groups. Splitting by picture, as the paper does,
puts neighbouring fields of one slide on both sides and measures memory instead of skill.
"""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.classes import CLASSES, FOLDERS, Class

SEED = 20240704  # the paper's day of print; used for the split and for training
DRAWS = 4000  # random assignments looked at per class


class Part(StrEnum):
    """What a picture may be used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SHARES: Mapping[Part, float] = {Part.TRAIN: 0.6, Part.VALIDATION: 0.2, Part.TEST: 0.2}

Split = dict[Part, list["Example"]]


class DataLeaks(Exception):
    """A slide or a picture sits in two parts of a split: every figure from it would lie."""


class DataUnreadable(Exception):
    """The folder is not what `read_index` expects, or a file is not the one the index names."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled field image. `sha256` is the index's; `read` holds the file to it."""

    path: Path
    label: Class
    group: str
    session: str
    sha256: str

    @property
    def target(self) -> int:
        """The position of the label among the network's outputs."""
        return CLASSES.index(self.label)

    def read(self) -> bytes:
        """The file's bytes, once their digest is seen to be the index's."""
        data = self.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise DataUnreadable(f"{self.path.name} is not the file that groups.csv describes")
        return data


def read_index(root: Path) -> list[Example]:
    """Every picture that `root/groups.csv` lists, in its order; the files must exist."""
    index = root / "groups.csv"
    if not index.is_file():
        raise DataUnreadable(f"{root} holds no groups.csv: is it the taleqani folder?")
    with index.open(newline="") as lines:
        examples = [_example(root, row) for row in csv.DictReader(lines)]
    missing = [example.path.name for example in examples if not example.path.is_file()]
    if missing:
        raise DataUnreadable(f"{len(missing)} listed pictures are missing, first {missing[0]}")
    return examples


def _example(root: Path, row: Mapping[str, str]) -> Example:
    return Example(
        path=root / "original" / row["class"] / row["file"],
        label=FOLDERS[row["class"]],
        group=row["group"],
        session=row["session"],
        sha256=row["sha256"],
    )


def split(examples: Sequence[Example], *, seed: int = SEED) -> Split:
    """Whole groups into train, validation and test, about 60/20/20 of each class's pictures.

    Groups are of very unequal size, so many random assignments are drawn and the one nearest
    to the shares is kept; only sizes and counts are looked at, never pictures. Every part gets
    at least one group of every class, or `DataLeaks` is raised: no slide is cut in two.
    """
    parts: Split = {part: [] for part in Part}
    for label in CLASSES:
        units = _units([example for example in examples if example.label == label])
        for part, chosen in _assign(units, seed=seed).items():
            parts[part].extend(chosen)
    forbid_leaks(parts)
    return parts


def forbid_leaks(parts: Mapping[Part, Sequence[Example]]) -> None:
    """Raise `DataLeaks` when a group or a picture's exact bytes occur in two parts."""
    for what in ("group", "sha256"):
        seen: dict[str, Part] = {}
        for part, examples in parts.items():
            for example in examples:
                key = getattr(example, what)
                if seen.setdefault(key, part) != part:
                    raise DataLeaks(f"{what} {key} is in {seen[key]} and in {part}")


def summary(parts: Mapping[Part, Sequence[Example]]) -> dict[str, dict[str, dict[str, int]]]:
    """Per part and class, how many pictures and how many groups: what a model card states."""
    return {
        part.value: {
            label.value: {
                "pictures": sum(example.label == label for example in examples),
                "groups": len({e.group for e in examples if e.label == label}),
            }
            for label in CLASSES
        }
        for part, examples in parts.items()
    }


def _units(examples: Iterable[Example]) -> list[list[Example]]:
    """What must stay together: groups, joined where they hold the same picture twice."""
    home: dict[str, str] = {}
    joined: dict[str, str] = {}

    def root(group: str) -> str:
        while joined.get(group, group) != group:
            group = joined[group]
        return group

    held = list(examples)
    for example in held:
        other = home.setdefault(example.sha256, example.group)
        joined[root(example.group)] = root(other)
    units: dict[str, list[Example]] = defaultdict(list)
    for example in held:
        units[root(example.group)].append(example)
    return [units[name] for name in sorted(units)]


def _assign(units: Sequence[list[Example]], *, seed: int) -> Split:
    """Units into parts: of `DRAWS` random assignments, the one nearest to `SHARES`.

    Nearness counts shares of pictures and of slides alike. By pictures alone, training could
    be handed the two largest slides of a class, and little variety with them.
    """
    if len(units) < len(Part):
        raise DataLeaks(f"{len(units)} groups cannot fill {len(Part)} parts")
    names = list(Part)
    draws = np.random.default_rng(seed).integers(0, len(names), (DRAWS, len(units)))
    member = draws[:, :, None] == np.arange(len(names))  # draw x unit x part
    distance = np.zeros(DRAWS)
    for weight in (np.array([len(unit) for unit in units], dtype=float), np.ones(len(units))):
        got = (member * weight[:, None]).sum(axis=1) / weight.sum()
        distance += np.abs(got - [SHARES[part] for part in names]).sum(axis=1)
    distance[~member.any(axis=1).all(axis=1)] = np.inf
    if not np.isfinite(distance).any():
        raise DataLeaks("no assignment of whole groups gives every part a picture of each class")
    best = draws[int(distance.argmin())]
    chosen: Split = {part: [] for part in names}
    for unit, part in zip(units, best, strict=True):
        chosen[names[part]].extend(unit)
    return chosen


def weights_by_group(examples: Sequence[Example]) -> NDArray[np.float64]:
    """Sampling weights, (N,) summing to 1: classes alike, groups by the root of their size.

    Without it a slide with 309 fields would count a hundred times as much as one with 3.
    """
    sizes = Counter((example.label, example.group) for example in examples)
    totals: dict[Class, float] = defaultdict(float)
    for (label, _), size in sizes.items():
        totals[label] += size**0.5
    weights = np.array(
        [sizes[e.label, e.group] ** -0.5 / totals[e.label] for e in examples], dtype=float
    )
    return np.asarray(weights / weights.sum())
