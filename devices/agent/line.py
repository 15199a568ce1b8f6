"""How the line to the hospital is: whether it may be used now, and what is the matter if not."""

import time
from collections.abc import Callable
from threading import Lock

from .client import Patience

# After so many failures in a row it was the line, and not the pictures that were tried.
OUTAGE = 3
# However long a server asks to be left alone, look again after an hour.
LONGEST_WISH = 3600.0


class Line:
    """The standing of the line, shared by the threads that send.

    A failure is noted for everyone: while nobody answers, one picture at a time asks again, after
    pauses that grow with full jitter; so a day without WiFi costs a few hundred requests.
    """

    def __init__(self, patience: Patience, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._failed_at = -1.0
        self._closed_until = 0.0
        self._asked_until = 0.0
        self.stopped = ""
        """Why the hospital does not let this microscope in; '' when it does."""

    def now(self) -> float:
        """The clock by which attempts begin, for `failed`."""
        return self._clock()

    @property
    def troubled(self) -> bool:
        """Whether the last attempt failed: then one picture at a time is enough."""
        return self._failures > 0

    @property
    def closed_for(self) -> float:
        """Seconds until the line may be used; 0: now. Never while it is stopped."""
        if self.stopped:
            return float("inf")
        return max(0.0, max(self._closed_until, self._asked_until) - self._clock())

    def failed(self, *, began: float, wish: float = 0.0) -> None:
        """An attempt got no answer that decides anything.

        Args:
            began: when; of several that were under way together only the first failure counts.
            wish: seconds that the hospital asked to be left alone.
        """
        with self._lock:
            now = self._clock()
            if began > self._failed_at:
                self._failures, self._failed_at = self._failures + 1, now
                pause = self._patience.pause(self._failures - 1, 0.0)
                self._closed_until = max(self._closed_until, now + pause)
            if wish > 0:
                # Spread out as well, or all would come back in the same moment.
                pause = self._patience.pause(self._failures - 1, min(wish, LONGEST_WISH))
                self._asked_until = max(self._asked_until, now + pause)

    def heard(self) -> None:
        """The hospital has answered to something else: ask again, unless it wished otherwise.

        Else one picture on which the hospital fails again and again would keep a new one waiting
        for as long as it waits itself.
        """
        with self._lock:
            self._closed_until = 0.0

    def worked(self) -> bool:
        """The hospital has answered; returns whether an outage has ended with that."""
        with self._lock:
            ended = self._failures >= OUTAGE
            self._failures, self._closed_until, self._asked_until = 0, 0.0, 0.0
            return ended

    def stop(self, reason: str) -> None:
        """The hospital does not let this microscope in."""
        self.stopped = reason

    def reopen(self) -> None:
        """It does again, or somebody wants it to be tried."""
        self.stopped = ""
        with self._lock:
            self._failures, self._closed_until, self._asked_until = 0, 0.0, 0.0
