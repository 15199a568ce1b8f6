"""The rows of the queue: what is kept of a picture, and how it is asked for."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

GIB = 1024**3

SCHEMA = """
CREATE TABLE picture (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    sha256      TEXT NOT NULL,
    size        INTEGER NOT NULL,
    accession   TEXT NOT NULL,
    captured_at TEXT,
    source      TEXT NOT NULL,
    source_gone INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'refused', 'discarded')),
    stored      INTEGER NOT NULL,
    taken_at    REAL NOT NULL,
    settled_at  REAL,
    next_try    REAL NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    unknown     INTEGER NOT NULL DEFAULT 0,
    upload      TEXT NOT NULL DEFAULT '',
    code        TEXT NOT NULL,
    detail      TEXT NOT NULL,
    warnings    TEXT NOT NULL,
    CHECK (state != 'waiting' OR (stored = 1 AND accession != '')),
    CHECK (state != 'refused' OR (stored = 1 AND code != ''))
);
CREATE INDEX picture_waiting ON picture (state, accession, number);
CREATE INDEX picture_digest ON picture (sha256);
CREATE INDEX picture_stored ON picture (stored, size);
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = 1;
"""


class State(StrEnum):
    """Where a picture stands."""

    WAITING = "waiting"
    SENT = "sent"
    REFUSED = "refused"
    DISCARDED = "discarded"


class QueueFull(Exception):
    """There is no room for another picture. The one that was to be put is where it was."""


class WrongState(Exception):
    """The picture is not where this step begins: somebody else was faster."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the disk the queue may take, and how much it must leave free. In bytes."""

    most: int = 20 * GIB
    keep_free: int = 1 * GIB

    def lack(self, size: int, *, stored: int, free: int) -> str:
        """Why there is no room for `size` more bytes; '' when there is.

        Args:
            stored: what the queue holds.
            free: what the disk has left.
        """
        if size > self.most:
            return (
                f"A picture of {size / GIB:.3f} GiB is larger than the whole queue may be, "
                f"{self.most / GIB:.3f}. Take the file out of the folder, or let the "
                "queue be larger (--max-gib)."
            )
        if stored + size > self.most:
            return (
                f"The queue holds {stored / GIB:.2f} GiB of at most "
                f"{self.most / GIB:.2f}. Nothing more is taken until some is delivered, "
                "or discarded."
            )
        if free - size < self.keep_free:
            return (
                f"Only {free / GIB:.2f} GiB of the disk are free and "
                f"{self.keep_free / GIB:.2f} must stay so. Make room on the disk."
            )
        return ""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture in the queue.

    Attributes:
        number: its place; a specimen's pictures go out in this order.
        id: its own for life, as is `sha256` (hexadecimal).
        accession: '' only for a dead letter whose specimen is not known.
        source: the file that it was taken from.
        source_gone: whether that file has been removed since.
        stored: whether its bytes are still here.
        next_try: Unix time before which it is not sent.
        unknown: how often the hospital did not know its accession number.
        upload: where an upload in pieces goes on; '' if none was begun.
        code, detail: why it was refused, or what went wrong last.
        warnings: what was seen in the picture when it was taken; '' if nothing.
    """

    number: int
    id: UUID
    sha256: str
    size: int
    accession: str
    captured_at: datetime | None
    source: str
    source_gone: bool
    state: State
    stored: bool
    taken_at: float
    settled_at: float | None
    next_try: float
    attempts: int
    unknown: int
    upload: str
    code: str
    detail: str
    warnings: str


@dataclass(frozen=True, slots=True)
class Counts:
    """The queue at a glance. Ages in seconds, sizes in bytes."""

    waiting: int
    refused: int
    sent: int
    oldest_waiting: float
    stored_bytes: int


def item_of(row: sqlite3.Row) -> Item:
    """The picture in a row of the table."""
    told = dict(row)
    moment = told["captured_at"]
    changed = {
        "id": UUID(told["id"]),
        "captured_at": datetime.fromisoformat(moment) if moment else None,
        "source_gone": bool(told["source_gone"]),
        "state": State(told["state"]),
        "stored": bool(told["stored"]),
    }
    return Item(**{**told, **changed})
