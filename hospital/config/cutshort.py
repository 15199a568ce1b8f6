"""What arrived of a body before the connection broke, for the addresses that can go on from there.

Everywhere else a request that breaks off never reaches a view, as is right. A resumable upload is
there to keep what came.
"""

import asyncio
from typing import Any

Message = dict[str, Any]


class KeepCutShort:
    """ASGI middleware: where a body breaks off or falls silent, what came of it is all of it.

    Stands before whatever counts the body, so that a body cut off for its size stays cut off.

    Args:
        below: the addresses that want it begin with this path.
        patience: seconds of silence after which a sender counts as gone. A network that just
            vanishes says nothing, and the next request would find its bytes not stored.
    """

    def __init__(self, app: Any, *, below: str, patience: float = 30.0) -> None:
        self.app = app
        self.below = below
        self.patience = patience

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Pass the request on, for those addresses with a body that always ends."""
        if scope["path"].startswith(self.below):
            receive = _Ending(receive, self.patience).receive
        await self.app(scope, receive, send)


class _Ending:
    """A body that ends where it is cut short."""

    def __init__(self, receive: Any, patience: float) -> None:
        self._receive = receive
        self._patience = patience
        self._ended = False

    async def receive(self) -> Message:
        """The next message; in place of a disconnect within the body, the body's end."""
        if self._ended:
            message: Message = await self._receive()
            return message
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError:
            message = {"type": "http.disconnect"}
        if message["type"] == "http.disconnect":
            message = {"type": "http.request", "body": b"", "more_body": False}
        self._ended = not message.get("more_body", False)
        return message
