"""The gremlin's own microscope: poison, and pictures that pass where nobody else has passed."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from devices.agent.client import Microscope, Patience
from devices.simulator.ledger import FINISHED, Fate, Line
from devices.simulator.pictures import with_note
from devices.simulator.taken import Taken
from tests.drills.faults.orders import Orders
from tests.stack.harness import wait_until


@dataclass
class Own:
    """One microscope without a queue, that brings a picture to the hospital however long it takes.

    Attributes:
        founded: its name, key and accession numbers.
        lines: what it has taken, for the ledger.
        poison: SHA-256 of the pictures that kill whoever decodes them.
    """

    url: str
    founded: dict[str, Any]
    body: bytes
    orders: Orders
    lines: list[Line] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)

    def send(self, poisonous: bool) -> None:
        """Take one and deliver it."""
        image, now = uuid.uuid4(), datetime.now(UTC)
        body = with_note(self.body, f"gremlin {image}")
        digest, accession = sha256(body).hexdigest(), self.founded["accessions"][0]
        if poisonous:
            self.poison.add(digest)
            self.orders.say("poison", " ".join(self.poison))
        taken = Taken(len(self.lines), image, digest, len(body), accession, now.isoformat())
        self.lines.append(Line(self.founded["name"], taken, Fate.UNEXPLAINED))
        with self._line() as line:
            line.send(body, accession=accession, image_id=image, captured_at=now)

    def settle(self, patience: float) -> None:
        """Ask what became of them."""
        with self._line() as hospital:
            for line in self.lines:

                def told(one: Line = line) -> dict[str, Any] | None:
                    said = hospital.status(one.taken.id)["analysis"]
                    return said if said["state"] in FINISHED else None

                said = wait_until(told, f"a reading of {line.taken.id}", patience=patience)
                line.fate = Fate.FAILED if said["state"] == "failed" else Fate.REPORTED
                line.detail = str(said.get("failure") or "")

    def _line(self) -> Microscope:
        patience = Patience(attempts=60, first=0.5, longest=3)
        return Microscope(self.url, self.founded["key"], patience=patience)
