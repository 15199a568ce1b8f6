"""Which pictures teach and which judge: parts of a split, and folds.

A part is made of whole groups, a group being what was probably one slide. Splitting by picture,
as the paper does, puts neighbouring fields of one slide on both sides and measures memory
instead of skill; it is offered here only so that its figure can be shown beside the honest one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml.classes import CLASSES, Class
from ml.data.index import Example

SEED = 20240704  # the paper's day of print; used for the split and for training
DRAWS = 4000  # random assignments looked at per class


class Part(StrEnum):
    """What a picture may be used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SHARES: Mapping[Part, float] = {Part.TRAIN: 0.6, Part.VALIDATION: 0.2, Part.TEST: 0.2}

Split = dict[Part, list[Example]]
By = Literal["image", "group", "session"]


class DataLeaks(Exception):
    """A slide or a picture sits in two parts of a split: every figure from it would lie."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One round of a cross-validation: positions in the list of examples, rising."""

    train: tuple[int, ...]
    test: tuple[int, ...]


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


def paper_split(examples: Sequence[Example], seed: int = SEED) -> Split:
    """The paper's 7:2:1 by picture (section 3.3), stratified by class; leaks, as the paper's does.

    Rounded as the paper's 2279 train, 652 test and 325 validation of 3256: of n pictures
    ceil(0.3 n) are held out, of which ceil(2/3) test. Raises `DataLeaks` when the pictures are
    too few for every part to hold every class.
    """
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    held = -(-3 * len(examples) // 10)
    test = -(-2 * held // 3)
    try:
        train, rest = train_test_split(
            list(examples), test_size=held, stratify=_labels(examples), random_state=seed
        )
        validation, tested = train_test_split(
            rest, test_size=test, stratify=_labels(rest), random_state=seed
        )
    except ValueError as error:
        raise DataLeaks(f"{len(examples)} pictures are too few to split 7:2:1: {error}") from error
    return {Part.TRAIN: train, Part.VALIDATION: validation, Part.TEST: tested}


def folds(
    examples: Sequence[Example], by: By = "group", count: int = 5, seed: int = SEED
) -> list[Fold]:
    """`count` folds in which every picture is tested once, classes shared out as evenly as can be.

    By `group` or by `session`, whole units lie on one side of a fold, and units that hold the
    same picture twice are one. A group that was photographed in two sittings is *not* held
    together by `session`: its sittings may be parted, since the question there is what becomes
    of a model under another lamp. By `image` nothing is held together, exact copies neither,
    as the paper did it.
    Raises `DataLeaks` when there are too few for so many folds (`most_folds`).
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # noqa: PLC0415

    units = units_of(examples, by)
    most = most_folds(examples, by)
    if most < count:
        raise DataLeaks(f"these {by}s can fill {most} folds, not {count}: ask for fewer")
    maker = StratifiedKFold if by == "image" else StratifiedGroupKFold
    cuts = maker(n_splits=count, shuffle=True, random_state=seed).split(
        np.zeros(len(examples)), _labels(examples), None if by == "image" else units
    )
    return [Fold(tuple(train.tolist()), tuple(test.tolist())) for train, test in cuts]


def most_folds(examples: Sequence[Example], by: By) -> int:
    """How many folds `folds` can make: no more than units, nor than the largest class counts."""
    return min(len(set(units_of(examples, by))), max(Counter(_labels(examples)).values()))


def units_of(examples: Sequence[Example], by: By) -> list[str]:
    """What must stay together, a name for each example: the picture, or its group or session.

    Groups, and sessions, are joined where they hold the same picture twice.
    """
    if by == "image":
        return [str(number) for number in range(len(examples))]
    return _joined([getattr(example, by) for example in examples], [e.sha256 for e in examples])


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


def _labels(examples: Iterable[Example]) -> list[str]:
    return [example.label.value for example in examples]


def _units(examples: Sequence[Example]) -> list[list[Example]]:
    """Groups, joined where they hold the same picture twice, by name."""
    units: dict[str, list[Example]] = defaultdict(list)
    for name, example in zip(units_of(examples, "group"), examples, strict=True):
        units[name].append(example)
    return [units[name] for name in sorted(units)]


def _joined(names: Sequence[str], marks: Sequence[str]) -> list[str]:
    """For each name, the name that stands for all that share a mark, directly or by others."""
    home: dict[str, str] = {}
    joined: dict[str, str] = {}

    def root(name: str) -> str:
        while joined.get(name, name) != name:
            name = joined[name]
        return name

    for name, mark in zip(names, marks, strict=True):
        joined[root(name)] = root(home.setdefault(mark, name))
    return [root(name) for name in names]


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
