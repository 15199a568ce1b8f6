"""Telling the broker that there is work, without making whoever queued it wait.

A message says 'look' and wakes a worker, which then drains everything: a burst of uploads needs
few of them. So one thread a process rings, at once for the first and then at most twenty times a
second while more comes in. What is asked for during a rest is rung after it, never dropped; what
dies with the process is found by the sweep.
"""

import logging
import time
from threading import Event, Lock, Thread

from celery import current_app

log = logging.getLogger(__name__)

REST_SECONDS = 0.05

_asked = Event()
_starting = Lock()
_ringer: Thread | None = None


def ring() -> None:
    """Have a worker woken soon. Returns at once, also when the broker is away."""
    global _ringer  # noqa: PLW0603 - one thread a process; a forked process starts its own
    _asked.set()
    if _ringer is None or not _ringer.is_alive():
        with _starting:
            if _ringer is None or not _ringer.is_alive():
                _ringer = Thread(target=_ring_when_asked, name="bell", daemon=True)
                _ringer.start()


def ring_now() -> bool:
    """Wake a worker before returning; False when the broker was not reached."""
    try:
        # By name: the web process has no business importing the pipeline.
        current_app.send_task("diagnostics.tasks.analyse")
    except Exception as error:
        log.warning("broker not reached (%s); the sweep will ring again", error)
        return False
    return True


def _ring_when_asked() -> None:
    while _asked.wait():
        _asked.clear()
        ring_now()
        time.sleep(REST_SECONDS)
