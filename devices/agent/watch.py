"""Watching a folder: every picture in it is taken as soon as it has stopped growing."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

from .queue import Queue, QueueFull
from .taking import SUFFIXES, Taken, Taker

log = logging.getLogger(__name__)

SETTLE = 2.0
EVERY = 1.0
# Size, time of change, and which file it is: one of these changes while it is being written.
Signature = tuple[int, int, int]


class Watch:
    """One folder and those below it, but for hidden ones."""

    def __init__(
        self,
        folder: Path,
        taker: Taker,
        queue: Queue,
        *,
        settle: float = SETTLE,
        every: float = EVERY,
        leave_out: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            settle: seconds for which a file must not have changed.
            every: seconds between two looks.
            leave_out: a folder below that is not looked at.
        """
        self._folder = folder
        self._taker = taker
        self._queue = queue
        self._settle = settle
        self._every = every
        self._leave_out = leave_out
        self._clock = clock
        self._seen: dict[Path, tuple[Signature, float]] = {}
        self._trouble = ""
        self._full = ""

    def run(self, stop: Event) -> None:
        """Look again and again until `stop` is set."""
        while not stop.is_set():
            self.look(stop)
            stop.wait(self._every)

    def look(self, stop: Event | None = None) -> int:
        """One look at the folder; returns how many files were taken, dead letters included."""
        taken, trouble, full = 0, "", ""
        try:
            # A share that has gone looks like an empty folder otherwise.
            self._folder.stat()
            ready = list(self._ready())
        except OSError as error:
            ready, trouble = [], f"The folder cannot be read: {error}"
        for path, quiet_for in ready:
            if stop is not None and stop.is_set():
                break
            try:
                outcome = self._taker.take(path, quiet_for=quiet_for)
                taken += outcome in {Taken.WAITING, Taken.REFUSED}
            except QueueFull as error:
                full = str(error)
                break  # a smaller one must not overtake it
            except FileNotFoundError:
                continue  # somebody has taken it away
            except (OSError, sqlite3.Error) as error:
                trouble = f"{path.name} could not be taken: {error}"
        self._say(trouble, full)
        return taken

    def _ready(self) -> Iterator[tuple[Path, float]]:
        """Files that have been quiet for long enough, oldest first, and for how long."""
        now = self._clock()
        before, self._seen = self._seen, {}
        ages = {}
        for path in self._pictures():
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            signature = (found.st_size, found.st_mtime_ns, found.st_ino)
            known, since = before.get(path, (None, now))
            since = since if known == signature else now
            self._seen[path] = (signature, since)
            ages[path] = found.st_mtime_ns
        # In the order in which they were saved: that is a specimen's order.
        for path in sorted(ages, key=lambda path: (ages[path], path.name)):
            quiet_for = now - self._seen[path][1]
            if quiet_for >= self._settle:
                yield path, quiet_for

    def _pictures(self) -> Iterator[Path]:
        for path in self._folder.rglob("*"):
            below = path.relative_to(self._folder)
            hidden = any(part.startswith(".") for part in below.parts)
            left_out = self._leave_out is not None and path.is_relative_to(self._leave_out)
            if path.suffix.lower() in SUFFIXES and not hidden and not left_out and path.is_file():
                yield path

    def _say(self, trouble: str, full: str) -> None:
        """For the status and the heartbeat; said once, not with every look."""
        if (trouble, full) == (self._trouble, self._full):
            return
        for said in (trouble, full):
            if said:
                log.error("%s", said)
        try:
            self._queue.note(folder_trouble=trouble, full=full)
        except sqlite3.Error as error:
            log.error("%s", error)
            return
        self._trouble, self._full = trouble, full
