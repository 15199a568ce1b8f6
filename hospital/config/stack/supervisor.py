"""Keeps the processes of the stack alive until it is told to stop."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from types import FrameType

from hospital.config.stack.child import Child, Standing
from hospital.config.stack.record import shown

# How often readiness is asked for while something starts; deaths and signals wake at once.
GLANCE = 0.25
REST = 5.0

SENTENCES = {
    "analyses": "analyses worker ready, model loaded",
    "housekeeping": "housekeeping worker ready",
    "beat": "clock ready",
}


class Supervisor:
    """Starts the children in order, restarts what dies, stops them in order.

    Args:
        say: where the calm lines go, one per change.
        changed: called after every change, to renew the note.
    """

    def __init__(
        self,
        children: list[Child],
        *,
        say: Callable[[str], None],
        changed: Callable[["Supervisor"], None],
    ) -> None:
        self.children = children
        self.say = say
        self.changed = changed
        self.stopping = False
        self.laments: dict[str, str] = {}

    @property
    def ready(self) -> bool:
        """Whether every process does its work."""
        return all(child.standing is Standing.READY for child in self.children)

    def run(self) -> None:
        """Run until SIGINT or SIGTERM; leaves nothing running, whatever happens."""
        with _wakeable(self._stop) as wakes:
            try:
                while not self.stopping:
                    self._look()
                    wakes(self._pause())
            finally:
                self._stop_all()

    def _stop(self) -> None:
        self.stopping = True

    def _look(self) -> None:
        """One round: deaths, starts that are due, readiness."""
        before = [(child.pid, child.standing) for child in self.children]
        for child in self.children:
            if child.notice_death():
                self._mourn(child)
            if child.may_start:
                child.start()
            if child.notice_readiness():
                sentence = SENTENCES.get(child.name, f"{child.name} ready")
                self.say(f"{sentence} ({child.running_for:.0f} s)")
        if before != [(child.pid, child.standing) for child in self.children]:
            self.changed(self)

    def _mourn(self, child: Child) -> None:
        how = child.last_exit or 0
        ended = f"killed by {signal.Signals(-how).name}" if how < 0 else f"ended with code {how}"
        pause = max(0.0, child.due - time.monotonic())
        why = f": {words}" if how > 0 and (words := child.last_words()) else ""
        lament = f"{child.name} {ended}{why}"
        # What goes on failing for the same reason is said once.
        if how < 0 or self.laments.get(child.name) != lament:
            self.say(f"{lament}; starting it again in {pause:.1f} s (see {shown(child.log)})")
        self.laments[child.name] = lament

    def _pause(self) -> float:
        if any(child.standing is Standing.STARTING for child in self.children):
            return GLANCE
        now = time.monotonic()
        waiting = [c.due - now for c in self.children if c.standing is Standing.WAITING]
        return max(0.0, min([REST, *waiting]))

    def _stop_all(self) -> None:
        """Stop in order, each with the time it needs to finish what it has in hand."""
        self.say("stopping; work in hand is finished first")
        in_order = sorted(self.children, key=lambda child: child.stop_order)
        for _, together in groupby(in_order, key=lambda child: child.stop_order):
            group = list(together)
            for child in group:
                child.ask_to_stop()
            asked = time.monotonic()
            for child in group:
                child.await_end(asked + child.patience)
        self.say("stopped")


@contextmanager
def _wakeable(stop: Callable[[], None]) -> Iterator[Callable[[float], None]]:
    """A wait that signals end at once: a child's death, Ctrl-C, or a request to stop."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    os.set_blocking(read_end, False)

    def stopped(number: int, frame: FrameType | None) -> None:
        stop()

    def noticed(number: int, frame: FrameType | None) -> None:
        """Nothing to do: that the signal came is enough."""

    handlers = {signal.SIGINT: stopped, signal.SIGTERM: stopped, signal.SIGCHLD: noticed}
    earlier = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    earlier_wakeup = signal.set_wakeup_fd(write_end)

    def wait(seconds: float) -> None:
        if select.select([read_end], [], [], seconds)[0]:
            os.read(read_end, 4096)

    try:
        yield wait
    finally:
        signal.set_wakeup_fd(earlier_wakeup)
        for number, handler in earlier.items():
            signal.signal(number, handler)
        os.close(read_end)
        os.close(write_end)
