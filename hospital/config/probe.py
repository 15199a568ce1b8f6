"""Health is proven by traffic: a drawn smear goes the whole way, and somebody waits for the answer.

The probe does what a microscope and an open screen do, over the wire: it hands a picture in with a
key, and listens on a socket until an event brings it to the report. Then it clears everything away
and notes how it went (`hospital.base.chores`), for `/metrics` and the doctor. docs/decisions/0026.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from django.conf import settings
from django.db import connections

from devices.agent.client import ONCE, Microscope
from devices.models import Device
from devices.services.keys import authenticate, issue_key, revoke_key
from diagnostics.services import probing
from hospital.accounts.models import User
from hospital.accounts.signin import sessions
from hospital.audit.services import Actor
from hospital.base import chores
from hospital.base.models import Chore, LastRun
from hospital.config.demo.screen import Screen

log = logging.getLogger(__name__)

ACTOR = Actor.system("probe")
# What is not reached, and where to look.
STEPS = {
    "listening": "No socket opened: is PROBE_URL right, the web up, its name in ALLOWED_HOSTS?",
    "taken": "The picture was not taken in: look at the web's log, database and storage.",
    "reported": "No report came over the socket: look at workers, queue and broker.",
}
_under_way = threading.Lock()


@dataclass
class Walk:
    """How far a probe has come: the seconds since it began at which each step was reached."""

    began: float = field(default_factory=time.monotonic)
    steps: dict[str, float] = field(default_factory=dict)

    def reached(self, step: str) -> None:
        """Note the step."""
        self.steps[step] = round(self.seconds(), 3)

    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def missing(self) -> str:
        """What to say of the first step that was not reached."""
        return next(said for step, said in STEPS.items() if step not in self.steps)


def probe(url: str, *, limit: float) -> LastRun:
    """Send one picture through the house and note how it went; nothing but that note is left.

    Args:
        url: where microscopes and screens find the web.
        limit: after so many seconds without the report it has failed.
    """
    account, device, specimen = probing.lay_down(actor=ACTOR)
    walk, trouble = Walk(), ""
    try:
        with _let_in(account, device) as (session, key):
            picture = probing.draw()
            asyncio.run(_go(walk, url, limit, session, key, specimen.accession, picture))
    except Exception as error:
        log.warning("the probe did not come through", exc_info=True)
        trouble = f"{walk.missing()} ({type(error).__name__} after {walk.seconds():.0f} s)"
    finally:
        seconds = walk.seconds()
        probing.clear(specimen)
    return chores.ended(Chore.PROBE, seconds=seconds, trouble=trouble, steps=walk.steps)


def probe_beside() -> bool:
    """Probe PROBE_URL in a thread, so that the sweep, which the probe may need, goes on meanwhile.

    Returns:
        False where one is under way.
    """
    if not _under_way.acquire(blocking=False):
        return False
    threading.Thread(target=_beside, name="probe", daemon=True).start()
    return True


def _beside() -> None:
    try:
        probe(settings.PROBE_URL, limit=settings.PROBE_LIMIT_SECONDS)
    finally:
        connections.close_all()
        _under_way.release()


@contextmanager
def _let_in(account: User, device: Device) -> Iterator[tuple[str, str]]:
    """A session and a key for this probe alone."""
    session, key = sessions.open_unattended(account), issue_key(actor=ACTOR, device=device)
    try:
        yield session, key
    finally:
        sessions.store_of(session).delete()
        row = authenticate(key)
        revoke_key(actor=ACTOR, key=row)
        row.delete()


async def _go(
    walk: Walk, url: str, limit: float, session: str, key: str, accession: str, picture: bytes
) -> None:
    async with asyncio.timeout(limit), Screen(url) as screen:
        screen.go_on(session)
        screen.http.headers.update(_headers(url))
        messages = screen.messages()
        await anext(messages)
        walk.reached("listening")
        image = await asyncio.to_thread(_hand_in, url, key, accession, picture)
        walk.reached("taken")
        async for message in messages:
            if await _is_about(image, message, screen):
                walk.reached("reported")
                return


def _hand_in(url: str, key: str, accession: str, picture: bytes) -> str:
    with Microscope(url, key, patience=ONCE, transport=_Through(_headers(url))) as microscope:
        return str(microscope.send(picture, accession=accession).id)


async def _is_about(image: str, message: dict[str, Any], screen: Screen) -> bool:
    """Whether an event leads to a report in which the picture has been read."""
    event = message.get("event", {})
    if event.get("kind") != "report.changed":
        return False
    report = await screen.report(event["subject"])
    read = {one["id"] for one in report["images"] if one["analysis_state"] == "succeeded"}
    return image in read


def _headers(url: str) -> dict[str, str]:
    """What the TLS proxy would say, where the probe goes past it."""
    past = settings.SECURE_SSL_REDIRECT and url.startswith("http://")
    return {"X-Forwarded-Proto": "https"} if past else {}


class _Through(httpx.HTTPTransport):
    """Adds headers to every request."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__()
        self.headers = headers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """With the headers."""
        request.headers.update(self.headers)
        return super().handle_request(request)
