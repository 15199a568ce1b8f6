"""Ways of judging, as rounds: which pictures teach, which are judged, and what to call it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.data import SEED, By, Example, Part, folds, paper_split
from ml.evaluation import values
from ml.evaluation.predictions import Predictions

Answer = Callable[["Round"], NDArray[Any]]
"""Teaches on a round's `train` and gives (n, 4) for its `test`, in that order."""

FIGURES = (
    "accuracy",
    "macro_precision",
    "macro_recall",
    "macro_specificity",
    "macro_f1",
    "malignant_sensitivity",
    "malignant_specificity",
)


@dataclass(frozen=True, slots=True)
class Round:
    """Positions among the examples; `seed` is for whatever chance the teaching takes."""

    name: str
    seed: int
    train: tuple[int, ...]
    test: tuple[int, ...]
    validation: tuple[int, ...] = ()


def by_paper(examples: Sequence[Example], seeds: Sequence[int]) -> list[Round]:
    """The paper's 7:2:1 by picture, once for each seed. Raises `DataLeaks` when too few."""
    place = {id(example): number for number, example in enumerate(examples)}
    rounds = []
    for seed in seeds:
        parts = {
            part: tuple(sorted(place[id(example)] for example in held))
            for part, held in paper_split(examples, seed).items()
        }
        train, validation, test = (parts[part] for part in Part)
        rounds.append(Round(f"seed-{seed}", seed, train, test, validation))
    return rounds


def by_folds(examples: Sequence[Example], by: By, count: int) -> list[Round]:
    """`ml.data.folds`, every picture judged once. Raises `DataLeaks` when too few."""
    return [
        Round(f"fold-{number}", SEED + number, fold.train, fold.test)
        for number, fold in enumerate(folds(examples, by, count), start=1)
    ]


def predictions(
    examples: Sequence[Example], rounds: Sequence[Round], answers: Sequence[NDArray[Any]]
) -> Predictions:
    """One row a judged picture, `fold` being the round's name."""
    chosen = [examples[row] for row in chain(*(one.test for one in rounds))]
    return Predictions(
        files=[example.path.name for example in chosen],
        labels=[example.label for example in chosen],
        groups=[example.group for example in chosen],
        sessions=[example.session for example in chosen],
        folds=[one.name for one in rounds for _ in one.test],
        probabilities=np.concatenate(answers),
    )


def pooled(judged: Predictions) -> dict[str, float | None]:
    """`FIGURES` over all rounds together: for folds, where every picture is judged once."""
    every = values(judged.answers())
    return {name: every[name] for name in FIGURES}


def averaged(judged: Predictions) -> dict[str, float | None]:
    """Mean of `FIGURES` over the rounds: for seeds, each of which judges its own 20 %."""
    rows = [values(answers) for answers in judged.by_fold().values()]
    return {name: _mean([row[name] for row in rows]) for name in FIGURES}


def accuracies(judged: Predictions) -> Mapping[str, float | None]:
    """Accuracy of each round by its name."""
    return {name: values(answers)["accuracy"] for name, answers in judged.by_fold().items()}


def _mean(held: Sequence[float | None]) -> float | None:
    known = [one for one in held if one is not None]
    return float(np.mean(known)) if known else None
