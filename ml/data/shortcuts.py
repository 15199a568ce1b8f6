"""What a classifier reaches that never sees a white cell: the price of the lamp and the glass.

A plain logistic regression, taught on the corner alone and on the background alone. Whatever it
scores above guessing, a network may score with, too, without having learnt anything of the blood.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.data.index import Example, Report, silent
from ml.data.splits import SEED, By, folds, most_folds
from ml.data.survey import Floats, Survey

COMPONENTS = 48
COUNTS: dict[By, int] = {"image": 5, "group": 5, "session": 3}


@dataclass(frozen=True, slots=True)
class Shortcut:
    """The accuracy, 0..1, reached from one thing alone under one kind of folds."""

    what: str  # "corner" or "background"
    by: By
    accuracy: float


def shortcuts(seen: Survey, *, seed: int = SEED, report: Report = silent) -> list[Shortcut]:
    """Every accuracy that the data allow; a kind with too few units for two folds is left out."""
    examples = seen.examples
    given = {"corner": seen.corners, "background": seen.backgrounds}
    kinds = [by for by in COUNTS if most_folds(examples, by) > 1]
    found: list[Shortcut] = []
    for what, features in given.items():
        for by in kinds:
            found.append(Shortcut(what, by, _accuracy(features, examples, by, seed)))
            report("guessing without the cells", len(found), len(given) * len(kinds))
    return found


def guessing(examples: Sequence[Example]) -> float:
    """The accuracy of always naming the commonest class."""
    return max(Counter(e.label for e in examples).values()) / len(examples)


def from_marks(seen: Survey) -> float:
    """The accuracy of naming, for each look of the scale bar, the class that has it most."""
    looks: dict[str, Counter[str]] = defaultdict(Counter)
    for mark, example in zip(seen.marks, seen.examples, strict=True):
        looks[mark][example.label] += 1
    return sum(max(counts.values()) for counts in looks.values()) / len(seen)


def _accuracy(features: Floats, examples: Sequence[Example], by: By, seed: int) -> float:
    from sklearn.decomposition import PCA  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    targets = np.array([example.target for example in examples])
    count = min(COUNTS[by], most_folds(examples, by))
    right = 0
    for fold in folds(examples, by, count, seed):
        taught, tested = np.array(fold.train), np.array(fold.test)
        if len(set(targets[taught])) == 1:  # nothing to tell apart: it names the one it knows
            right += int((targets[tested] == targets[taught][0]).sum())
            continue
        most = min(COMPONENTS, features.shape[1], len(taught))
        model = make_pipeline(
            StandardScaler(),
            PCA(most, random_state=seed),  # the corner's 432 pixels would take minutes
            LogisticRegression(C=0.1, solver="newton-cholesky"),
        )
        model.fit(features[taught], targets[taught])
        right += int((model.predict(features[tested]) == targets[tested]).sum())
    return right / len(examples)
