"""How many microscopes the web attends to at once: whoever comes beyond is told to come again.

Without it every request of a crowd would be read into memory and stand in line, and by the time
its turn came its sender would have given up and sent again.
"""

from typing import Any

from hospital.base.problems import Overloaded
from hospital.config.bodylimit import pour_away, refuse

Message = dict[str, Any]

# A heartbeat or a question is no load, and is always let in.
SMALL = 16_384
# Clients add a share of their own, so that they do not come back in step.
RETRY_AFTER_SECONDS = 5


class Crowd:
    """ASGI middleware: answers 503 with Retry-After when too many bodies are in hand.

    Args:
        most: requests with a body in hand, from their first byte to their answer.
        most_bytes: of their bodies together, as declared; one is let in however large.
        limit: bytes of a body that declares no length.
    """

    def __init__(self, app: Any, *, most: int, most_bytes: int, limit: int) -> None:
        self.app = app
        self._most = most
        self._most_bytes = most_bytes
        self._limit = limit
        self._in_hand = 0
        self._bytes = 0

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Pass the request on unless there are too many."""
        size = self._size(dict(scope["headers"]))
        if size <= SMALL:
            await self.app(scope, receive, send)
            return
        if self._in_hand >= self._most or (self._in_hand and self._bytes + size > self._most_bytes):
            # Who asks first ('Expect: 100-continue') is told before sending anything.
            if b"expect" not in dict(scope["headers"]):
                await pour_away(receive, self._limit)
            await refuse(send, _overloaded())
            return
        self._in_hand += 1
        self._bytes += size
        try:
            await self.app(scope, receive, send)
        finally:
            self._in_hand -= 1
            self._bytes -= size

    def _size(self, headers: dict[bytes, bytes]) -> int:
        declared = headers.get(b"content-length", b"")
        if declared.isdigit():
            return int(declared)
        return self._limit if b"transfer-encoding" in headers else 0


def _overloaded() -> Overloaded:
    return Overloaded(
        "Too many microscopes are sending just now. Keep this picture, send it again.",
        retry_after=RETRY_AFTER_SECONDS,
    )
