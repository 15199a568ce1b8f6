"""The heartbeat: tells the hospital how this microscope is, and hears what it shall do."""

import logging
import re
import sqlite3
import time
from dataclasses import replace
from threading import Event
from typing import Any

from . import measures
from .client import Microscope, Refused, Told, Unreachable
from .fate import Fate, fate_of
from .home import Home
from .picture import Limits
from .queue import Queue, State
from .sender import Sender

log = logging.getLogger(__name__)

SHORTEST, LONGEST = 5.0, 3600.0
# While the hospital does not answer, or does not let us in, we ask at least so often.
PROBE = 60.0
ERROR_LENGTH = 200


class Pulse:
    """The heartbeats of one microscope, and its keys, which are renewed with them."""

    def __init__(
        self, home: Home, queue: Queue, sender: Sender, microscope: Microscope, *, firmware: str
    ) -> None:
        """
        Args:
            firmware: what the microscope's version is called, at most 40 characters.
        """
        self._home = home
        self._queue = queue
        self._sender = sender
        self._microscope = microscope
        self._firmware = firmware
        self._wanted_firmware = ""
        known = home.credentials()
        self._interval = known.interval_seconds
        self._using = known.next_key or known.key
        microscope.use_key(self._using)

    def run(self, stop: Event) -> None:
        """Beat until `stop` is set."""
        while not stop.is_set():
            well = False
            try:
                well = self.beat()
            except (OSError, sqlite3.Error) as error:
                log.error("heartbeat: %s", error)
            self._rest(stop, self._interval if well else min(self._interval, PROBE))

    def _rest(self, stop: Event, seconds: float) -> None:
        """Wait, but not when the sender has just been stopped: perhaps its key was the old one."""
        worked = not self._sender.line.stopped
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not stop.wait(min(left, 1.0)):
            if worked and self._sender.line.stopped:
                return

    def beat(self) -> bool:
        """One heartbeat; returns whether the hospital has taken it.

        When it does, a sender that was stopped goes on.
        """
        self._look_for_new_key()
        try:
            told = self._beat_with_either_key()
        except Unreachable as error:
            self._queue.note(heartbeat_trouble=str(error))
            return False
        except Refused as refusal:
            self._queue.note(heartbeat_trouble=str(refusal))
            if fate_of(refusal) is Fate.STOPPED:
                if not self._sender.line.stopped:
                    log.error("stopped: %s", refusal)
                self._sender.line.stop(str(refusal))
                self._queue.note(stopped=str(refusal))
            return False
        self._hear(told)
        return True

    def _report(self) -> dict[str, Any]:
        counts, notes = self._queue.counts(), self._queue.notes()
        return {
            "firmware": self._firmware,
            "queue_length": counts.waiting,
            "oldest_unsent_seconds": int(counts.oldest_waiting),
            "refused": counts.refused,
            "last_error": self._last_error(notes)[:ERROR_LENGTH],
            "revision": notes.get("revision", 0),
            **measures.of_machine(self._home.folder),
        }

    def _last_error(self, notes: dict[str, Any]) -> str:
        for name in ("full", "folder_trouble"):
            if notes.get(name):
                return str(notes[name])
        oldest = self._queue.in_state(State.WAITING, most=1)
        return oldest[0].detail if oldest else ""

    def _beat_with_either_key(self) -> Told:
        """A heartbeat with the key in use; a new one that is not taken gives way to the old."""
        report = self._report()
        try:
            told = self._microscope.beat(report)
        except Refused as refusal:
            known = self._home.credentials()
            if refusal.status != 401 or self._using != known.next_key:
                raise
            log.warning("the new key is not taken: %s", refusal)
            self._use(known.key)
            told = self._microscope.beat(report)
        self._home.key_works(self._using)
        return told

    def _hear(self, told: Told) -> None:
        self._interval = min(max(told.interval_seconds, SHORTEST), LONGEST)
        heard: dict[str, Any] = {
            "heartbeat_at": time.time(),
            "heartbeat_trouble": "",
            "clock_offset": round(told.clock_offset, 3),
            "minimum_firmware": told.minimum_firmware,
        }
        if told.configuration is not None and told.revision is not None:
            # In one transaction: a revision is not said to be here before its content is.
            heard |= {"configuration": told.configuration, "revision": told.revision}
        self._queue.note(**heard)
        if told.minimum_firmware != self._wanted_firmware:
            self._wanted_firmware = told.minimum_firmware
            if is_older(self._firmware, told.minimum_firmware):
                log.warning(
                    "the hospital wants firmware %s or newer; this is %s",
                    told.minimum_firmware,
                    self._firmware,
                )
        self._sender.line.heard()
        if self._sender.line.stopped:
            log.warning("the hospital lets this microscope in again")
            self._sender.resume()
        if told.renew_key:
            self._renew()

    def _renew(self) -> None:
        """Fetch the next key. It is on the disk before it is used, and the old one stays beside
        it until the new one has worked."""
        try:
            key = self._microscope.renew_key()
            self._home.save(replace(self._home.credentials(), next_key=key))
            self._use(key)
            self._beat_with_either_key()
            log.info("the hospital has given this microscope its next key")
        except (Refused, Unreachable) as error:
            log.warning("the key could not be renewed; the next heartbeat tries again: %s", error)

    def _look_for_new_key(self) -> None:
        """Somebody may have enrolled this microscope anew while we were running."""
        known = self._home.credentials()
        if self._using not in (known.key, known.next_key):
            log.warning("there is a new key")
            self._use(known.next_key or known.key)

    def _use(self, key: str) -> None:
        self._using = key
        self._microscope.use_key(key)


def is_older(version: str, minimum: str) -> bool:
    """Whether `version` is surely older than `minimum`: both numbers with dots, else False."""
    one, other = (re.fullmatch(r"v?(\d+(?:\.\d+)*)", text.strip()) for text in (version, minimum))
    if one is None or other is None:
        return False
    return [*map(int, one[1].split("."))] < [*map(int, other[1].split("."))]


def limits_told(queue: Queue) -> Limits:
    """What the hospital has last said is good enough."""
    return Limits.told(queue.notes().get("configuration", {}))


def keep_days_told(queue: Queue) -> float:
    """For how many days delivered pictures stay on this machine; 0: not at all."""
    days = queue.notes().get("configuration", {}).get("keep_days", 0)
    return float(days) if isinstance(days, int | float) else 0.0
