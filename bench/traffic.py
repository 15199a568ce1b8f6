"""Microscopes that send by the clock, and a screen that notes when it was told."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SENDERS = 16
PATIENCE = 180.0


@dataclass
class Watch:
    """A haematologist's open page: when each report's events came in, by the monotonic clock."""

    arrivals: dict[str, list[float]] = field(default_factory=dict)

    def note(self, subject: str) -> None:
        self.arrivals.setdefault(subject, []).append(time.monotonic())


@asynccontextmanager
async def watching(url: str, login: Any) -> AsyncIterator[Watch]:
    """The notes of a signed-in screen whose socket is open."""
    from hospital.config.demo.screen import Screen  # noqa: PLC0415

    watch, greeted = Watch(), asyncio.Event()

    async def listen(screen: Any) -> None:
        async for message in screen.messages():
            greeted.set()
            if "event" in message:
                watch.note(message["event"]["subject"])

    async with Screen(url) as screen:
        await screen.sign_in(login.username, login.password)
        listening = asyncio.create_task(listen(screen))
        try:
            await asyncio.wait_for(greeted.wait(), PATIENCE)
            yield watch
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


def poisson(rate: float, seconds: float, *, seed: int = 0) -> list[float]:
    """Moments in 0..`seconds` at which pictures arrive, `rate` a second on average, by chance."""
    rng, moments, now = np.random.default_rng(seed), [], 0.0
    while (now := now + float(rng.exponential(1 / rate))) < seconds:
        moments.append(now)
    return moments


@dataclass(frozen=True, slots=True)
class Sent:
    """One accepted upload: its id, the moment it was due, and that at which the 201 was read."""

    image: str
    due: float
    accepted: float


def send(
    url: str,
    key: str,
    work: Sequence[tuple[bytes, str]],
    *,
    moments: Sequence[float] | None = None,
    senders: int = SENDERS,
) -> list[Sent]:
    """Upload (picture, accession) pairs, each when it is due (None: at once), several at a time."""
    local, began = threading.local(), time.monotonic()

    def one(number: int) -> Sent:
        due = began + (moments[number] if moments else 0.0)
        time.sleep(max(0.0, due - time.monotonic()))
        picture, label = work[number]
        receipt = _microscope(local, url, key).send(picture, accession=label)
        return Sent(str(receipt.id), due, time.monotonic())

    with ThreadPoolExecutor(senders) as pool:
        return list(pool.map(one, range(len(work))))


def _microscope(local: threading.local, url: str, key: str) -> Any:
    """Each sender keeps a line of its own open."""
    from devices.agent.client import Microscope  # noqa: PLC0415

    if not hasattr(local, "microscope"):
        local.microscope = Microscope(url, key)
    return local.microscope


def endless(pictures: Sequence[bytes]) -> Iterator[bytes]:
    """The pictures again and again, never the same bytes twice."""
    from bench.pictures import distinct  # noqa: PLC0415

    while True:
        yield from (distinct(picture) for picture in pictures)
