"""The queue: what has been taken and is not yet safe in the hospital. It survives a power cut.

A row of SQLite for each picture (WAL, synchronous=FULL) and a file for its bytes. `put` returns
when both are on the disk; the file is there before its row, and goes after it. Only a delivery
whose digest the hospital has confirmed, or a person, removes a picture.

    waiting -> sent                 the hospital has it
    waiting -> refused -> waiting   a dead letter: kept with its reason until a person has decided
               refused -> discarded

One process sends (`home.only_one`), any number may put and look.
"""

import hashlib
import json
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import RLock
from typing import Any
from uuid import UUID

from . import durable
from .rows import SCHEMA, Counts, Item, Limits, QueueFull, State, WrongState, item_of

__all__ = ["Counts", "Item", "Limits", "Queue", "QueueFull", "State", "WrongState"]

DAY = 86_400.0
# How long a settled picture is remembered, so that the same file is known when it comes again.
REMEMBERED_DAYS = 90
# A wait that ends further off than this was reckoned with another clock: it is over.
FARTHEST_WAIT = DAY


class Queue:
    """The pictures in one folder. Several threads may use it at once."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the queue in `folder`, or begin one.

        Raises:
            OSError, sqlite3.Error: the folder cannot be used.
        """
        self._limits = limits or Limits()
        self._clock = clock
        self._lock = RLock()
        self._pictures = folder / "pictures"
        durable.make_folder(self._pictures)
        # Each statement is its own transaction unless `_writing` says otherwise.
        self._db = sqlite3.connect(
            folder / "queue.sqlite3", timeout=60, isolation_level=None, check_same_thread=False
        )
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._make_tables()
        durable.sync_folder(folder)

    def close(self) -> None:
        """Close the database; nothing is left to be written."""
        with self._lock:
            self._db.close()

    def put(
        self,
        body: bytes,
        *,
        accession: str,
        image_id: UUID | None = None,
        captured_at: datetime | None = None,
        source: str = "",
        code: str = "",
        detail: str = "",
        warnings: str = "",
    ) -> Item:
        """Take a picture. When this returns it is on the disk, bytes and row, to stay.

        Args:
            accession: of its specimen; may be '' only with a code.
            image_id: its own for life; None makes a new one. One that is here already with the
                same bytes and specimen is given back as it is.
            captured_at: by this machine's clock, with its zone.
            source: the file that it comes from; it is kept until `source_removed`.
            code, detail: why it must not be sent; it is then a dead letter from the start.

        Raises:
            QueueFull: it was not taken; nothing else has been dropped for it.
            ValueError: the id is another picture's, or there is no accession number.
            OSError, sqlite3.Error: it was not taken.
        """
        accession = accession.strip()
        if not accession and not code:
            raise ValueError("a picture without accession number cannot be sent")
        image_id = image_id or uuid.uuid4()
        digest = hashlib.sha256(body).hexdigest()
        if known := self.get(image_id):
            if (known.sha256, known.accession) != (digest, accession):
                raise ValueError(f"{image_id} is another picture's id")
            return known
        self.ensure_room(len(body))
        path = self._pictures / str(image_id)
        durable.write(path, body)
        with self._writing():
            # `sweep` removes files without a row, under the same lock.
            if not path.exists():
                raise OSError(f"{path} went away while it was being taken")
            self._insert(
                id=str(image_id),
                sha256=digest,
                size=len(body),
                accession=accession,
                captured_at=captured_at.isoformat() if captured_at else None,
                source=source,
                source_gone=not source,
                state=State.REFUSED if code else State.WAITING,
                stored=True,
                taken_at=self._clock(),
                code=code,
                detail=detail,
                warnings=warnings,
            )
        return self._present(image_id)

    def body(self, item: Item) -> bytes:
        """The picture's bytes as they lie on the disk.

        Raises:
            OSError: they cannot be read.
        """
        return self.path_of(item).read_bytes()

    def path_of(self, item: Item) -> Path:
        """Where the picture's bytes are."""
        return self._pictures / str(item.id)

    def get(self, image_id: UUID) -> Item | None:
        """The picture with this id."""
        return next(iter(self._items("WHERE id = ?", str(image_id))), None)

    def find(self, beginning: str) -> list[Item]:
        """Pictures whose id begins so."""
        return self._items("WHERE substr(id, 1, ?) = ?", len(beginning), beginning.lower())

    def seen(self, sha256: str) -> list[Item]:
        """Pictures with these very bytes, oldest first; those of the last weeks at least."""
        return self._items("WHERE sha256 = ? ORDER BY number", sha256)

    def leftovers(self) -> list[Item]:
        """Pictures whose source was perhaps not removed before a crash."""
        return self._items("WHERE source_gone = 0 ORDER BY number")

    def in_state(self, state: State, *, most: int = 1000) -> list[Item]:
        """Pictures in a state, in their order."""
        return self._items("WHERE state = ? ORDER BY number LIMIT ?", state, most)

    def due(self, *, most: int, but: Collection[str] = ()) -> list[Item]:
        """The first waiting picture of each specimen, if its time has come.

        Args:
            but: specimens that are left out: something of theirs is under way.
        """
        now = self._clock()
        found = self._items(
            "JOIN (SELECT MIN(number) AS first FROM picture WHERE state = 'waiting'"
            " GROUP BY accession) ON number = first"
            " WHERE next_try <= ? OR next_try > ? ORDER BY number LIMIT ?",
            now,
            now + FARTHEST_WAIT,
            most + len(but),
        )
        return [item for item in found if item.accession not in but][:most]

    def counts(self) -> Counts:
        """How many pictures are where."""
        with self._lock:
            rows = self._db.execute(
                "SELECT state, COUNT(*) AS many, MIN(taken_at) AS oldest FROM picture"
                " GROUP BY state"
            ).fetchall()
        many = {row["state"]: row["many"] for row in rows}
        oldest = {row["state"]: row["oldest"] for row in rows}
        age = max(0.0, self._clock() - oldest[State.WAITING]) if State.WAITING in oldest else 0.0
        return Counts(
            waiting=many.get(State.WAITING, 0),
            refused=many.get(State.REFUSED, 0),
            sent=many.get(State.SENT, 0),
            oldest_waiting=age,
            stored_bytes=self._stored_bytes(),
        )

    def delivered(self, item: Item, *, keep: bool = False) -> None:
        """The hospital has the picture and has said so with its digest.

        Args:
            keep: leave the bytes here until `sweep` finds them old enough.
        """
        self._move(
            item,
            State.WAITING,
            state=State.SENT,
            settled_at=self._clock(),
            stored=keep,
            code="",
            detail="",
        )
        if not keep:
            # What cannot be deleted just now is no trouble of the line's: `sweep` tries again.
            with suppress(OSError):
                self.path_of(item).unlink()

    def postpone(
        self,
        item: Item,
        *,
        seconds: float,
        attempts: int,
        code: str,
        detail: str,
        unknown: bool = False,
    ) -> None:
        """Try it again, not before `seconds` have passed.

        Args:
            attempts: how many have failed, this one included.
            code, detail: what went wrong.
            unknown: the hospital does not know the accession number.
        """
        self._move(
            item,
            State.WAITING,
            next_try=self._clock() + seconds,
            attempts=attempts,
            unknown=item.unknown + unknown,
            code=code,
            detail=detail,
        )

    def refuse(self, item: Item, *, code: str, detail: str) -> None:
        """Set it aside for a person. The others of its specimen go on."""
        self._move(
            item,
            State.WAITING,
            state=State.REFUSED,
            settled_at=self._clock(),
            attempts=item.attempts + 1,
            code=code,
            detail=detail,
        )

    def remember_upload(self, item: Item, place: str) -> None:
        """Where its upload in pieces goes on; '' when there is none any more."""
        self._move(item, State.WAITING, upload=place)

    def source_removed(self, item: Item) -> None:
        """The file that it was taken from is gone."""
        with self._writing():
            self._db.execute("UPDATE picture SET source_gone = 1 WHERE id = ?", (str(item.id),))

    def retry(self, item: Item, *, accession: str = "") -> None:
        """Send a dead letter after all, perhaps for the specimen that a person has named.

        Raises:
            ValueError: nobody knows for which specimen.
            WrongState: it is no dead letter.
        """
        if not (accession or item.accession):
            raise ValueError("say for which specimen: its accession number is not known")
        self._move(
            item,
            State.REFUSED,
            state=State.WAITING,
            accession=accession or item.accession,
            settled_at=None,
            next_try=0,
            unknown=0,
            upload="",
            code="",
            detail="",
        )

    def discard(self, item: Item) -> None:
        """Delete a dead letter's bytes for good; its row stays and tells of it.

        Raises:
            WrongState: it is no dead letter.
        """
        self._move(
            item, State.REFUSED, state=State.DISCARDED, settled_at=self._clock(), stored=False
        )
        self.path_of(item).unlink(missing_ok=True)

    def hurry(self) -> None:
        """Whatever waits may be tried at once: the line works again, or a person has mended it."""
        with self._writing():
            self._db.execute(
                "UPDATE picture SET next_try = 0"
                " WHERE state = 'waiting' AND next_try > 0 AND unknown = 0"
            )

    def ensure_room(self, size: int) -> None:
        """Make sure of room for `size` more bytes; delivered pictures that are kept make way.

        Raises:
            QueueFull: only unsent pictures could make way, and those stay.
        """
        while reason := self._lack(size):
            if not self._drop_oldest_kept():
                raise QueueFull(reason)

    def sweep(self, *, keep_days: float = 0) -> None:
        """Clear away what nobody needs: files without a picture, pictures delivered long ago."""
        now = self._clock()
        with self._writing():
            self._db.execute(
                "UPDATE picture SET stored = 0 WHERE state = 'sent' AND settled_at <= ?",
                (now - keep_days * DAY,),
            )
            self._db.execute(
                "DELETE FROM picture WHERE state IN ('sent', 'discarded') AND stored = 0"
                " AND source_gone = 1 AND settled_at < ?",
                (now - REMEMBERED_DAYS * DAY,),
            )
        with self._writing():
            # A picture that is being put at this moment misses its file before its row is
            # written, and is put again.
            rows = self._db.execute("SELECT id FROM picture WHERE stored = 1")
            wanted = {row["id"] for row in rows}
            for path in self._pictures.iterdir():
                if path.name not in wanted:
                    path.unlink(missing_ok=True)

    def note(self, **values: Any) -> None:
        """Keep something by name, for `notes`: it must be JSON."""
        with self._writing():
            self._db.executemany(
                "INSERT OR REPLACE INTO note (name, value) VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in values.items()],
            )

    def notes(self) -> dict[str, Any]:
        """What has been noted, by name."""
        with self._lock:
            rows = self._db.execute("SELECT name, value FROM note").fetchall()
        return {row["name"]: json.loads(row["value"]) for row in rows}

    def _make_tables(self) -> None:
        with self._writing():
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in SCHEMA.split(";"):
                    self._db.execute(statement)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, on the disk when the block has ended."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _insert(self, **values: Any) -> None:
        names, places = ", ".join(values), ", ".join("?" * len(values))
        self._db.execute(
            f"INSERT INTO picture ({names}) VALUES ({places})",  # noqa: S608 - our names
            tuple(values.values()),
        )

    def _move(self, item: Item, origin: State, **values: Any) -> None:
        """Change a row by compare-and-swap.

        Raises:
            WrongState: it is not in `origin` any more.
        """
        names = ", ".join(f"{name} = ?" for name in values)
        with self._writing():
            done = self._db.execute(
                f"UPDATE picture SET {names} WHERE id = ? AND state = ?",  # noqa: S608 - our names
                (*values.values(), str(item.id), origin),
            )
        if done.rowcount != 1:
            raise WrongState(f"{item.id} is not {origin} any more")

    def _items(self, where: str, *values: Any) -> list[Item]:
        query = f"SELECT picture.* FROM picture {where}"  # noqa: S608 - the clauses are ours
        with self._lock:
            rows = self._db.execute(query, values).fetchall()
        return [item_of(row) for row in rows]

    def _present(self, image_id: UUID) -> Item:
        item = self.get(image_id)
        assert item is not None
        return item

    def _stored_bytes(self) -> int:
        with self._lock:
            row = self._db.execute("SELECT SUM(size) AS bytes FROM picture WHERE stored = 1")
            return row.fetchone()["bytes"] or 0

    def _lack(self, size: int) -> str:
        free = shutil.disk_usage(self._pictures).free
        return self._limits.lack(size, stored=self._stored_bytes(), free=free)

    def _drop_oldest_kept(self) -> bool:
        kept = self._items("WHERE state = 'sent' AND stored = 1 ORDER BY number LIMIT 1")
        for item in kept:
            self._move(item, State.SENT, stored=False)
            self.path_of(item).unlink(missing_ok=True)
        return bool(kept)
