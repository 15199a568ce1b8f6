"""Microscopes sending and a screen watching, at the same time."""

import asyncio
import contextlib
import time
from typing import Any

import httpx
from rich.progress import Progress, TaskID

from devices.agent.client import Microscope, Refused, Unreachable
from devices.simulator.delivery import Delivery, deliver
from hospital.config.demo import show
from hospital.config.demo.hospital import Bench, DemoHospital
from hospital.config.demo.ledger import Entry, Ledger
from hospital.config.demo.screen import Screen

# Without any news for so long, what is still missing is called lost.
SILENCE = 300.0

# What each bench sends, by its place in the hospital's list.
Work = dict[int, list[Entry]]


class Performance:
    """One run. The microscopes work in threads of their own, as real ones would not wait for us."""

    def __init__(
        self, url: str, hospital: DemoHospital, ledger: Ledger, progress: Progress
    ) -> None:
        self.url = url
        self.hospital = hospital
        self.ledger = ledger
        self.progress = progress
        total = len(ledger.entries)
        self.sent: TaskID = progress.add_task("sent", total=total)
        self.reported: TaskID = progress.add_task("reported", total=total)
        self.changed: set[str] = set()
        self.news = asyncio.Event()
        self.over = False

    async def run(self, work: Work) -> None:
        """Until everything is settled, or there has been silence for too long."""
        watcher = self.hospital.watcher
        assert watcher is not None
        self.loop = asyncio.get_running_loop()
        async with Screen(self.url) as screen:
            await screen.sign_in(watcher.username, watcher.password)
            listening = asyncio.create_task(self._listen(screen))
            sending = [
                asyncio.create_task(asyncio.to_thread(self._send, bench, work[index]))
                for index, bench in enumerate(self.hospital.benches)
            ]
            try:
                await self._watch(screen, listening)
            finally:
                self.over = True
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
            await asyncio.gather(*sending)
        for entry in self.ledger.entries:
            if not entry.settled:
                entry.lost = f"no report within {SILENCE:.0f} s"

    def _send(self, bench: Bench, entries: list[Entry]) -> None:
        """One microscope at work, in a thread of its own."""
        for entry in entries:
            entry.sent_at = time.monotonic()
        with Microscope(self.url, bench.key) as microscope:
            deliveries = deliver(microscope, [entry.job for entry in entries])
            try:
                for entry, delivery in zip(entries, deliveries, strict=False):
                    self._note_delivery(entry, delivery)
                    if self.over:
                        return
            except (Refused, Unreachable) as error:
                for entry in entries:
                    entry.lost = entry.lost or ("" if entry.result else str(error))
        self.loop.call_soon_threadsafe(self.news.set)

    def _note_delivery(self, entry: Entry, delivery: Delivery) -> None:
        if delivery.receipt is None:
            entry.lost = delivery.problem
            self.progress.console.print(show.arrival(entry))
        else:
            entry.sent_at = time.monotonic()
        self.progress.advance(self.sent)

    async def _listen(self, screen: Screen) -> None:
        """Collect what the socket says has changed."""
        async for message in screen.messages():
            if "event" in message:
                self.changed.add(message["event"]["subject"])
                self.news.set()

    async def _watch(self, screen: Screen, listening: "asyncio.Task[None]") -> None:
        """Fetch what has changed, as a page would, until all is settled."""
        while not self.ledger.settled:
            waiting = asyncio.create_task(self.news.wait())
            await asyncio.wait(
                {waiting, listening}, timeout=SILENCE, return_when=asyncio.FIRST_COMPLETED
            )
            waiting.cancel()
            if listening.done():
                listening.result()
            if not self.news.is_set():
                return
            self.news.clear()
            await self._fetch(screen)

    async def _fetch(self, screen: Screen) -> None:
        while self.changed:
            report_id = self.changed.pop()
            try:
                self._show(await screen.report(report_id))
            except httpx.TransportError:
                # The web is being restarted; the page would ask again, too.
                self.changed.add(report_id)
                await asyncio.sleep(0.5)

    def _show(self, report: dict[str, Any]) -> None:
        for entry in self.ledger.note_report(report):
            self.progress.console.print(show.arrival(entry))
            self.progress.advance(self.reported)
