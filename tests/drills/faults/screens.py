"""Screens that listen through it all: what they were told, by id."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from hospital.config.demo.screen import NotSignedIn, Screen

# Seconds: `hospital.live.consumers.OVERLAP`.
LOOKS_BACK = 60.0


@dataclass
class Heard:
    """What one screen has heard.

    Attributes:
        since: the id of the last event before it began to listen.
        seen: ids, as a page keeps them: each once, however often it came.
        again: ids that came once more after the line was lost, which a page drops.
        twice: ids that came twice over the same line, which must not be.
        read_whole: when the page was told to read everything anew, and the ids of the last event
            that it had been told of, and of the last that it then read.
        lines: how often it has connected.
    """

    topic: str
    since: int | None = None
    seen: set[int] = field(default_factory=set)
    again: Counter[int] = field(default_factory=Counter)
    twice: Counter[int] = field(default_factory=Counter)
    read_whole: list[tuple[float, int, int]] = field(default_factory=list)
    lines: int = 0
    _here: set[int] = field(default_factory=set)
    _reload: bool = False
    _open: bool = False

    def take(self, message: dict[str, Any]) -> None:
        """One message from the socket."""
        self.lines += not self._open
        self._open = True
        if "reload" in message:
            self._reload = True
        if "event" in message:
            self._take_event(int(message["event"]["id"]))
        newest = message.get("hello", message.get("tick"))
        if newest is not None and self._reload:
            self.read_whole.append((time.time(), max(self.seen, default=0), int(newest)))
            self._reload = False
        if "hello" in message:
            self.since = int(newest) if self.since is None else self.since

    def connected(self) -> None:
        """The line is a new one."""
        self._open = False
        self._here.clear()

    def missing(self, events: Mapping[int, float]) -> set[int]:
        """Of the events that it should have heard of, those that it has not.

        A page that reads everything anew reads also what had overtaken what it was told last: so
        far back as the server itself would still have looked for it.

        Args:
            events: when each happened, by id.
        """
        return {
            one
            for one, at in events.items()
            if one > (self.since or 0)
            and one not in self.seen
            and not any(
                one <= high and (one >= low or at >= read_at - LOOKS_BACK)
                for read_at, low, high in self.read_whole
            )
        }

    def _take_event(self, number: int) -> None:
        if number in self._here:
            self.twice[number] += 1
        elif number in self.seen:
            self.again[number] += 1
        self._here.add(number)
        self.seen.add(number)


class Noting(Screen):
    """A screen that notes when its line is a new one."""

    def __init__(self, url: str, heard: Heard) -> None:
        super().__init__(url)
        self._heard = heard

    def _socket(self) -> Any:
        self._heard.connected()
        return super()._socket()


class Screens:
    """Several of them, in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="screens", daemon=True).start()
        self._listening: list[Any] = []

    def open(self, url: str, staff: dict[str, str]) -> Heard:
        """Sign a member of staff in and listen; returns what is heard, which grows."""
        heard = Heard(staff["topic"])
        ready = threading.Event()
        coroutine = _listen(url, staff, heard, ready.set)
        self._listening.append(asyncio.run_coroutine_threadsafe(coroutine, self._loop))
        if not ready.wait(60):
            raise RuntimeError("a screen could not be opened")
        return heard

    def close(self) -> None:
        """Listen no more."""
        for one in self._listening:
            one.cancel()


async def _listen(url: str, staff: dict[str, str], heard: Heard, ready: Callable[[], None]) -> None:
    async with Noting(url, heard) as screen:
        await screen.sign_in(staff["name"], staff["password"])
        while True:
            # A server that has lost its database may close the door for a moment.
            with suppress(NotSignedIn, httpx.HTTPError):
                async for message in screen.messages():
                    heard.take(message)
                    ready()
            await asyncio.sleep(0.5)
