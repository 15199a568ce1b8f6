"""A brake on guessing: after so many wrong tries an address has to wait."""

import threading
import time
from collections import deque

from hospital.base.problems import Refusal
from hospital.base.proxies import household


class TooManyTries(Refusal):
    """One address has tried too often."""

    status = 429
    code = "too_many_tries"


class Brake:
    """Counts wrong tries by address, in this process's memory.

    Several web processes each count for themselves, and a restart forgets: good enough to make
    guessing hopeless, and it needs no table. Behind a proxy that is not in TRUSTED_PROXIES
    everybody has the proxy's address and shares one count.

    Args:
        most: wrong tries within `seconds` before the address has to wait.
        seconds: how long a wrong try is held against an address.
    """

    def __init__(self, *, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._tries: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def ensure(self, address: str) -> None:
        """Let an address through that may try.

        Raises:
            TooManyTries: it has to wait; `retry_after` says how long.
        """
        with self._lock:
            self._forget()
            tries = self._tries.get(household(address), ())
            if len(tries) < self._most:
                return
            wait = int(tries[-self._most] + self._seconds - time.monotonic()) + 1
        raise TooManyTries(
            "Too many wrong codes came from this address. Wait, then try again with a new code.",
            retry_after=wait,
        )

    def note(self, address: str) -> None:
        """A wrong try came from `address`."""
        with self._lock:
            self._tries.setdefault(household(address), deque()).append(time.monotonic())

    def release(self) -> None:
        """Forget every try."""
        with self._lock:
            self._tries.clear()

    def _forget(self) -> None:
        """Drop what is too old to count."""
        horizon = time.monotonic() - self._seconds
        for address, tries in list(self._tries.items()):
            while tries and tries[0] < horizon:
                tries.popleft()
            if not tries:
                del self._tries[address]
