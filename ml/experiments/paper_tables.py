"""Tables 4 and 5 of the paper by its own recipe: its split and an honest one, with the burnt-in
corner and without it.

The paper judges by picture, on pictures whose corner gives the class away. Both flatter; here each
is taken away by itself, so that a reader sees what it was worth.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.data import SEED, Example, Report
from ml.data.leakage import leakage
from ml.data.splits import Fold
from ml.evaluation.predictions import Predictions
from ml.evaluation.sections import Section, Study
from ml.evaluation.sections import write as write_study
from ml.experiments.cache import kept, mark, mark_of
from ml.experiments.frozen import Sight, views
from ml.experiments.heads import History, teach
from ml.experiments.paper import NOT_AT_HAND, PAPER, ROWS, TRUNKS, Recipe, Row, Trunk, View
from ml.experiments.rounds import (
    Round,
    accuracies,
    averaged,
    by_folds,
    by_paper,
    pooled,
    predictions,
)
from ml.experiments.trunks import Frozen

Floats = NDArray[np.float32]
Protocol = str  # "pictures" or "slides"

CORNERS: Mapping[bool, str] = {True: "as published", False: "corner blanked"}
FED = {"original": "the original", "segmented": "the segmented picture", "both": "both pictures"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What is run. `seeds` draw the paper's split; `folds` of whole slides stand beside it."""

    recipe: Recipe = PAPER
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    folds: int = 5
    rows: Sequence[Row] = field(default=ROWS)


@dataclass(frozen=True, slots=True)
class Judged:
    """One row under one protocol, with or without the corner."""

    row: Row
    corner: bool
    protocol: Protocol
    predictions: Predictions
    history: History  # of the first round


def run(
    examples: Sequence[Example],
    frozen: Mapping[Trunk, Frozen | None],
    *,
    settings: Settings,
    folder: Path,
    report: Report,
) -> dict[str, Any]:
    """Every row that its weights allow; JSON-ready, and left in `folder` with a `study` to report.

    `frozen` has every trunk (`trunks.load`), None where its weights are not at hand. Features and
    every head's answers are kept in `folder`: run again, it goes on where it stopped. Raises
    `DataLeaks` when the pictures or the slides are too few.
    """
    protocols = {
        "pictures": by_paper(examples, settings.seeds),
        "slides": by_folds(examples, "group", settings.folds),
    }
    folder.mkdir(parents=True, exist_ok=True)
    judged = list(_judged(examples, protocols, frozen, settings, folder, report))
    result = {
        "recipe": asdict(settings.recipe),
        "pictures": len(examples),
        "slides": len({example.group for example in examples}),
        "seeds": list(settings.seeds),
        "folds": settings.folds,
        "trunks": {name: one.origin if one else NOT_AT_HAND for name, one in frozen.items()},
        "seen_slides": {name: _seen(examples, rounds) for name, rounds in protocols.items()},
        "rows": [_row(row, frozen, judged) for row in settings.rows],
    }
    text = json.dumps(result, indent=1) + "\n"
    (folder / f"{settings.recipe.name}-tables.json").write_text(text)
    told = [one for one in judged if one.row.key.startswith("fusion-")]
    if told:
        study = _study(told, frozen, settings.recipe)
        write_study(folder / f"{settings.recipe.name}-study", study)
    read_again: dict[str, Any] = json.loads(text)
    return read_again


def _judged(
    examples: Sequence[Example],
    protocols: Mapping[Protocol, Sequence[Round]],
    frozen: Mapping[Trunk, Frozen | None],
    settings: Settings,
    folder: Path,
    report: Report,
) -> Iterator[Judged]:
    rows = [row for row in settings.rows if not _missing(row, frozen)]
    total = len(rows) * len(CORNERS) * sum(map(len, protocols.values()))
    done = 0
    for corner in CORNERS:
        seen = _seen_by_all(
            rows, examples, frozen, Sight(corner, settings.recipe, SEED), folder, report
        )
        for row in rows:
            copies = np.concatenate([seen[view] for view in row.views], axis=-1)
            known = mark(
                [frozen[trunk].fingerprint() for trunk, _ in row.views],  # type: ignore[union-attr]
                row.views,
                corner,
                settings.recipe,
                mark_of(examples),
            )
            for protocol, rounds in protocols.items():
                answers, histories = [], []
                for one in rounds:
                    file = folder / "heads" / f"{row.key}-{mark(known, one)}.npy"
                    answer, history = _head(file, one, copies, examples, settings.recipe)
                    answers.append(answer)
                    histories.append(history)
                    done += 1
                    report("dense heads", done, total)
                held = predictions(examples, rounds, answers)
                yield Judged(row, corner, protocol, held, histories[0])


def _seen_by_all(
    rows: Sequence[Row],
    examples: Sequence[Example],
    frozen: Mapping[Trunk, Frozen | None],
    sight: Sight,
    folder: Path,
    report: Report,
) -> dict[View, Floats]:
    seen: dict[View, Floats] = {}
    for name in dict.fromkeys(trunk for row in rows for trunk, _ in row.views):
        trunk = frozen[name]
        assert trunk is not None, "rows without their weights were left out"
        both = views(trunk, examples, sight, folder=folder / "features", report=report)
        seen |= {(name, fed): copies for fed, copies in both.items()}
    return seen


def _head(
    file: Path, one: Round, copies: Floats, examples: Sequence[Example], recipe: Recipe
) -> tuple[NDArray[Any], History]:
    """(n, 4) answers for the round's test pictures, and how the teaching went."""
    targets = np.array([example.target for example in examples])
    told = file.with_suffix(".json")

    def make() -> Floats:
        train, test, watched = (list(rows) for rows in (one.train, one.test, one.validation))
        head, history = teach(
            copies[:, train],
            targets[train],
            recipe=recipe,
            seed=one.seed,
            watched=(copies[0, watched], targets[watched]) if watched else None,
        )
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_text(json.dumps(history))
        return head(copies[0, test])

    answers = kept(file, make)
    history: History = json.loads(told.read_text())
    return answers, history


def _row(
    row: Row, frozen: Mapping[Trunk, Frozen | None], judged: Sequence[Judged]
) -> dict[str, Any]:
    ours: dict[str, dict[str, Any]] = {}
    for one in (one for one in judged if one.row is row):
        rounds = accuracies(one.predictions)
        held = [share for share in rounds.values() if share is not None]
        figures = (averaged if one.protocol == "pictures" else pooled)(one.predictions)
        ours.setdefault(one.protocol, {})[CORNERS[one.corner]] = {
            **figures,
            "rounds": rounds,
            "deviation": float(np.std(held, ddof=1)) if len(held) > 1 else None,
        }
    return {
        "key": row.key,
        "table": row.table,
        "model": row.model,
        "fed": row.fed,
        "trunks": list(dict.fromkeys(trunk for trunk, _ in row.views)),
        "published": dict(row.published),
        "missing": _missing(row, frozen),
        "ours": ours,
    }


def _missing(row: Row, frozen: Mapping[Trunk, Frozen | None]) -> list[str]:
    """Names of the trunks whose weights are not at hand."""
    needed = dict.fromkeys(trunk for trunk, _ in row.views)
    return [TRUNKS[trunk] for trunk in needed if frozen[trunk] is None]


def _seen(examples: Sequence[Example], rounds: Sequence[Round]) -> float:
    """Share of judged pictures of whose slide the head was taught another picture."""
    return leakage(examples, [Fold(one.train, one.test) for one in rounds], ()).group


def _study(
    judged: Sequence[Judged], frozen: Mapping[Trunk, Frozen | None], recipe: Recipe
) -> Study:
    """The fusion's rows as `python -m ml report` tells them, learning curves and all."""
    origins = "; ".join(f"{TRUNKS[name]}: {one.origin}" for name, one in frozen.items() if one)
    return Study(
        title="The paper's recipe, run again",
        sections=[_section(one) for one in judged],
        about=f"Frozen trunks ({origins}), Table 3's head, Table 2's augmentation, the paper's "
        "HSV twin as the segmented picture."
        + (" Not the paper's: features levelled to mean 0, deviation 1." if recipe.level else ""),
    )


def _section(one: Judged) -> Section:
    by_picture = one.protocol == "pictures"
    corner = "the burnt-in corner left in" if one.corner else "the burnt-in corner blanked"
    wanted = ("accuracy", "precision", "recall", "specificity", "f1")
    shown = by_picture and one.corner
    return Section(
        name=f"{one.row.fed}-{one.protocol}-{'raw' if one.corner else 'blanked'}",
        title=f"Fusion on {FED[one.row.fed]}, by {one.protocol[:-1]}, {CORNERS[one.corner]}",
        explanation=f"The paper's recipe on {FED[one.row.fed]}, {corner}, "
        + ("split 7:2:1 by picture." if by_picture else "in folds of whole slides."),
        predictions=one.predictions,
        leaks="Fields of one slide lie on both sides of the split." if by_picture else None,
        fold_word="seed" if by_picture else "fold",
        histories={"first-seed": one.history} if by_picture else {},
        paper={k: one.row.published[k] / 100 for k in wanted if k in one.row.published}
        if shown
        else {},
        paper_source="Islam et al., Sensors 2024, section 4.7 and Tables 4 and 5",
    )
