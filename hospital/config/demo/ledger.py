"""What was sent, and what came of it: the demonstration's bookkeeping."""

import time
from dataclasses import dataclass, field
from typing import Any

from devices.simulator.delivery import Job

FINISHED = frozenset({"succeeded", "failed"})
NAMES = {
    "benign": "Benign",
    "early_pre_b": "Early Pre-B ALL",
    "pre_b": "Pre-B ALL",
    "pro_b": "Pro-B ALL",
    "unfamiliar": "unlike the training pictures",
    "not_a_smear": "not a blood smear",
    "unusable": "picture not usable",
}


@dataclass(slots=True)
class Entry:
    """One picture on its way. `sent_at` is when the hospital took it.

    `result` is None until the screen has shown one; `lost` says why there will never be one.
    """

    job: Job
    number: int
    sent_at: float = 0.0
    seconds: float = 0.0
    result: str | None = None
    certainty: str = ""
    lost: str = ""

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come."""
        return bool(self.result or self.lost)


@dataclass(slots=True)
class Ledger:
    """Every picture of this run. Written by the microscopes' threads and the screen alike."""

    entries: list[Entry] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether every picture has its result, or never will."""
        return all(entry.settled for entry in self.entries)

    @property
    def reported(self) -> int:
        """How many pictures got their report."""
        return sum(entry.result is not None for entry in self.entries)

    def note_report(self, report: dict[str, Any]) -> list[Entry]:
        """Take over what a report says; returns the entries that got their result by it."""
        ours = {
            str(entry.job.image_id): entry
            for entry in self.entries
            if entry.job.accession == report["accession"]
        }
        fresh = []
        for image in report["images"]:
            entry = ours.get(image["id"])
            if entry is None:
                continue
            # The specimen's certainty says nothing of a field that got no class.
            entry.certainty = report["certainty"] if image["label"] else ""
            if not entry.settled and image["analysis_state"] in FINISHED:
                _settle(entry, image)
                fresh.append(entry)
        return fresh


def _settle(entry: Entry, image: dict[str, Any]) -> None:
    entry.seconds = time.monotonic() - entry.sent_at
    if image["analysis_state"] == "failed":
        entry.lost = f"analysis failed: {image['failure']}"
        return
    said = image["label"] or image["outcome"]
    entry.result = NAMES.get(said, said)
    if image["rejection"] and image["rejection"] != image["outcome"]:
        entry.result += f" ({image['rejection'].replace('_', ' ')})"
