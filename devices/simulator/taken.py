"""What a microscope has photographed: written down before anybody else is told.

The ledger goes by this list, so it must not depend on the agent that is being tried. A line of
JSON for each picture, synced; the picture itself stays on the 'memory card' until the agent has
said 'stored'. A power cut may tear the last line: then that picture was never taken.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from ..agent import durable

# More than the lines between the last picture taken and the end of the list.
TAIL = 64 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """One picture.

    Attributes:
        number: its place among the microscope's own, from 0.
        accession: what its label says.
        captured_at: by the microscope's clock, which may be wrong; RFC 3339.
        wrong: the code with which the hospital has to refuse it; '' if it is sound.
        late: it is handed over after the next one.
        skewed: its time is wrong.
    """

    number: int
    id: UUID
    sha256: str
    size: int
    accession: str
    captured_at: str
    wrong: str = ""
    late: bool = False
    skewed: bool = False


class Album:
    """The list and the card, in one folder. For one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Open it, or begin one; what a power cut left half done is cleared away."""
        self._card = folder / "card"
        durable.make_folder(self._card)
        path = list_in(folder)
        whole = _whole_lines(path)
        self._file: IO[bytes] = path.open("ab")
        self._file.truncate(sum(map(len, whole)))
        durable.sync_folder(folder)
        self.taken, stored = _read(whole)
        self.not_stored = [one for one in self.taken if one.id not in stored]
        wanted = {str(one.id) for one in self.not_stored}
        for path in self._card.iterdir():
            if path.name not in wanted:
                path.unlink()

    def take(self, picture: Taken, body: bytes) -> None:
        """Keep a picture: its bytes first, then its line; both last when this returns."""
        durable.write(self._card / str(picture.id), body)
        line = {name: str(v) if name == "id" else v for name, v in asdict(picture).items()}
        self._write(line)
        os.fsync(self._file.fileno())
        self.taken.append(picture)
        self.not_stored.append(picture)

    def body(self, picture: Taken) -> bytes:
        """The bytes of a picture that is not stored yet."""
        return (self._card / str(picture.id)).read_bytes()

    def stored(self, picture: Taken) -> None:
        """The agent says that it has it: the card may forget it."""
        # Not synced: handing it over a second time does no harm.
        self._write({"stored": str(picture.id)})
        self.not_stored.remove(picture)
        (self._card / str(picture.id)).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the list."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()


def list_in(folder: Path) -> Path:
    """Where the list lies."""
    return folder / "taken.jsonl"


def read_taken(folder: Path) -> tuple[list[Taken], set[UUID]]:
    """Every picture taken, and the ids of those that the agent has called stored."""
    return _read(_whole_lines(list_in(folder)))


def count_taken(folder: Path) -> int:
    """How many pictures have been taken; quick, however long the list is."""
    try:
        with list_in(folder).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            tail = file.read()
    except FileNotFoundError:
        return 0
    # The first line may be cut by our reading, the last by a power cut.
    lines = tail.split(b"\n")[1 if len(tail) == TAIL else 0 : -1]
    numbers = (json.loads(line)["number"] for line in reversed(lines) if b'"number"' in line)
    return int(next(numbers, -1)) + 1


def on_card(folder: Path, image_id: UUID) -> bool:
    """Whether the picture still lies on the card."""
    return (folder / "card" / str(image_id)).exists()


def _whole_lines(path: Path) -> list[bytes]:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]


def _read(lines: list[bytes]) -> tuple[list[Taken], set[UUID]]:
    taken, stored = [], set()
    for line in _parsed(lines):
        if "stored" in line:
            stored.add(UUID(line["stored"]))
        else:
            taken.append(Taken(**{**line, "id": UUID(line["id"])}))
    return taken, stored


def _parsed(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    return map(json.loads, lines)
