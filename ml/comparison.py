"""Two packages before the same labelled pictures: where they differ, and whether it matters.

How sure a difference is comes from slides, not from pictures. McNemar's exact test would count
every picture as a witness of its own, while pictures of one slide mostly tell the same story: it
calls luck a proof. Two answers over slides stand in its place. The interval draws slides anew
within each class, both packages on the same draw. The chance asks how often a difference as
large turns up when the two names are swapped at random, slide by slide; it cannot be small when
few slides changed, where the interval (known to be too narrow with few slides) looks certain.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.classes import CLASSES, Class
from ml.data import Example
from ml.evaluation import Answers, measure
from ml.images import decode
from ml.judging import DIGITS
from ml.packages import Package
from ml.reading import Outcome, Reader, Reading

Report = Callable[[str, int, int], None]
Floats = NDArray[np.floating[Any]]

BATCH = 32
DRAWS = 4000
SEED = 42
PERCENTILES = (2.5, 97.5)
METHOD = (
    f"B minus A. Interval: 95 % of {DRAWS} bootstrap draws of slides within each class (of n "
    "slides n - 1, Rao and Wu 1988), both packages on the same draw. Chance: how often the "
    "difference is as large when A and B are swapped at random slide by slide, in as many draws. "
    "McNemar's test is not given: it would take the pictures of one slide for independent. "
    f"Seed {SEED}."
)


class NothingToCompare(Exception):
    """No picture was shown to both networks: the quality gate refused every one."""


@dataclass(frozen=True, slots=True)
class Word:
    """What one package said of a picture: (4,) probabilities, and whether it stands by them."""

    probabilities: Floats
    outcome: Outcome

    @classmethod
    def of(cls, reading: Reading) -> "Word | None":
        """None where the network was not shown the picture. Masks are left behind: memory."""
        given = reading.probabilities
        if given is None:
            return None
        return cls(np.array([given[label] for label in CLASSES]), reading.outcome)

    @property
    def label(self) -> Class:
        """The likeliest class, also where the answer was held back as unfamiliar."""
        return CLASSES[int(self.probabilities.argmax())]


@dataclass(frozen=True, slots=True)
class Case:
    """One picture that both networks were shown, and what each package said of it."""

    example: Example
    a: Word
    b: Word

    @property
    def said(self) -> tuple[Class, Class]:
        """The likeliest class for A and for B."""
        return self.a.label, self.b.label

    @property
    def right(self) -> str:
        """Who named the class of the picture: "both", "a", "b" or "neither"."""
        a, b = (said is self.example.label for said in self.said)
        return {(True, True): "both", (True, False): "a", (False, True): "b"}.get((a, b), "neither")


def compare(
    a: Reader,
    b: Reader,
    examples: Sequence[Example],
    *,
    report: Report,
    draws: int = DRAWS // 2,
) -> dict[str, Any]:
    """Everything that tells A from B on `examples`, JSON-ready.

    `all` covers every picture shown to both networks; `unseen` the same for slides that neither
    was trained or tuned on, None where there are none. `changed` lists the pictures whose
    likeliest class differs. `warnings` are sentences for people. `draws` are those behind each
    package's own intervals. Raises `NothingToCompare`.
    """
    cases = read_both(a, b, examples, report=report)
    if not cases:
        raise NothingToCompare(
            f"of {len(examples)} pictures the quality gate let none through to the networks"
        )
    used = {"A": slides_used(a.package, examples), "B": slides_used(b.package, examples)}
    known: set[str] = set().union(*(held or set() for held in used.values()))
    unseen = [case for case in cases if case.example.group not in known]
    report("measuring", 0, 2)
    everything = _block(cases, draws)
    report("measuring", 1, 2)
    apart = _block(unseen, draws) if unseen and len(unseen) < len(cases) else None
    report("measuring", 2, 2)
    return {
        "packages": {"a": _named(a), "b": _named(b)},
        "warnings": _warnings(a.package, b.package, used, cases, unseen),
        "pictures": len(examples),
        "refused_by_quality": len(examples) - len(cases),
        "method": METHOD,
        "all": everything,
        "unseen": apart if apart else (everything if unseen else None),
        "changed": [_changed(case) for case in cases if case.said[0] is not case.said[1]],
    }


def read_both(a: Reader, b: Reader, examples: Sequence[Example], *, report: Report) -> list[Case]:
    """Both packages' readings of every picture that both networks were shown."""
    cases = []
    for start in range(0, len(examples), BATCH):
        batch = examples[start : start + BATCH]
        pictures = [decode(example.read()) for example in batch]
        for example, one, other in zip(batch, a.read(pictures), b.read(pictures), strict=True):
            said = Word.of(one), Word.of(other)
            if said[0] is not None and said[1] is not None:
                cases.append(Case(example, said[0], said[1]))
        report("reading with both packages", start + len(batch), len(examples))
    return cases


def slides_used(package: Package, examples: Sequence[Example]) -> set[str] | None:
    """Slides of `examples` of which the package was taught a picture; None where it cannot tell."""
    taught = package.manifest.get("training", {}).get("pictures")
    if taught is None:
        return None
    known = set(taught)
    return {example.group for example in examples if example.sha256[:DIGITS] in known}


def differences(cases: Sequence[Case]) -> dict[str, dict[str, float | None]]:
    """B minus A of each figure: `value`, 95 % interval `low` to `high`, `chance` (0..1).

    None where undefined. Both over slides; see the module's words and `METHOD`.
    """
    tables, strata = _tables(cases)
    values = _figures(tables.sum(axis=0))
    rng = np.random.default_rng(SEED)
    weights = np.zeros((DRAWS, len(tables)))
    for stratum in np.unique(strata):
        here = np.flatnonzero(strata == stratum)
        drawn = max(1, len(here) - 1)
        even = np.full(len(here), 1 / len(here))
        weights[:, here] = rng.multinomial(drawn, even, DRAWS) * (len(here) / drawn)
    drawn_anew = _figures(np.einsum("ds,spij->dpij", weights, tables))
    swaps = rng.integers(0, 2, (DRAWS, len(tables)))
    swapped = tables.sum(axis=0) + np.einsum("ds,spij->dpij", swaps, tables[:, ::-1] - tables)
    by_luck = _figures(swapped)
    return {name: _spread(values[name], drawn_anew[name], by_luck[name]) for name in values}


def _block(cases: Sequence[Case], draws: int) -> dict[str, Any]:
    """Figures of some cases: each package's own, their difference, who was right."""
    targets = np.array([case.example.target for case in cases])
    groups = np.array([case.example.group for case in cases])
    given = {
        "a": np.stack([case.a.probabilities for case in cases]),
        "b": np.stack([case.b.probabilities for case in cases]),
    }
    figures = {
        side: measure(Answers(rows, targets, groups), draws=draws) for side, rows in given.items()
    }
    return {
        "pictures": len(cases),
        "slides": len(np.unique(groups)),
        "figures": figures,
        "differences": differences(cases),
        "agreement": {
            "class": float(np.mean([case.said[0] is case.said[1] for case in cases])),
            "outcome": float(np.mean([case.a.outcome is case.b.outcome for case in cases])),
        },
        "outcomes": dict(Counter(f"{c.a.outcome.value} > {c.b.outcome.value}" for c in cases)),
        "right": {
            who: sum(case.right == who for case in cases) for who in ("both", "a", "b", "neither")
        },
        "by_slide": _by_slide(cases),
    }


def _by_slide(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Slides on which one package was right more often, the largest change first."""
    held: dict[tuple[Class, str], list[Case]] = {}
    for case in cases:
        held.setdefault((case.example.label, case.example.group), []).append(case)
    rows = [
        {
            "group": group,
            "class": label.value,
            "pictures": len(chosen),
            "a": sum(case.right in {"both", "a"} for case in chosen),
            "b": sum(case.right in {"both", "b"} for case in chosen),
        }
        for (label, group), chosen in held.items()
    ]
    moved = [row for row in rows if row["a"] != row["b"]]
    return sorted(moved, key=lambda row: (-abs(int(row["b"]) - int(row["a"])), str(row["group"])))


def _tables(cases: Sequence[Case]) -> tuple[Floats, Floats]:
    """(S, 2, 4, 4) confusion of each slide for A and B, and (S,) the class it is of.

    A slide that holds two classes counts as one in each: slides are drawn within a class.
    """
    keys = [(case.example.target, case.example.group) for case in cases]
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    tables = np.zeros((len(places), 2, len(CLASSES), len(CLASSES)))
    for case, key in zip(cases, keys, strict=True):
        for side, said in enumerate(case.said):
            tables[places[key], side, case.example.target, CLASSES.index(said)] += 1
    return tables, np.array([target for target, _ in places])


def _figures(tables: Floats) -> dict[str, Floats]:
    """(…, 2, 4, 4) confusion tables to (…, 2) of each figure; NaN where undefined."""
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    there, called = tables.sum(-1), tables.sum(-2)
    with np.errstate(invalid="ignore"):
        f1 = np.where(there > 0, 2 * right / (there + called), 0).sum(-1) / (there > 0).sum(-1)
        return {
            "accuracy": right.sum(-1) / there.sum(-1),
            "macro_f1": f1,
            "malignant_sensitivity": tables[..., 1:, 1:].sum((-1, -2)) / there[..., 1:].sum(-1),
            "malignant_specificity": right[..., 0] / there[..., 0],
        }


def _spread(value: Floats, anew: Floats, by_luck: Floats) -> dict[str, float | None]:
    """From (2,) values and (D, 2) draws of each kind. Rounded: sums differ in the last digit."""
    change, anew, by_luck = (
        np.round(both[..., 1] - both[..., 0], 9) for both in (value, anew, by_luck)
    )
    if np.isnan(change):
        return {"value": None, "low": None, "high": None, "chance": None}
    low, high = (float(end) for end in np.nanpercentile(anew, PERCENTILES))
    # The data as they are count as one draw, so that no chance is ever 0.
    chance = (1 + np.sum(np.abs(by_luck) >= abs(change))) / (1 + len(by_luck))
    return {"value": float(change), "low": low, "high": high, "chance": float(chance)}


def _named(reader: Reader) -> dict[str, str]:
    package = reader.package
    return {
        "name": package.name,
        "version": package.version,
        "digest": package.digest,
        "engine": reader.engine,
    }


def _changed(case: Case) -> dict[str, Any]:
    return {
        "file": case.example.path.name,
        "class": case.example.label.value,
        "group": case.example.group,
        "right": case.right,
        **{
            side: {
                "class": word.label.value,
                "probability": float(word.probabilities.max()),
                "outcome": word.outcome.value,
            }
            for side, word in (("a", case.a), ("b", case.b))
        },
    }


def _warnings(
    a: Package,
    b: Package,
    used: Mapping[str, set[str] | None],
    cases: Sequence[Case],
    unseen: Sequence[Case],
) -> list[str]:
    said = []
    if a.digest == b.digest:
        said.append("A and B are the same package: every difference is 0.")
    for name, slides in used.items():
        if slides is None:
            said.append(f"{name} does not say which slides it was trained on: some may be here.")
            continue
        here = {case.example.group for case in cases} & slides
        count = sum(case.example.group in here for case in cases)
        if here:
            said.append(
                f"{name} was taught on {len(here)} of these slides ({count} of "
                f"{len(cases)} pictures): its figures on all "
                "pictures flatter it."
            )
    if not unseen:
        said.append("No slide is new to both: which package is better cannot be told from this.")
    return said
