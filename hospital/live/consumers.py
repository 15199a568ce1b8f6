"""The socket of an open screen: who may listen, what is pushed, how a gap is filled."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, cast

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.db.models.functions import Now

from hospital.base.logs import following
from hospital.base.meters import EVENT_LAG, SOCKETS
from hospital.live.models import Event
from hospital.live.pusher import BROKER_SECONDS
from hospital.live.selectors import newest_event_id
from hospital.live.services import ACCESS_CHANGED, user_group

log = logging.getLogger(__name__)

# Two transactions may commit in another order than their event ids were given. A replay
# therefore looks back this far behind the last id seen; `sent` keeps it from repeating itself.
OVERLAP = timedelta(seconds=60)
REPLAY_LIMIT = 500


class EventConsumer(AsyncJsonWebsocketConsumer):
    """Pushes events on the topics that `topics_for(user)` allows, while the session stands.

    Protocol: the server greets with {"hello": last id}. A page that was away connects with
    `?since=ID` and is sent what it missed, or {"reload": true} when that is too much. Every
    `LIVE_TICK_SECONDS` the server re-reads the log, checks that the account may still listen and
    sends {"tick": last id}, by which the page knows that it is live. A change of the account or
    its rights makes it check at once (`hospital.live.services.recheck`).

    Without the broker a socket lives on from the log. Without the database it could neither read
    the log nor tell whether its user may still listen: whatever goes wrong there ends it, in a
    tick (1011) as in answer to a push. The page comes back by itself and is checked anew.
    """

    def __init__(
        self,
        *,
        topics_for: Callable[[Any], list[str]],
        still_open: Callable[[Any, Any], bool],
    ) -> None:
        super().__init__()
        self.topics_for = topics_for
        self.still_open = still_open
        self.topics: list[str] = []
        self.sent: set[int] = set()
        self.last_id = 0
        self.ticker: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket. However it ends, it ticks no more and has left every group."""
        self.user = cast(Any, scope["user"])
        with SOCKETS.track_inprogress():
            try:
                await super().__call__(scope, receive, send)
            finally:
                if self.ticker:
                    self.ticker.cancel()
                    await asyncio.wait([self.ticker])
                await self._regroup(leave=[*self.topics, *self._own_group()])

    async def connect(self) -> None:
        """Accept a signed-in user with something to listen to; close 4401/4403 otherwise."""
        await self.accept()
        if not self.user.is_authenticated or not await self._still_allowed():
            await self.close(code=4401)
            return
        if not await self._refresh_topics():
            await self.close(code=4403)
            return
        await self._greet()
        self.ticker = asyncio.create_task(self._tick())

    async def receive(self, *args: Any, **kwargs: Any) -> None:
        """Pages have nothing to say; whatever comes is ignored, and not even read as JSON."""

    async def events_happened(self, message: dict[str, Any]) -> None:
        """A push from the channel layer: what one transaction had to say on one topic."""
        changed = any(event["message"]["kind"] == ACCESS_CHANGED for event in message["events"])
        if changed and not await self._may_stay():
            return
        # Its group could not be left, or only when this was on its way already.
        if message.get("topic") not in self.topics:
            return
        for event in message["events"]:
            if event["message"]["kind"] != ACCESS_CHANGED:
                await self._send_event(event)

    async def rights_changed(self, message: dict[str, Any]) -> None:
        """The account, its session or its rights may be others now: look, and close if so."""
        if await self._may_stay():
            await self._catch_up()  # what happened on a new topic before this socket had joined it

    async def _send_event(self, event: dict[str, Any]) -> None:
        message = event["message"]
        if message["id"] in self.sent:
            return
        self.sent.add(message["id"])
        self.last_id = max(self.last_id, message["id"])
        await self.send_json({"event": message})
        EVENT_LAG.observe(max(0.0, time.time() - event["at"]))
        with following(event["trace"]):
            log.info("event %d told to a screen", message["id"])

    async def _greet(self) -> None:
        since = _since(self.scope["query_string"])
        newest = await database_sync_to_async(newest_event_id)()
        self.last_id = newest if since is None else min(since, newest)
        if since is not None:
            await self._catch_up()
        else:
            self.sent.update(await self._known_by_now())
        await self.send_json({"hello": self.last_id})

    async def _catch_up(self) -> None:
        self.sent -= {pk for pk in self.sent if pk <= self.last_id - 10_000}
        missed = await self._missed(self.last_id, list(self.sent))
        if missed is None:
            self.last_id = await database_sync_to_async(newest_event_id)()
            self.sent.update(await self._known_by_now())
            await self.send_json({"reload": True})
            return
        for event in missed:
            await self._send_event(event)

    async def _tick(self) -> None:
        try:
            while True:
                await asyncio.sleep(settings.LIVE_TICK_SECONDS)
                if not await self._may_stay():
                    return
                await self._catch_up()
                await self.send_json({"tick": self.last_id})
        except Exception as trouble:
            try:
                await self.close(code=1011)
            except Exception:  # the page has gone meanwhile: that was all the trouble
                return
            log.warning("a socket ends in trouble; its page comes back", exc_info=trouble)

    async def _may_stay(self) -> bool:
        """Look again at what the user may hear: close when it is nothing any more.

        When it is less than before, the page is told to look for itself what it may still show.
        """
        before = set(self.topics)
        if not await self._still_allowed() or not await self._refresh_topics():
            await self.close(code=4403)
            return False
        if before - set(self.topics):
            await self.send_json({"reload": True})
        return True

    async def _refresh_topics(self) -> bool:
        """Join what is allowed now, leave what is not. Joining again also heals a wiped Redis."""
        allowed = await database_sync_to_async(self.topics_for)(self.user)
        lost = set(self.topics) - set(allowed)
        self.topics = allowed
        await self._regroup(leave=lost, join=[*allowed, *self._own_group()])
        return bool(allowed)

    async def _regroup(self, *, leave: Iterable[str], join: Iterable[str] = ()) -> None:
        """Leave and join; with the broker away, or silent, the socket lives on from the log."""
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                for group in leave:
                    await self.channel_layer.group_discard(group, self.channel_name)
                for group in join:
                    await self.channel_layer.group_add(group, self.channel_name)
        except Exception:
            log.warning("the broker did not answer; a socket follows the log", exc_info=True)

    def _own_group(self) -> list[str]:
        return [user_group(self.user.pk)] if self.user.is_authenticated else []

    @database_sync_to_async
    def _still_allowed(self) -> bool:
        """Whether the session still stands: signed out or deactivated sockets are closed."""
        return self.still_open(self.user, self.scope["session"])

    @database_sync_to_async
    def _known_by_now(self) -> list[int]:
        """Ids of what a page that is read anew shows already, as far back as a replay looks."""
        mine = Event.objects.filter(topic__in=self.topics, at__gte=Now() - OVERLAP)
        return list(mine.values_list("id", flat=True))

    @database_sync_to_async
    def _missed(self, last_id: int, sent: list[int]) -> list[dict[str, Any]] | None:
        """What is in the log and not in `sent`; None when it is too much."""
        mine = Event.objects.filter(topic__in=self.topics)
        behind = mine.filter(id__lte=last_id, at__gte=Now() - OVERLAP).exclude(id__in=sent)
        ahead = mine.filter(id__gt=last_id)
        rows = [*behind[:REPLAY_LIMIT], *ahead[: REPLAY_LIMIT + 1]]
        return None if len(rows) > REPLAY_LIMIT else [event.wire() for event in rows]


def _since(query: bytes) -> int | None:
    """The id in `?since=…`, or None when absent or not a number."""
    for part in query.decode("ascii", "ignore").split("&"):
        name, _, value = part.partition("=")
        if name == "since" and value.isdigit() and len(value) < 19:
            return int(value)
    return None
