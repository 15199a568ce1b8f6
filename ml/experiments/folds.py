"""The model's recipe, judged on pictures that it was not taught: by slide, by sitting, by picture.

The trunks are the package's. They were taught without labels, so one pass over the pictures
serves every fold; the head, the temperature and the gate are made anew for each, from its
training pictures alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import keras
import numpy as np
from numpy.typing import NDArray

from ml import ladder
from ml.calibration import Temperature
from ml.data import Example, Fold, Part, folds, paper_split, weights_by_group
from ml.data.groups import join_twins
from ml.data.survey import survey
from ml.data.twins import find_twins
from ml.evaluation import predictions
from ml.evaluation.predictions import Predictions
from ml.evaluation.sections import Section, Study
from ml.familiarity import Gate
from ml.features import Floats, Shaken
from ml.ladder import LadderPlan
from ml.reading import FAMILIAR

Report = Callable[[str, int, int], None]
Ints = NDArray[np.int64]

PAPER_SEEDS = (0, 1, 2, 3, 4)
SITTING_SEEDS = (0, 1)  # 2 and 3 deal the same folds again
PAPER = {"accuracy": 0.9989, "precision": 0.99803, "recall": 0.9972, "f1": 0.9976}


@dataclass(frozen=True, slots=True)
class Known:
    """All that a head is taught and judged on: pictures, their features, changed pictures'."""

    examples: Sequence[Example]
    plain: Floats  # (N, 1024)
    shaken: Shaken
    foreign: Floats  # (F, 1024): pictures of anything else, for the gate
    kinds: NDArray[np.str_]  # (F,) of what kind each is

    @property
    def targets(self) -> Ints:
        """(N,) positions among the classes."""
        return np.array([example.target for example in self.examples])


def teach(known: Known, chosen: Sequence[int], *, plan: LadderPlan, report: Report) -> keras.Model:
    """A head taught on the chosen pictures and on their changed copies, half of each."""
    rows = np.asarray(chosen)
    copies = np.flatnonzero(np.isin(known.shaken.of, rows))
    features = np.concatenate([known.plain[rows], known.shaken.features[copies]])
    targets = known.targets[np.concatenate([rows, known.shaken.of[copies]])]
    # The copies were drawn by these same weights, so among themselves they count alike.
    weights = weights_by_group([known.examples[row] for row in rows])
    shares = np.concatenate([weights / 2, np.full(len(copies), 0.5 / max(1, len(copies)))])
    head, _ = ladder.train(features, targets, shares / shares.sum(), plan=plan, report=report)
    return head


@dataclass(frozen=True, slots=True)
class Crossfit:
    """What heads and gates said of pictures that they were not taught on.

    `raw` (N, 4) as the network says it, `calibrated` (N, 4) each fold by the temperature that
    suits the others, `familiar` (N,) whether the fold's own gate let the picture through.
    """

    raw: Floats
    calibrated: Floats
    familiar: NDArray[np.bool_]


def crossfit(known: Known, parts: Sequence[Fold], *, plan: LadderPlan, report: Report) -> Crossfit:
    """Every picture judged by a head, a temperature and a gate that have not seen it."""
    raw = np.zeros((len(known.examples), 4), np.float32)
    familiar = np.zeros(len(known.examples), dtype=bool)
    for number, fold in enumerate(parts):
        head = teach(known, fold.train, plan=replace(plan, seed=plan.seed + number), report=report)
        test = list(fold.test)
        raw[test] = head.predict(known.plain[test], verbose=0)
        familiar[test] = gate(known, fold.train).familiarity(known.plain[test]) >= FAMILIAR
    calibrated = np.zeros_like(raw)
    for fold in parts:
        rest = [i for other in parts if other is not fold for i in other.test]
        calibrated[list(fold.test)] = temperature(known, raw, rest)(raw[list(fold.test)])
    return Crossfit(raw, calibrated, familiar)


def gate(known: Known, chosen: Sequence[int]) -> Gate:
    """The gate between the chosen pictures and foreign ones, its threshold for new slides."""
    rows = list(chosen)
    slides, sittings = (
        np.array([getattr(known.examples[row], unit) for row in rows])
        for unit in ("group", "session")
    )
    return Gate.fit(known.plain[rows], slides, known.foreign, known.kinds, sittings=sittings)


def temperature(known: Known, raw: Floats, rows: Sequence[int]) -> Temperature:
    """Fitted on these pictures, every one counting alike, as the calibration error counts them."""
    chosen = list(rows)
    return Temperature.fit(raw[chosen], known.targets[chosen], np.ones(len(chosen)))


def study(known: Known, *, plan: LadderPlan, report: Report) -> tuple[Study, Temperature]:
    """All four ways of judging, and the temperature that the slides ask for."""
    by_slide = folds(known.examples, by="group", count=5)
    found = crossfit(known, by_slide, plan=plan, report=report)
    slides = Section(
        name="slides",
        title="New slides",
        explanation="Five folds of whole slides: every picture is judged by a model that was "
        "taught on other slides, mostly of the same sittings at the microscope. This is the "
        "figure to go by for a new patient in the same hospital.",
        predictions=_predictions(known, by_slide, found),
    )
    sections = [slides, _joined(known, plan, report), _sittings(known, plan, report)]
    return (
        Study(
            title="How well the fusion model reads slides that it has not seen",
            sections=[*sections, _by_picture(known, plan, report)],
            about="Every prediction was made by a head that was not taught on the picture. The "
            "two trunks in front of it never saw a label; DenseNet's saw the cells of all "
            "pictures, unnamed, while it learnt to speak as VGG16 does.",
            others={"Ghaderzadeh": 0.9985, "Karar": 0.9958},
        ),
        temperature(known, found.raw, range(len(known.examples))),
    )


def _joined(known: Known, plan: LadderPlan, report: Report) -> Section:
    twins = find_twins(survey(known.examples, report=report), report=report)
    parts = folds(join_twins(known.examples, twins), by="group", count=5)
    found = crossfit(known, parts, plan=plan, report=report)
    return Section(
        name="slides-joined",
        title="New slides, joined where fields overlap",
        explanation="As above, but slides that turned out to share a field of cells are taken "
        "for one. Nothing that was judged shares a cell with anything that was taught.",
        predictions=_predictions(known, parts, found),
    )


def _sittings(known: Known, plan: LadderPlan, report: Report) -> Section:
    """Three folds, dealt out twice: which sittings fall together decides a great deal."""
    made = []
    for seed in SITTING_SEEDS:
        parts = folds(known.examples, by="session", count=3, seed=seed)
        found = crossfit(known, parts, plan=plan, report=report)
        made.append(_predictions(known, parts, found, named=f"seed {seed}, fold "))
    return Section(
        name="sittings",
        title="New sittings",
        explanation="Three folds of whole sittings at the microscope, dealt out twice: "
        "another lamp, another batch of stain. This is the figure to fear for another hospital. "
        "One sitting holds most of the Pro-B pictures: when it is judged, 150 of another have to "
        "do for teaching.",
        predictions=predictions.joined(made),
        fold_word="fold of sittings",
    )


def _by_picture(known: Known, plan: LadderPlan, report: Report) -> Section:
    """The paper's protocol: 7:2:1 by picture, judged on the 20 %, once for every seed."""
    place = {id(example): number for number, example in enumerate(known.examples)}
    rows: list[list[int]] = []
    answers: list[Floats] = []
    for seed in PAPER_SEEDS:
        parts = {
            part: [place[id(example)] for example in held]
            for part, held in paper_split(known.examples, seed).items()
        }
        head = teach(known, parts[Part.TRAIN], plan=replace(plan, seed=seed), report=report)
        raw = head.predict(known.plain, verbose=0)
        suited = temperature(known, raw, parts[Part.VALIDATION])
        rows.append(parts[Part.TEST])
        answers.append(suited(raw[parts[Part.TEST]]))
    names = [f"seed {seed}" for seed, held in zip(PAPER_SEEDS, rows, strict=True) for _ in held]
    return Section(
        name="pictures",
        title="The paper's split, by picture",
        explanation="70 % of the pictures teach, 10 % calibrate, 20 % judge, drawn by picture as "
        f"in the paper, for {len(PAPER_SEEDS)} seeds. Only for comparison with published figures.",
        predictions=_rows(known, list(chain(*rows)), names, np.concatenate(answers)),
        leaks="Fields of one slide lie on both sides, one test picture in five shares cells with "
        "a taught one: this measures memory.",
        fold_word="seed",
        paper=PAPER,
        paper_source="Islam et al., Sensors 2024, text and Table 5: fusion, both inputs",
    )


def _predictions(
    known: Known, parts: Sequence[Fold], found: Crossfit, *, named: str = ""
) -> Predictions:
    order = [index for fold in parts for index in fold.test]
    names = [f"{named}{number + 1}" for number, fold in enumerate(parts) for _ in fold.test]
    return _rows(known, order, names, found.calibrated[order], found.familiar[order])


def _rows(
    known: Known,
    order: Sequence[int],
    names: Sequence[str],
    probabilities: Floats,
    familiar: NDArray[np.bool_] | None = None,
) -> Predictions:
    chosen = [known.examples[index] for index in order]
    return Predictions(
        files=[example.path.name for example in chosen],
        labels=[example.label for example in chosen],
        groups=[example.group for example in chosen],
        sessions=[example.session for example in chosen],
        folds=names,
        probabilities=probabilities,
        familiar=familiar,
    )
