"""A worker whose loop stands still ends itself, so that whoever started it starts it anew.

Celery's library for the broker may wait for a word that never comes. In a drill of ten thousand
pictures, after a restart of the broker, the housekeeping worker read its subscription without a
limit of time: it lived, called itself ready, and took nothing back any more (kombu 5.7 with
redis-py 8.1; the like is told in celery issues 2606 and 9054). No other process can mend that.
"""

import faulthandler
import logging
import os
from collections.abc import Callable
from threading import Thread
from time import sleep
from typing import Any

from celery import bootsteps
from celery.signals import task_postrun, task_prerun

from hospital.config.stack.child import EX_TEMPFAIL

log = logging.getLogger(__name__)

LOOKS = 12


class Loop:
    """Whether the loop turns: it stands still when so many looks in a row found it as it was.

    Looks and not seconds: a machine that was frozen as a whole gets as long as any other.

    Attributes:
        watched: whether it should turn; not while there is no broker to speak to.
        busy: whether a task has it, which may take its time; a lease watches over that.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self.watched = self.busy = False
        self._leave = leave
        self._missed = 0

    def turned(self) -> None:
        """It has just been round."""
        self._missed = 0

    def look(self) -> None:
        """Look whether it was, since the last look; leave if it stands still."""
        self._missed = self._missed + 1 if self.watched and not self.busy else 0
        if self._missed > LOOKS:
            self._leave()


def leave() -> None:
    """End this process at once, and say where it stood."""
    log.critical("the worker's loop stands still; it ends, to be started anew")
    faulthandler.dump_traceback()
    os._exit(EX_TEMPFAIL)


loop = Loop(leave)


class Standstill(bootsteps.StartStopStep):
    """Watches the loop from a thread, as soon as there is a broker and tasks may come.

    Args:
        consumer: of the worker, whose timer belongs to the loop.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)
    patience = 60.0
    _thread: Thread | None = None

    def start(self, consumer: Any) -> None:
        """The consumer has just spoken to the broker, for the first time or again."""
        between = self.patience / LOOKS
        consumer.timer.call_repeatedly(between / 2, loop.turned)
        loop.watched = True
        if self._thread is None:
            self._thread = Thread(target=_watch, args=(between,), name="standstill", daemon=True)
            self._thread.start()

    def stop(self, consumer: Any) -> None:
        """The broker is away, or the worker ends."""
        loop.watched = False

    shutdown = stop


def _watch(between: float) -> None:
    while True:
        sleep(between)
        loop.look()


@task_prerun.connect
def _begins(**_: Any) -> None:
    loop.busy = True


@task_postrun.connect
def _ends(**_: Any) -> None:
    loop.turned()
    loop.busy = False
