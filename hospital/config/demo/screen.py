"""A haematologist's screen without a browser: signs in, follows the socket, fetches reports.

It goes the way a browser goes: the login page with its CSRF token, a session cookie, the Origin
header on the socket, and the staff's own API for whatever an event speaks of.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

import httpx
from django.conf import settings
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
# Codes with which the server says that asking again is no use.
UNWELCOME = frozenset({4401, 4403})


class NotSignedIn(Exception):
    """The login page did not let the person in."""


class Screen:
    """A signed-in person's view of the clinic."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.http = httpx.AsyncClient(base_url=self.url, follow_redirects=True, timeout=30)
        self.last_event: int | None = None

    async def __aenter__(self) -> "Screen":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.aclose()

    async def sign_in(self, username: str, password: str) -> None:
        """Fill in the login page.

        Raises:
            NotSignedIn: wrong name or password.
        """
        page = await self.http.get("/login/")
        token = TOKEN.search(page.text)
        form = {
            "csrfmiddlewaretoken": token.group(1) if token else "",
            "username": username,
            "password": password,
        }
        headers = {"Origin": self.url, "Referer": f"{self.url}/login/"}
        answer = await self.http.post("/login/", data=form, headers=headers, follow_redirects=False)
        if answer.status_code != httpx.codes.FOUND:
            raise NotSignedIn(f"{username} could not sign in: {answer.status_code}")

    def go_on(self, session_key: str) -> None:
        """Go on with a session that is open already."""
        self.http.cookies.set(settings.SESSION_COOKIE_NAME, session_key)

    async def report(self, report_id: str) -> dict[str, Any]:
        """The report as the staff's API gives it."""
        answer = await self.http.get(f"/api/v1/reports/{report_id}/")
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What the socket says, for ever: a lost connection is opened again where it stopped.

        Raises:
            NotSignedIn: the server closes because the account may not listen.
        """
        while True:
            try:
                async with self._socket() as socket:
                    async for text in socket:
                        message = json.loads(text)
                        self._remember(message)
                        yield message
                    closed = socket.close_code
            except ConnectionClosed as lost:
                closed = lost.rcvd.code if lost.rcvd else None
            except (OSError, InvalidHandshake):
                closed = None
            if closed in UNWELCOME:
                raise NotSignedIn(f"the socket was closed with {closed}")
            await asyncio.sleep(0.5)

    def _socket(self) -> connect:
        address = self.url.replace("http", "ws", 1) + "/ws/clinic/"
        if self.last_event is not None:
            address += f"?since={self.last_event}"
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.http.cookies.jar)
        return connect(
            address,
            origin=self.url,  # type: ignore[arg-type]  # a NewType of str
            additional_headers={"Cookie": cookies},
            proxy=None,
        )

    def _remember(self, message: dict[str, Any]) -> None:
        seen = [message.get("event", {}).get("id"), message.get("hello"), message.get("tick")]
        self.last_event = max([self.last_event or 0, *(int(one) for one in seen if one)])
