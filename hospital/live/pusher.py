"""Pushing events to open sockets, without making whoever caused them wait.

One thread a process, with one event loop and so with one lasting connection to the broker, sends
what committed transactions had to say, in their order. What comes while a push is under way goes
with the next. What is lost on the way, sockets find in the event log. So nothing waits long: a
broker that says nothing is one that is away.
"""

import asyncio
import atexit
import contextlib
import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from hospital.live.models import Event

log = logging.getLogger(__name__)

# How long a process that ends waits for what it still has to say.
FLUSH_SECONDS = 3.0
# After so long without a word the broker counts as away, here and for the sockets (`consumers`).
BROKER_SECONDS = 2.0
# Transactions that wait to be told of; the oldest are left to the log.
MOST_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class Recheck:
    """Word to the sockets of a group that their rights may have changed."""

    group: str


_waiting: SimpleQueue[Sequence[Event | Recheck] | threading.Event] = SimpleQueue()
_starting = threading.Lock()
_pusher: threading.Thread | None = None


def push(events: Sequence[Event | Recheck]) -> None:
    """Have stored `events` pushed soon. Returns at once, also when the broker is away."""
    global _pusher  # noqa: PLW0603 - one thread a process; a forked process starts its own
    _waiting.put(events)
    if _waiting.qsize() > MOST_WAITING:
        with contextlib.suppress(Empty):
            _waiting.get_nowait()
    if _pusher is None or not _pusher.is_alive():
        with _starting:
            if _pusher is None or not _pusher.is_alive():
                _pusher = threading.Thread(target=_push_what_comes, name="pusher", daemon=True)
                _pusher.start()


@atexit.register
def flush() -> None:
    """Wait until all that was to be pushed so far has been; for a process that is about to end."""
    if _pusher is None or not _pusher.is_alive():
        return
    pushed = threading.Event()
    _waiting.put(pushed)  # set when its turn comes
    pushed.wait(FLUSH_SECONDS)


def _push_what_comes() -> None:
    with asyncio.Runner() as runner:
        while True:
            events, waiters = _all_that_waits()
            if events:
                try:
                    runner.run(_send(events))
                except (OSError, RedisError) as error:
                    away = str(error) or "no answer"
                    log.warning("broker not reached (%s); sockets find events in the log", away)
                except Exception:
                    log.exception("events not pushed; sockets find them in the log")
            for waiter in waiters:
                waiter.set()


def _all_that_waits() -> tuple[list[Event | Recheck], list[threading.Event]]:
    """Events and who waits for them to be pushed; at least one of either."""
    items = [_waiting.get()]
    try:
        while True:
            items.append(_waiting.get_nowait())
    except Empty:
        pass
    batches = [item for item in items if isinstance(item, Sequence)]
    waiters = [item for item in items if not isinstance(item, Sequence)]
    return [event for batch in batches for event in batch], waiters


async def _send(events: Sequence[Event | Recheck]) -> None:
    """One message for each topic, and one for each group that has to ask anew."""
    by_topic: dict[str, list[dict[str, object]]] = defaultdict(list)
    groups: set[str] = set()
    for event in events:
        if isinstance(event, Recheck):
            groups.add(event.group)
        else:
            by_topic[event.topic].append(event.wire())
    layer: Any = get_channel_layer()
    async with asyncio.timeout(BROKER_SECONDS):
        await asyncio.gather(
            *(
                layer.group_send(topic, {"type": "events.happened", "topic": topic, "events": said})
                for topic, said in by_topic.items()
            ),
            *(layer.group_send(group, {"type": "rights.changed"}) for group in groups),
        )
