"""The reckoning: is every picture where it belongs, once, and was every event told, once."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from devices.simulator.ledger import Fate, Ledger
from tests.drills.faults.reader import LIGHT_FAMILIARITY
from tests.drills.faults.screens import Heard
from tests.drills.fleet import discrepancies

LOST_WORKER = "worker_lost"


class Asked(Protocol):
    """Whoever gives rows of the database."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""


@dataclass
class Account:
    """What came of it.

    Attributes:
        wrong: a sentence for each thing that must not be; none, and the hospital has held.
        figures: what is to be said in any case.
    """

    wrong: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether everything is where it belongs."""
        return not self.wrong


def drawn_up(hospital: Asked, ledger: Ledger, poison: set[str], screens: list[Heard]) -> Account:
    """Go through all of it.

    Args:
        poison: SHA-256 of the pictures that kill workers, which must be set aside for it.
    """
    account = Account()
    account.wrong += _pictures(ledger, poison)
    account.wrong += discrepancies(hospital, ledger)  # type: ignore[arg-type]
    account.wrong += _reports_that_disagree(hospital)
    for number, heard in enumerate(screens, 1):
        account.wrong += _events(hospital, heard, f"screen {number}")
    aside = sum(line.fate is Fate.FAILED for line in ledger.lines)
    account.figures = {
        "taken": len(ledger.lines),
        "reported": ledger.count(Fate.REPORTED),
        "refused with a reason": ledger.count(Fate.REFUSED),
        "set aside with a reason": aside,
        "lost": ledger.count(Fate.LOST),
        "double": ledger.count(Fate.DOUBLE),
        "anything else": ledger.count(Fate.HELD, Fate.PENDING, Fate.WAITING, Fate.UNEXPLAINED),
        **_read_by(hospital),
    }
    return account


def _pictures(ledger: Ledger, poison: set[str]) -> Iterator[str]:
    for line in ledger.lines:
        poisonous = line.taken.sha256 in poison
        expected = Fate.FAILED if poisonous else Fate.REFUSED if line.taken.wrong else Fate.REPORTED
        code = "" if poisonous else line.taken.wrong
        reason = line.detail == LOST_WORKER if poisonous else line.code == code
        if line.fate is not expected or not reason:
            yield (
                f"{line.taken.id} of {line.microscope} for {line.taken.accession}: {line.fate} "
                f"({line.code or line.detail or 'no reason'}), should be {expected} ({code})"
            )


def _reports_that_disagree(hospital: Asked) -> Iterator[str]:
    """Results that are audited more or less often than once."""
    entries: Counter[str] = Counter(
        str(subject)
        for (subject,) in hospital.rows(
            "SELECT subject_id FROM audit_entry WHERE action IN"
            " ('analysis.succeeded', 'analysis.failed')"
        )
    )
    for (run,) in hospital.rows("SELECT CAST(id AS varchar) FROM diagnostics_analysis"):
        if entries[run] != 1:
            yield f"analysis {run} was finished {entries[run]} times"


def events_on(hospital: Asked, topic: str) -> dict[int, float]:
    """Of all that was ever to be told on a topic: when it happened, by id."""
    when = "SELECT id, extract(epoch FROM at) FROM live_event"
    rows = hospital.rows(f"{when} WHERE topic = '{topic}'")
    return {int(number): float(at) for number, at in rows}


def _events(hospital: Asked, heard: Heard, name: str) -> Iterator[str]:
    events = events_on(hospital, heard.topic)
    for number in sorted(heard.missing(events)):
        at = datetime.fromtimestamp(events[number], UTC)
        yield f"{name} was not told of event {number} of {at:%H:%M:%S.%f}"
    for number in heard.twice:
        yield f"{name} was told of event {number} twice over one line"
    for number in sorted(heard.seen - events.keys()):
        yield f"{name} was told of event {number}, which is not its clinic's"


def _read_by(hospital: Asked) -> dict[str, int]:
    rows = hospital.rows("SELECT familiarity FROM diagnostics_analysis WHERE state = 'succeeded'")
    light = sum(1 for (one,) in rows if one is not None and abs(one - LIGHT_FAMILIARITY) < 1e-9)
    return {"read by the true package": len(rows) - light, "read by the light engine": light}
