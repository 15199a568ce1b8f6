"""Stops a body that is too large at the door, before any of it is spooled to disk."""

import json
from typing import Any

from hospital.base.api import PROBLEM_JSON, problem_of
from hospital.base.problems import Refusal, TooLarge

Message = dict[str, Any]


class BodyLimit:
    """ASGI middleware: answers 413 by the declared length, and by count when none is declared."""

    def __init__(self, app: Any, *, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Pass the request on unless its body exceeds the limit."""
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self.limit:
            # Who asks first ('Expect: 100-continue') is told before sending anything.
            if b"expect" not in headers:
                await pour_away(receive, self.limit)
            await refuse(send, TooLarge.than(self.limit))
            return
        body = _Counted(receive, self.limit)
        await self.app(scope, body.receive, send)
        if body.too_large:
            # The application saw a client hang up and has answered nothing.
            if body.more:
                await pour_away(receive, self.limit)
            await refuse(send, TooLarge.than(self.limit))


async def refuse(send: Any, refusal: Refusal) -> None:
    """Answer with the refusal, and hang up: what is left of the body is not read."""
    headers = [(b"content-type", PROBLEM_JSON.encode()), (b"connection", b"close")]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", str(refusal.retry_after).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(problem_of(refusal)).encode()})


async def pour_away(receive: Any, limit: int) -> None:
    """Read on without keeping anything: most clients listen only when they have sent all.

    Answered at once and cut off, they would see a broken pipe, take it for a bad network and
    try for ever. Beyond four times the limit they are cut off all the same.
    """
    left = 4 * limit
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


class _Counted:
    """A body without a declared length (chunked), cut off where it exceeds the limit."""

    def __init__(self, receive: Any, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self.too_large = False
        self.more = True

    async def receive(self) -> Message:
        """The next message; once the limit is passed, word that the client has gone."""
        message: Message = await self._receive()
        self._left -= len(message.get("body", b""))
        self.more = bool(message.get("more_body"))
        if self._left >= 0:
            return message
        self.too_large = True
        return {"type": "http.disconnect"}
