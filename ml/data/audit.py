"""Everything that is wrong with a set of smears, found in one go: what the audit page shows."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ml.data.groups import infer_from, join_twins
from ml.data.index import INDEX, Example, Report, found_in, read_index, silent
from ml.data.leakage import Leakage, as_fold, leakage
from ml.data.shortcuts import COUNTS, Shortcut, shortcuts
from ml.data.splits import SEED, By, DataLeaks, Part, folds, most_folds, paper_split
from ml.data.survey import Survey, survey
from ml.data.twins import Kind, Twins, find_twins


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found. Positions in `twins` are those of `examples`."""

    name: str
    inferred: bool  # whether the groups are ours, there being no CSV
    seen: Survey
    twins: tuple[Twins, ...]
    leaks: dict[str, Leakage]  # by the words that name the way of splitting
    shortcuts: tuple[Shortcut, ...]
    seed: int

    @property
    def examples(self) -> Sequence[Example]:
        """The pictures, with the groups that were given or inferred."""
        return self.seen.examples

    @property
    def strangers(self) -> list[Twins]:
        """Twins that the groups keep apart: one slide has gone under two names."""
        return [
            pair
            for pair in self.twins
            if self.examples[pair.first].group != self.examples[pair.second].group
        ]

    @property
    def crossing(self) -> list[Twins]:
        """Twins that carry two different classes: one of the labels is wrong."""
        return [
            pair
            for pair in self.twins
            if self.examples[pair.first].label != self.examples[pair.second].label
        ]

    def count(self, kind: Kind) -> int:
        """How many pairs there are of one kind."""
        return sum(pair.kind is kind for pair in self.twins)


def audit(
    root: Path, groups: Path | None = None, *, seed: int = SEED, report: Report = silent
) -> Audit:
    """Look at every picture under `root` (see `ml.data.read_index`) and judge the set.

    Minutes for thousands of pictures, nearly all of them for the pairs. Raises `DataUnreadable`.
    """
    inferred = groups is None and not (root / INDEX).is_file()
    read = found_in(root, report=report) if inferred else read_index(root, groups, report=report)
    seen = survey(read, report=report)
    twins = find_twins(seen, report=report)
    if inferred:
        seen = replace(seen, examples=infer_from(seen, twins))
    return Audit(
        name=root.resolve().name,
        inferred=inferred,
        seen=seen,
        twins=tuple(twins),
        leaks=_leaks(seen.examples, twins, seed),
        shortcuts=tuple(shortcuts(seen, seed=seed, report=report)),
        seed=seed,
    )


def _leaks(examples: Sequence[Example], twins: Sequence[Twins], seed: int) -> dict[str, Leakage]:
    """Leakage under every way of splitting that these data allow."""
    found: dict[str, Leakage] = {}
    with suppress(DataLeaks):  # too few pictures
        parts = paper_split(examples, seed)
        found["by picture, 7:2:1 as in the paper"] = leakage(
            examples, as_fold(examples, parts, Part.TEST), twins
        )
    joined = join_twins(examples, twins)
    ways: list[tuple[str, Sequence[Example], By]] = [
        ("by picture", examples, "image"),
        ("by slide", examples, "group"),
        ("by slide, slides that share a field joined", joined, "group"),
        ("by sitting", examples, "session"),
    ]
    for words, held, by in ways:
        count = min(COUNTS[by], most_folds(held, by))
        if count > 1:
            cuts = folds(held, by, count, seed)
            found[f"{words}, {count} folds"] = leakage(held, cuts, twins)
    return found
