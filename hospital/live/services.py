"""Publishing events: the row in the transaction, the push after the commit."""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

from hospital.live.models import Event

log = logging.getLogger(__name__)


def publish(kind: str, subject: UUID, *, version: int, topics: Iterable[str]) -> None:
    """Record one event per topic and push each once the transaction has committed.

    The push is a courtesy: sockets also look in the event log every few seconds
    (`consumers.EventConsumer`), so a lost push delays a screen and never starves it.
    """
    for topic in topics:
        event = Event.objects.create(topic=topic, kind=kind, subject=subject, version=version)
        transaction.on_commit(partial(_push, event), robust=True)


def _push(event: Event) -> None:
    layer: Any = get_channel_layer()
    message = {"type": "event.happened", "event": event.message()}
    try:
        async_to_sync(layer.group_send)(event.topic, message)
    except Exception:
        log.warning("event %s not pushed; sockets will find it in the log", event.pk, exc_info=True)
