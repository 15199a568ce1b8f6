"""Telling the broker that there is work, without making whoever queued it wait.

A message says 'look' and wakes a worker, which then drains everything: a burst of uploads needs
few of them. So one thread a process rings, at once for the first and then at most twenty times a
second while more comes in. What is asked for during a rest is rung after it, never dropped; what
dies with the process is found by the sweep.

While all workers are busy one message waits for them, not one for each ring: whoever takes it
looks after it was asked for, so it sees all that was committed before, and a worker that finds
more than it takes rings for the next.
"""

import logging
import time
from threading import Event, Lock, Thread
from typing import Any

from celery import current_app
from django.conf import settings

log = logging.getLogger(__name__)

REST_SECONDS = 0.05
LOOK = "diagnostics.tasks.analyse"  # by name: the web has no business importing the pipeline

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
    """Wake a worker before returning, unless a message waits that will; False when the broker was
    not reached."""
    try:
        with current_app.producer_or_acquire() as producer:
            if not _waiting(producer.channel):
                current_app.send_task(LOOK, producer=producer)
    except Exception as error:
        log.warning("broker not reached (%s); the sweep will ring again", error)
        return False
    return True


def _waiting(channel: Any) -> int:
    """How many messages no worker has taken yet."""
    # Of all ways to ask, this is the one that brokers have in common: to declare it once more.
    queue = current_app.amqp.queues[settings.CELERY_TASK_ROUTES[LOOK]["queue"]]
    return int(channel.queue_declare(queue.name, durable=queue.durable).message_count)


def _ring_when_asked() -> None:
    while _asked.wait():
        _asked.clear()
        ring_now()
        time.sleep(REST_SECONDS)
