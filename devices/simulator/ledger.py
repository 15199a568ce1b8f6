"""The ledger: every picture that was taken, and what became of it.

What was taken stands in the microscopes' own lists (`taken`). What became of it is asked of the
hospital, picture by picture; the agent's queue is believed only where it says that a picture is
still waiting, or why one was refused, and then the hospital must not have it.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.table import Table

from ..agent.client import Microscope, Refused, Unreachable
from ..agent.queue import Item, Queue, State
from .faults import SAID
from .fleet import Outcome, folder_of
from .microscope import queue_in
from .plan import FleetPlan, MicroscopePlan
from .taken import Taken, on_card, read_taken

FINISHED = frozenset({"succeeded", "failed"})
ROUND = 1.0
COULD_NOT_ASK = "could not ask"
AT_ONCE = 4


class Fate(StrEnum):
    """What became of a picture."""

    REPORTED = "reported"
    HELD = "held"
    FAILED = "failed"
    PENDING = "pending"
    REFUSED = "refused"
    WAITING = "waiting"
    LOST = "lost"
    DOUBLE = "double"
    UNEXPLAINED = "unexplained"


MEANING = {
    Fate.REPORTED: "analysed, and in its specimen's report if it was usable",
    Fate.HELD: "kept back until a person has looked",
    Fate.FAILED: "the analysis failed; the case page offers another try",
    Fate.PENDING: "safe in the hospital, not analysed yet",
    Fate.REFUSED: "refused with a reason, and not in the hospital",
    Fate.WAITING: "still with the microscope",
    Fate.LOST: "nobody has it: must be 0",
    Fate.DOUBLE: "in the hospital twice, or under another specimen: must be 0",
    Fate.UNEXPLAINED: "the hospital says something else, or nothing: must be 0",
}
IN_HOSPITAL = frozenset({Fate.REPORTED, Fate.HELD, Fate.FAILED, Fate.PENDING})
WRONG = frozenset({Fate.LOST, Fate.DOUBLE, Fate.UNEXPLAINED})


@dataclass(slots=True)
class Line:
    """One picture in the ledger.

    Attributes:
        code: why it was refused; '' otherwise.
        detail: what there is to say of it, for people.
    """

    microscope: str
    taken: Taken
    fate: Fate = Fate.UNEXPLAINED
    code: str = ""
    detail: str = ""


@dataclass(slots=True)
class Ledger:
    """All of them, and what went wrong meanwhile."""

    lines: list[Line] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    endings: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def count(self, *fates: Fate) -> int:
        """How many pictures met one of these fates."""
        return sum(line.fate in fates for line in self.lines)

    @property
    def sound(self) -> bool:
        """Whether no picture was lost, doubled or left unexplained."""
        return self.count(*WRONG) == 0

    @property
    def refusals(self) -> Counter[str]:
        """How many were refused, by the code."""
        return Counter(line.code for line in self.lines if line.fate is Fate.REFUSED)

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "taken": len(self.lines),
            "accepted": self.count(*IN_HOSPITAL),
            **{fate.value: self.count(fate) for fate in Fate},
            "refusals": dict(self.refusals),
            "sound": self.sound,
            "faults": dict(self.happened),
            "microscopes": self.endings,
            "seconds": round(self.seconds, 1),
            "pictures": [
                {
                    "id": str(line.taken.id),
                    "sha256": line.taken.sha256,
                    "accession": line.taken.accession,
                    "microscope": line.microscope,
                    "fate": line.fate,
                    "code": line.code,
                    "detail": line.detail,
                }
                for line in self.lines
            ],
        }

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n")


def drawn_up(
    plan: FleetPlan,
    folder: Path,
    outcome: Outcome,
    *,
    patience: float,
    watch: Callable[["Ledger"], None] = lambda ledger: None,
) -> Ledger:
    """Ask the hospital after every picture that was taken, until all are analysed.

    Args:
        folder: where the fleet has run; none of its processes may run any more.
        patience: seconds without any change after which what is pending stays so.
    """
    ledger = Ledger(
        happened=Counter(outcome.happened), endings=outcome.endings, seconds=outcome.seconds
    )
    piles = {one: _lines(folder_of(folder, one), one) for one in plan.microscopes}
    ledger.lines = [line for lines in piles.values() for line in lines]
    _count_at_the_bench(ledger)
    changed_at, before = time.monotonic(), Counter[Fate]()
    while True:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda one: _ask(plan.url, one, folder, piles[one]), piles))
        watch(ledger)
        fates = Counter(line.fate for line in ledger.lines)
        if fates != before:
            changed_at, before = time.monotonic(), fates
        if not fates[Fate.PENDING] or time.monotonic() - changed_at > patience:
            break
        time.sleep(ROUND)
    for line in ledger.lines:
        if line.fate is Fate.PENDING and line.detail:
            line.fate = Fate.UNEXPLAINED
    _find_doubles(ledger)
    return ledger


def _lines(folder: Path, one: MicroscopePlan) -> list[Line]:
    taken, _ = read_taken(folder)
    return [Line(one.name, picture, fate=Fate.PENDING) for picture in taken]


def _count_at_the_bench(ledger: Ledger) -> None:
    for line in ledger.lines:
        ledger.happened["refusable"] += bool(line.taken.wrong)
        ledger.happened["reorder"] += line.taken.late
        ledger.happened["skew"] += line.taken.skewed


def _ask(url: str, one: MicroscopePlan, folder: Path, lines: list[Line]) -> None:
    """Ask the hospital after those of one microscope's pictures that are not settled."""
    own = folder_of(folder, one)
    queue = Queue(queue_in(own))
    try:
        with Microscope(url, one.key) as line_to_hospital:
            for line in lines:
                if line.fate is Fate.PENDING:
                    _settle(line, line_to_hospital, queue.get(line.taken.id), own)
    finally:
        queue.close()


def _settle(line: Line, hospital: Microscope, queued: Item | None, folder: Path) -> None:
    try:
        told = hospital.status(line.taken.id)
    except (Refused, Unreachable) as error:
        if isinstance(error, Refused) and error.code == "unknown_image":
            line.fate, line.code, line.detail = _absent(line.taken, queued, folder)
        else:
            line.detail = f"{COULD_NOT_ASK}: {error}"
    else:
        line.fate, line.detail = _present(line.taken, queued, told)


def _absent(taken: Taken, queued: Item | None, folder: Path) -> tuple[Fate, str, str]:
    """The hospital does not have it. Somebody must."""
    if queued is None:
        if on_card(folder, taken.id):
            return Fate.WAITING, "", "on the memory card, not yet in the queue"
        return Fate.LOST, "", "neither the hospital nor the queue knows it"
    if not queued.stored:
        return Fate.LOST, "", f"the queue says '{queued.state}' and has let go of it"
    if queued.state is State.REFUSED:
        return Fate.REFUSED, queued.code, queued.detail
    if queued.state is State.WAITING:
        return Fate.WAITING, "", queued.detail
    return Fate.LOST, "", f"the queue says '{queued.state}', the hospital does not know it"


def _present(taken: Taken, queued: Item | None, told: dict[str, Any]) -> tuple[Fate, str]:
    """The hospital has something under the picture's id: is it that picture, and how far?"""
    # A hospital that does not name them has compared them when it took the picture.
    if told.get("accession", taken.accession) != taken.accession:
        return Fate.DOUBLE, f"taken for {taken.accession}, stored under {told['accession']}"
    if told.get("sha256", taken.sha256) != taken.sha256:
        return Fate.UNEXPLAINED, "stored with other bytes than were taken"
    if queued is not None and queued.state is State.REFUSED:
        return Fate.UNEXPLAINED, f"refused as {queued.code}, and stored all the same"
    return _progress(told)


def _progress(told: dict[str, Any]) -> tuple[Fate, str]:
    """How far the hospital is with a picture that it has."""
    analysis = told.get("analysis") or {}
    if analysis.get("state") not in FINISHED:
        return Fate.PENDING, ""
    if told.get("held"):
        return Fate.HELD, ", ".join(told["held"])
    if analysis["state"] == "failed":
        return Fate.FAILED, str(analysis.get("failure", ""))
    if told.get("report") is None and told.get("rejection") is None:
        return Fate.UNEXPLAINED, "analysed, usable, and in no report"
    return Fate.REPORTED, ""


def _find_doubles(ledger: Ledger) -> None:
    """The same bytes under two ids."""
    first: dict[str, UUID] = {}
    for line in ledger.lines:
        if line.fate in IN_HOSPITAL:
            other = first.setdefault(line.taken.sha256, line.taken.id)
            if other != line.taken.id:
                line.fate, line.detail = Fate.DOUBLE, f"the same bytes as {other}"


def tables(ledger: Ledger) -> list[Table]:
    """For people: what became of the pictures, why some were refused, what went wrong."""
    fates = Table("", "pictures", "", title="Ledger", title_justify="left")
    fates.add_row("taken", str(len(ledger.lines)), "photographed, and written down first")
    fates.add_row("accepted", str(ledger.count(*IN_HOSPITAL)), "safe in the hospital")
    for fate in Fate:
        many = ledger.count(fate)
        style = "bold red" if many and fate in WRONG else ""
        fates.add_row(fate.value, str(many), MEANING[fate], style=style)
    refusals = Table("refused as", "pictures", "on purpose", title="Refusals", title_justify="left")
    meant = Counter(line.code for line in ledger.lines if line.code == line.taken.wrong)
    for code, many in ledger.refusals.most_common():
        refusals.add_row(code, str(many), str(meant[code]))
    faults = Table("", "times", title="What went wrong on purpose", title_justify="left")
    for name, said in SAID.items():
        faults.add_row(said, str(ledger.happened[name]))
    return [fates, *([refusals] if ledger.refusals else []), faults]


def troubles(ledger: Ledger, *, most: int = 20) -> list[str]:
    """A sentence for each picture that must be looked into, `most` of them at most."""
    wrong = [line for line in ledger.lines if line.fate in WRONG]
    return [
        f"{one.fate} {one.taken.id} of {one.microscope} for {one.taken.accession}: {one.detail}"
        for one in wrong[:most]
    ]
