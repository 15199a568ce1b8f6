"""Publishing events: the row in the transaction, the push, in the background, after the commit."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from uuid import UUID

from django.db import transaction

from hospital.base.logs import followed
from hospital.live import pusher
from hospital.live.models import Event

# Somebody may no longer listen: every socket of the topic looks whether it still may.
ACCESS_CHANGED = "access.changed"

_gathered: ContextVar[list[Event] | None] = ContextVar("gathered", default=None)


def publish(kind: str, subject: UUID, *, version: int, topics: Iterable[str]) -> None:
    """Record one event per topic and push each once the transaction has committed.

    The push is a courtesy: sockets also look in the event log every few seconds
    (`consumers.EventConsumer`), so a lost push delays a screen and never starves it.
    """
    events = [
        Event(topic=topic, kind=kind, subject=subject, version=version, trace=followed())
        for topic in topics
    ]
    gathered = _gathered.get()
    if gathered is None:
        publish_all(events)
    else:
        gathered.extend(events)


def publish_all(events: Sequence[Event]) -> None:
    """Record unsaved `events` in one statement, and push them in one go after the commit."""
    if rows := Event.objects.bulk_create(events):
        transaction.on_commit(partial(pusher.push, rows), robust=True)


def user_group(user_id: object) -> str:
    """The group of every open socket of one person."""
    return f"user.{user_id}"


def recheck(user_id: object) -> None:
    """Once the transaction has committed, every socket of the person asks anew what it may hear.

    One that may hear nothing any more, or whose session is over, closes at once. The push may be
    lost; each asks by itself every `LIVE_TICK_SECONDS` as well.
    """
    transaction.on_commit(partial(pusher.push, [pusher.Recheck(user_group(user_id))]), robust=True)


@contextmanager
def published_together() -> Iterator[None]:
    """Whatever is published inside, by whomever, is recorded and pushed at the end, together.

    Belongs inside one transaction. When the block raises, nothing is published. Inside another
    such block, it is published with that one's.
    """
    if _gathered.get() is not None:
        yield
        return
    events: list[Event] = []
    token = _gathered.set(events)
    try:
        yield
    finally:
        _gathered.reset(token)
    publish_all(events)
