"""What an experiment leaves behind: one row a picture, from which every figure is made again."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.classes import CLASSES, Class
from ml.evaluation.metrics import Answers

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

CHANCES = tuple(f"p_{label.value}" for label in CLASSES)
COLUMNS = ("file", "class", "group", "session", "fold", *CHANCES)
FAMILIAR = "familiar"  # a column of its own, where the gate was asked
DIGITS = 6  # significant ones: enough to make every printed figure again
TOLERANCE = 1e-3  # of the sum of a row's probabilities


class PredictionsUnreadable(Exception):
    """The file is not a table of predictions; the message says where and what to mend."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """N pictures, each judged by a model that had not seen it.

    `fold` names the part, or the seed, in which it was judged; a picture may come once in each.
    `probabilities` (N, 4) calibrated, in the order of `CLASSES`. `familiar` (N,) whether the gate
    let the picture through, None where there was no gate.
    """

    files: Sequence[str]
    labels: Sequence[Class]
    groups: Sequence[str]
    sessions: Sequence[str]
    folds: Sequence[str]
    probabilities: Floats
    familiar: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Raise `PredictionsUnreadable` where the columns do not fit together."""
        columns = (self.files, self.labels, self.groups, self.sessions, self.folds)
        count = len(self.files)
        if {len(column) for column in columns} != {count}:
            raise PredictionsUnreadable("the columns are not of one length")
        if self.probabilities.shape != (count, len(CLASSES)):
            raise PredictionsUnreadable(
                f"probabilities must be ({count}, {len(CLASSES)}), not {self.probabilities.shape}"
            )
        if self.familiar is not None and len(self.familiar) != count:
            raise PredictionsUnreadable("familiar is not as long as the other columns")
        sums = self.probabilities.sum(axis=1)
        wrong = np.flatnonzero(
            ~(np.abs(sums - 1) <= TOLERANCE) | (self.probabilities < 0).any(axis=1)
        )
        if len(wrong):
            raise PredictionsUnreadable(
                f"row {wrong[0] + 1} ({self.files[wrong[0]]}): probabilities must be at least 0 "
                f"and sum to 1, not to {sums[wrong[0]]:g}"
            )

    def __len__(self) -> int:
        return len(self.files)

    @property
    def targets(self) -> Ints:
        """(N,) positions of the true classes in `CLASSES`."""
        return np.array([CLASSES.index(label) for label in self.labels], dtype=int)

    def answers(self, chosen: NDArray[np.bool_] | None = None) -> Answers:
        """As the figures want them; `chosen` (N,) keeps some."""
        kept = np.ones(len(self), dtype=bool) if chosen is None else chosen
        groups = np.array(self.groups)[kept]
        return Answers(self.probabilities[kept], self.targets[kept], groups)

    def by_fold(self) -> dict[str, Answers]:
        """The answers of every fold, in the order of their names."""
        folds = np.array(self.folds)
        return {str(fold): self.answers(folds == fold) for fold in np.unique(folds)}


def joined(parts: Sequence[Predictions]) -> Predictions:
    """One table of several: the same pictures judged in several rounds, folds named apart."""
    familiar = [part.familiar for part in parts if part.familiar is not None]
    return Predictions(
        files=[file for part in parts for file in part.files],
        labels=[label for part in parts for label in part.labels],
        groups=[group for part in parts for group in part.groups],
        sessions=[session for part in parts for session in part.sessions],
        folds=[fold for part in parts for fold in part.folds],
        probabilities=np.concatenate([part.probabilities for part in parts]),
        familiar=np.concatenate(familiar) if len(familiar) == len(parts) else None,
    )


def write(path: Path, predictions: Predictions) -> None:
    """Write the table to `path` (CSV, UTF-8)."""
    gate = predictions.familiar
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS if gate is None else (*COLUMNS, FAMILIAR))
        for row, name in enumerate(predictions.files):
            chances = [f"{chance:.{DIGITS}g}" for chance in predictions.probabilities[row]]
            words = (predictions.groups[row], predictions.sessions[row], predictions.folds[row])
            known = [] if gate is None else [int(gate[row])]
            table.writerow([name, predictions.labels[row].value, *words, *chances, *known])


def read(path: Path) -> Predictions:
    """The table in `path`. Raises `PredictionsUnreadable`, naming the line."""
    if not path.is_file():
        raise PredictionsUnreadable(f"{path} is not there")
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
        if missing:
            raise PredictionsUnreadable(f"{path.name} has no column {', '.join(missing)}")
        gated = FAMILIAR in (table.fieldnames or ())
        rows = list(table)
    if not rows:
        raise PredictionsUnreadable(f"{path.name} holds no picture")
    labels, chances = [], []
    for line, row in enumerate(rows, start=2):
        try:
            labels.append(Class(row["class"]))
            chances.append([float(row[column]) for column in CHANCES])
        except (ValueError, TypeError) as error:
            raise PredictionsUnreadable(f"{path.name}, line {line}: {error}") from error
    try:
        return Predictions(
            files=[row["file"] for row in rows],
            labels=labels,
            groups=[row["group"] for row in rows],
            sessions=[row["session"] for row in rows],
            folds=[row["fold"] for row in rows],
            probabilities=np.array(chances),
            familiar=np.array([row[FAMILIAR] == "1" for row in rows]) if gated else None,
        )
    except PredictionsUnreadable as error:
        raise PredictionsUnreadable(f"{path.name}: {error}") from error
