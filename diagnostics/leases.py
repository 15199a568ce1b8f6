"""Keeping the leases of work in hand alive: a slow machine is not a dead one."""

import logging
from collections.abc import Iterable
from threading import Event, Lock, Thread
from types import TracebackType
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection

from diagnostics.models import Analysis
from diagnostics.services import analyses

log = logging.getLogger(__name__)

# Only for so long: a worker that hangs must lose its work in the end.
MOST_RENEWALS = 30


class Keeper:
    """Renews, from a thread of its own, the leases of whatever it was told to hold."""

    def __init__(self) -> None:
        self._in_hand: dict[UUID, tuple[Analysis, int]] = {}
        self._lock = Lock()
        self._done = Event()
        self._thread: Thread | None = None

    @property
    def holds(self) -> bool:
        """Whether there is anything in hand."""
        return bool(self._in_hand)

    def hold(self, runs: Iterable[Analysis]) -> None:
        """Keep these from now on."""
        with self._lock:
            self._in_hand.update({run.pk: (run, MOST_RENEWALS) for run in runs})
        if self._in_hand and self._thread is None:
            self._thread = Thread(target=self._keep, name="leases", daemon=True)
            self._thread.start()

    def release(self, runs: Iterable[Analysis]) -> None:
        """These are finished or given back."""
        with self._lock:
            for run in runs:
                self._in_hand.pop(run.pk, None)

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        try:
            while not self._done.wait(settings.ANALYSIS_LEASE_SECONDS / 3):
                self._renew()
        finally:
            connection.close()

    def _renew(self) -> None:
        with self._lock:
            due = [run for run, left in self._in_hand.values() if left]
            self._in_hand = {
                pk: (run, left - (left > 0)) for pk, (run, left) in self._in_hand.items()
            }
        try:
            if due:
                analyses.renew(due)
        except DatabaseError:
            log.warning("leases could not be renewed", exc_info=True)
            connection.close()
