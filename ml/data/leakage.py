"""How much of a test part the training part has seen before, as a number."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from ml.data.index import Example
from ml.data.splits import Fold, Part, Split
from ml.data.twins import Kind, Twins


@dataclass(frozen=True, slots=True)
class Leakage:
    """Shares, 0..1, of `pictures` tested that have something of themselves in training."""

    pictures: int
    exact: float
    """The very same file."""
    near: float
    """The same field, photographed or saved again."""
    overlap: float
    """A shifted field that shows some of the same cells."""
    field: float
    """Any of these three: cells that the model was taught with."""
    group: float
    """A picture of the same slide (as far as slides are known)."""
    session: float
    """A picture of the same sitting at the microscope."""


def leakage(
    examples: Sequence[Example], folds: Fold | Iterable[Fold], twins: Sequence[Twins]
) -> Leakage:
    """Leakage of one fold, or over several folds together; `twins` are of the same examples."""
    seen = {column.name: 0 for column in fields(Leakage)}
    for fold in [folds] if isinstance(folds, Fold) else folds:
        marked = _copied(set(fold.train), set(fold.test), twins)
        taught = [examples[at] for at in fold.train]
        groups, sessions = ({getattr(e, by) for e in taught} for by in ("group", "session"))
        marked["field"] = set.union(*marked.values())
        marked["group"] = {at for at in fold.test if examples[at].group in groups}
        marked["session"] = {at for at in fold.test if examples[at].session in sessions}
        for name, positions in marked.items():
            seen[name] += len(positions)
        seen["pictures"] += len(fold.test)
    pictures = seen.pop("pictures")
    return Leakage(pictures, **{name: count / max(1, pictures) for name, count in seen.items()})


def as_fold(examples: Sequence[Example], parts: Split, test: Part = Part.TEST) -> Fold:
    """A split's training and test part as a fold of positions among `examples`."""
    place = {example.path: at for at, example in enumerate(examples)}
    taught, tested = (tuple(sorted(place[e.path] for e in parts[p])) for p in (Part.TRAIN, test))
    return Fold(taught, tested)


def _copied(train: set[int], test: set[int], twins: Sequence[Twins]) -> dict[str, set[int]]:
    """Test positions with a twin in training, by kind."""
    names = {Kind.EXACT: "exact", Kind.NEAR: "near", Kind.OVERLAP: "overlap"}
    found: dict[str, set[int]] = {name: set() for name in names.values()}
    for pair in twins:
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if one in test and other in train:
                found[names[pair.kind]].add(one)
    return found
