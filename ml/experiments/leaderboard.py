"""Table 6's families of classifiers on the same features and the same folds.

In Table 6 every line has other pictures and another split, so its figures cannot be compared. Here
all read what the package's frozen trunks say of the same pictures, and all are judged three
times: by picture, by slide, by sitting.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml import preprocessing
from ml.data import By, Example, Report
from ml.data.splits import most_folds
from ml.experiments.cache import kept, mark, mark_of
from ml.experiments.classifiers import FAMILIES, SOURCES, Family, Seen
from ml.experiments.rounds import Round, accuracies, by_folds, pooled, predictions
from ml.images import decode
from ml.preprocessing import Picture, prepare

PART = 256  # pictures in one file: what a broken run loses
LEVELS = 8  # of each colour in the histogram
COUNTS: Mapping[By, int] = {"image": 5, "group": 5, "session": 3}

Floats = NDArray[np.floating[Any]]
Make = Callable[[Picture, Picture], NDArray[Any]]


class Trunks(Protocol):
    """`ml.features.Trunks`, or whatever speaks like it."""

    def __call__(self, original: Picture, segmented: Picture) -> NDArray[np.float32]:
        """Two (N, 128, 128, 3) uint8 stacks to (N, 1024): VGG16's half, then DenseNet's."""
        ...  # pragma: no cover

    def fingerprint(self) -> str:
        """Changes with any weight."""
        ...  # pragma: no cover


def run(
    examples: Sequence[Example],
    trunks: Trunks,
    *,
    origin: str,
    folder: Path,
    report: Report,
    families: Sequence[Family] = FAMILIES,
    counts: Mapping[By, int] = COUNTS,
) -> dict[str, Any]:
    """Every family under every way of judging, JSON-ready, and left in `folder`.

    `origin` says whose trunks they are. Features and every fold's answers are kept in `folder`:
    run again, it goes on where it stopped. A way of judging for which there are too few slides
    or sittings is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rounds = {
        by: by_folds(examples, by, min(count, most_folds(examples, by)))
        for by, count in counts.items()
        if most_folds(examples, by) > 1
    }
    seen = _seen(examples, trunks, {family.sees for family in families}, folder, report)
    code = [source.read_bytes() for source in SOURCES]
    known = mark(trunks.fingerprint(), preprocessing.VERSION, mark_of(examples), code)
    total, done = len(families) * sum(map(len, rounds.values())), 0
    lines = []
    for family in families:
        figures: dict[str, Any] = {}
        for by, several in rounds.items():
            answers = []
            for one in several:
                file = folder / "answers" / f"{family.key}-{mark(known, one)}.npy"
                answers.append(_answer(file, family, one, seen[family.sees], examples))
                done += 1
                report("classifiers", done, total)
            held = predictions(examples, several, answers)
            figures[by] = {**pooled(held), "rounds": accuracies(held)}
        line = {"key": family.key, "title": family.title, "table_6": family.table_6}
        lines.append({**line, "figures": figures})
    result = {
        "trunks": origin,
        "preprocessing": preprocessing.VERSION,
        "pictures": len(examples),
        "slides": len({example.group for example in examples}),
        "folds": {by: len(several) for by, several in rounds.items()},
        "lines": lines,
    }
    (folder / "leaderboard.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def histogram(picture: Picture) -> NDArray[np.float32]:
    """(512,) square roots of the shares of 8 x 8 x 8 colours in an (H, W, 3) uint8 picture.

    How much there is of each colour, and nothing of where.
    """
    steps = (picture.reshape(-1, 3) // (256 // LEVELS)).astype(np.int64)
    cells = (steps[:, 0] * LEVELS + steps[:, 1]) * LEVELS + steps[:, 2]
    counts = np.bincount(cells, minlength=LEVELS**3)
    return np.sqrt(counts / len(cells)).astype(np.float32)


def _seen(
    examples: Sequence[Example],
    trunks: Trunks,
    wanted: set[Seen],
    folder: Path,
    report: Report,
) -> dict[Seen, NDArray[Any]]:
    """(N, …) of everything that some family looks at."""
    makers: dict[Seen, Make] = {
        "fused": trunks,
        "colour": lambda original, _: np.stack([histogram(one) for one in original]),
        "pictures": lambda original, _: original,
    }
    halves = {"vgg16", "densenet121"}
    needed = {name: make for name, make in makers.items() if name in wanted}
    if wanted & halves:
        needed["fused"] = trunks
    marks = {name: trunks.fingerprint() if name == "fused" else "" for name in needed}
    parts = []
    for start in range(0, len(examples), PART):
        here = examples[start : start + PART]
        parts.append(_of_part(here, needed, marks, folder / "features"))
        report("features", start + len(here), len(examples))
    every = {name: np.concatenate([part[name] for part in parts]) for name in needed}
    if "fused" in every:
        half = every["fused"].shape[1] // 2
        every |= {"vgg16": every["fused"][:, :half], "densenet121": every["fused"][:, half:]}
    return every


def _of_part(
    examples: Sequence[Example],
    needed: Mapping[Seen, Make],
    marks: Mapping[Seen, str],
    folder: Path,
) -> dict[Seen, NDArray[Any]]:
    """The pictures are prepared no sooner than something about them is not known."""

    @cache
    def shown() -> tuple[Picture, Picture]:
        ready = [prepare(decode(example.read())) for example in examples]
        return np.stack([one.original for one in ready]), np.stack([one.segmented for one in ready])

    def made(name: Seen, make: Make) -> NDArray[Any]:
        known = mark(preprocessing.VERSION, mark_of(examples), marks[name])
        return kept(folder / f"{name}-{known}.npy", lambda: make(*shown()))

    return {name: made(name, make) for name, make in needed.items()}


def _answer(
    file: Path, family: Family, one: Round, seen: NDArray[Any], examples: Sequence[Example]
) -> Floats:
    """(n, 4) of the round's test pictures."""
    targets = np.array([example.target for example in examples])
    train, test = list(one.train), list(one.test)
    return kept(file, lambda: family.classify(seen[train], targets[train], seen[test], one.seed))
