"""Publishing events: the row in the transaction, the push after the commit."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

from hospital.live.models import Event

log = logging.getLogger(__name__)

_gathered: ContextVar[list[Event] | None] = ContextVar("gathered", default=None)


def publish(kind: str, subject: UUID, *, version: int, topics: Iterable[str]) -> None:
    """Record one event per topic and push each once the transaction has committed.

    The push is a courtesy: sockets also look in the event log every few seconds
    (`consumers.EventConsumer`), so a lost push delays a screen and never starves it.
    """
    events = [Event(topic=topic, kind=kind, subject=subject, version=version) for topic in topics]
    gathered = _gathered.get()
    if gathered is None:
        publish_all(events)
    else:
        gathered.extend(events)


def publish_all(events: Sequence[Event]) -> None:
    """Record unsaved `events` in one statement, and push them in one go after the commit."""
    if rows := Event.objects.bulk_create(events):
        transaction.on_commit(partial(_push, rows), robust=True)


@contextmanager
def published_together() -> Iterator[None]:
    """Whatever is published inside, by whomever, is recorded and pushed at the end, together.

    Belongs inside one transaction. When the block raises, nothing is published.
    """
    events: list[Event] = []
    token = _gathered.set(events)
    try:
        yield
    finally:
        _gathered.reset(token)
    publish_all(events)


def _push(events: Sequence[Event]) -> None:
    """One message for each topic: opening the broker's connection costs more than sending."""
    by_topic: dict[str, list[dict[str, object]]] = defaultdict(list)
    for event in events:
        by_topic[event.topic].append(event.message())
    try:
        async_to_sync(_send)(by_topic)
    except Exception:
        log.warning("events not pushed; sockets will find them in the log", exc_info=True)


async def _send(by_topic: dict[str, list[dict[str, object]]]) -> None:
    layer: Any = get_channel_layer()
    await asyncio.gather(
        *(
            layer.group_send(topic, {"type": "events.happened", "events": events})
            for topic, events in by_topic.items()
        )
    )
