"""Senders that vanish in the middle of a body.

A network that just goes away says nothing, and would be waited for until the next restart: who
is silent for long counts as gone. So does who sends a byte now and then, to keep a place or over a
network that is none any more. A request that breaks off never reaches a view, as is right, except
at the addresses that can go on from there: a resumable upload is there to keep what came.
"""

import asyncio
import time
from typing import Any

Message = dict[str, Any]


class KeepCutShort:
    """ASGI middleware: silence within a body breaks it off; some addresses keep what came of it.

    Stands before whatever counts the body, so that a body cut off for its size stays cut off.

    Args:
        below: the addresses where what came of a body that breaks off is all of it.
        patience: seconds that a sender may be silent in all; what it sends earns it more.
        slowest: bytes that earn it one second. Slower than this it counts as gone in the end.
    """

    def __init__(
        self, app: Any, *, below: str, patience: float = 30.0, slowest: int = 1_000
    ) -> None:
        self.app = app
        self.below = below
        self.patience = patience
        self.slowest = slowest

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Pass the request on with a body that ends or breaks off, and is not waited for."""
        kept = scope["path"].startswith(self.below)
        body = _Body(receive, self.patience, self.slowest, kept=kept)
        await self.app(scope, body.receive, send)


class _Body:
    """A body whose sender may vanish; if `kept`, it ends where it is cut short."""

    def __init__(self, receive: Any, patience: float, slowest: int, *, kept: bool) -> None:
        self._receive = receive
        self._most = self._patience = patience
        self._slowest = slowest
        self._kept = kept
        self._ended = False

    async def receive(self) -> Message:
        """The next message; where patience runs out a disconnect, or the body's end."""
        if self._ended:
            message: Message = await self._receive()
            return message
        asked = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            message = {"type": "http.disconnect"}
        earned = len(message.get("body", b"")) / self._slowest
        self._patience = min(self._most, self._patience - (time.monotonic() - asked) + earned)
        if self._kept and message["type"] == "http.disconnect":
            message = {"type": "http.request", "body": b"", "more_body": False}
        self._ended = not message.get("more_body", False)
        return message
