"""Senders that vanish in the middle of a body.

A network that just goes away says nothing, and would be waited for until the next restart: who
is silent for long counts as gone. A request that breaks off never reaches a view, as is right,
except at the addresses that can go on from there: a resumable upload is there to keep what came.
"""

import asyncio
from typing import Any

Message = dict[str, Any]


class KeepCutShort:
    """ASGI middleware: silence within a body breaks it off; some addresses keep what came of it.

    Stands before whatever counts the body, so that a body cut off for its size stays cut off.

    Args:
        below: the addresses where what came of a body that breaks off is all of it.
        patience: seconds of silence after which a sender counts as gone, at every address.
    """

    def __init__(self, app: Any, *, below: str, patience: float = 30.0) -> None:
        self.app = app
        self.below = below
        self.patience = patience

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Pass the request on with a body that ends or breaks off, and is not waited for."""
        kept = scope["path"].startswith(self.below)
        await self.app(scope, _Body(receive, self.patience, kept=kept).receive, send)


class _Body:
    """A body whose sender may vanish; if `kept`, it ends where it is cut short."""

    def __init__(self, receive: Any, patience: float, *, kept: bool) -> None:
        self._receive = receive
        self._patience = patience
        self._kept = kept
        self._ended = False

    async def receive(self) -> Message:
        """The next message; in place of too long a silence a disconnect, or the body's end."""
        if self._ended:
            message: Message = await self._receive()
            return message
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            message = {"type": "http.disconnect"}
        if self._kept and message["type"] == "http.disconnect":
            message = {"type": "http.request", "body": b"", "more_body": False}
        self._ended = not message.get("more_body", False)
        return message
