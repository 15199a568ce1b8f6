"""Taking a picture from a folder: looked at, labelled, committed to the queue, then put away.

The file stays where it is until the queue has it. It is put away by a rename first and compared
then, so that a picture which the camera has just saved under the same name is not taken for it.
"""

import hashlib
import logging
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from . import durable
from .labels import Labels, Note, Unclear, note_beside, notes_of
from .picture import RETAKE, Limits, Look, Unusable, look_at
from .queue import Item, Queue, State

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
# Where a file is for the moment between being put away and being gone.
BETWEEN = ".leukolens-taken"
# How long a file may still become whole, or its note arrive.
HOPE = 15.0


class Taken(StrEnum):
    """What became of a file."""

    WAITING = "waiting"
    """It is in the queue and will be sent."""
    REFUSED = "refused"
    """It is kept as a dead letter: a person must look."""
    KNOWN = "known"
    """It was in the queue already; it is not sent twice."""
    LATER = "later"
    """It is not ready; it lies where it was."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A file that has been read: what it is, of which specimen, and what is wrong with it."""

    body: bytes
    sha256: str
    accession: str
    captured_at: datetime
    code: str = ""
    detail: str = ""
    warnings: str = ""


class Taker:
    """Takes files into a queue, one at a time. One for a queue, so that nothing is taken twice."""

    def __init__(
        self,
        queue: Queue,
        *,
        labels: Labels | None = None,
        limits: Callable[[], Limits] = Limits,
        strict: bool = False,
        done: Path | None = None,
        hope: float = HOPE,
    ) -> None:
        """
        Args:
            limits: what is good enough at this moment.
            strict: set pictures aside that are not good enough; else they are sent with a warning.
            done: folder for files that have been taken; None: they are deleted.
            hope: seconds for which a file may still become whole, or its note arrive.
        """
        self._queue = queue
        self._labels = labels or Labels()
        self._limits = limits
        self._strict = strict
        self._done = done
        self._hope = hope

    def take(self, path: Path, *, quiet_for: float) -> Taken:
        """Take a file that has not changed for `quiet_for` seconds.

        Raises:
            QueueFull: there is no room; the file lies where it was.
            OSError, sqlite3.Error: try again later; the file lies where it was, or is known.
        """
        before = _signatures(path)
        self._queue.ensure_room(path.stat().st_size)
        body = path.read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        earlier = self._queue.seen(digest)
        if left := next((e for e in earlier if _unfinished(e, path)), None):
            self._put_away(left, path)
            return Taken.KNOWN
        judged = self._judge(path, body, digest)
        if judged.code in {"truncated", "accession_missing"} and quiet_for < self._hope:
            return Taken.LATER
        if _signatures(path) != before:
            # Picture and note must be of one moment, or one would speak for another.
            return Taken.LATER
        taken, item = self._enter(judged, path, earlier)
        self._put_away(item, path)
        return taken

    def tidy(self, folder: Path) -> None:
        """Finish what a crash left between the queue and the folder. Once, at the start."""
        for item in self._queue.leftovers():
            path = Path(item.source)
            if path.is_file() and _digest_of(path) == item.sha256:
                self._put_away(item, path)
            else:
                self._queue.source_removed(item)
        for path in folder.rglob(f"{BETWEEN}/*"):
            name = path.name.partition("-")[2]
            # A note without its picture must never meet the next picture of that name.
            if path.suffix.lower() not in SUFFIXES or self._queue.seen(_digest_of(path)):
                self._lay_down(path, name)
            else:
                _give_back(path, path.parent.parent / name)

    def _judge(self, path: Path, body: bytes, digest: str) -> Judged:
        saved = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
        look: Look | None = None
        code = detail = accession = ""
        try:
            look = look_at(body)
        except Unusable as error:
            code, detail = error.code, error.detail
        note = Note()
        try:
            note = note_beside(path, apart=self._hope)
            accession = self._labels.accession_of(path, note, look.grey if look else None)
        except Unclear as error:
            # What is wrong with the picture itself comes first: it must be taken again anyway.
            if not code:
                code, detail = error.code, error.detail
        faults = look.faults(self._limits()) if look else []
        if faults and self._strict and not code:
            code, detail = faults[0], RETAKE[faults[0]]
        return Judged(
            body=body,
            sha256=digest,
            accession=accession,
            captured_at=note.captured_at or saved,
            code=code,
            detail=detail,
            warnings=", ".join(faults),
        )

    def _enter(self, judged: Judged, path: Path, earlier: list[Item]) -> tuple[Taken, Item]:
        """Into the queue, unless these very bytes are there already."""
        live = [item for item in earlier if item.state in {State.WAITING, State.SENT}]
        dead = [item for item in earlier if item.state is State.REFUSED]
        code, detail = judged.code, judged.detail
        if not code and live:
            if same := next((item for item in live if item.accession == judged.accession), None):
                log.info("%s is known already: %s", path.name, same.id)
                return Taken.KNOWN, same
            code = "taken_before"
            detail = (
                f"The same picture was taken before for {live[0].accession}, and now for "
                f"{judged.accession}. Look at the slide's label; discard this one if the first "
                "was right."
            )
        elif not code and dead:
            # Somebody has mended what was wrong and put the file here again.
            self._queue.retry(dead[-1], accession=judged.accession)
            return Taken.WAITING, dead[-1]
        same_trouble = (item for item in dead if (item.code, item.detail) == (code, detail))
        if code and (known := next(same_trouble, None)):
            return Taken.KNOWN, known
        item = self._queue.put(
            judged.body,
            accession=judged.accession,
            captured_at=judged.captured_at,
            source=str(path.absolute()),
            code=code,
            detail=detail,
            warnings=judged.warnings,
        )
        if code:
            log.warning("%s is set aside: %s (%s)", path.name, detail, code)
        else:
            log.info("%s of %s is stored: %s", path.name, item.accession, item.id)
        return (Taken.REFUSED if code else Taken.WAITING), item

    def _put_away(self, item: Item, path: Path) -> None:
        """Remove the file, which the queue has, and the notes that belong to it."""
        # The notes first: one that was left behind would speak for the next picture of that name.
        for note in notes_of(path):
            self._remove(note, digest=_digest_of(note))
        self._remove(path, digest=item.sha256)
        self._queue.source_removed(item)

    def _remove(self, path: Path, *, digest: str) -> None:
        between = path.parent / BETWEEN
        between.mkdir(exist_ok=True)
        held = between / f"{uuid.uuid4().hex}-{path.name}"
        try:
            path.rename(held)
        except FileNotFoundError:
            return
        if _digest_of(held) == digest:
            self._lay_down(held, path.name)
        else:
            # Saved anew while it was being taken: it is the next picture.
            _give_back(held, path)

    def _lay_down(self, held: Path, name: str) -> None:
        if self._done is None:
            held.unlink(missing_ok=True)
            return
        durable.make_folder(self._done)
        target = self._done / name
        if target.exists():
            target = self._done / held.name
        shutil.move(held, target)


def _signatures(path: Path) -> list[tuple[int, int, int, str]]:
    """What changes when the picture or a note beside it is written anew."""
    found = [(file.name, file.stat()) for file in (path, *notes_of(path))]
    return [(stat.st_ino, stat.st_size, stat.st_mtime_ns, name) for name, stat in found]


def _unfinished(item: Item, path: Path) -> bool:
    """Whether `item` was taken from `path` and a crash came before the file was put away."""
    return not item.source_gone and item.source == str(path.absolute())


def _give_back(held: Path, path: Path) -> None:
    """To its old name; to another one if that is taken by now. Nothing is overwritten."""
    for name in (path.name, f"{path.stem} {uuid.uuid4().hex[:8]}{path.suffix}"):
        target = path.with_name(name)
        with suppress(FileExistsError):
            try:
                target.hardlink_to(held)
            except (FileExistsError, FileNotFoundError):
                raise
            except OSError:
                # A disk without links, as cameras have: then as well as it goes.
                if target.exists():
                    continue
                held.rename(target)
                return
            held.unlink()
            return


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
