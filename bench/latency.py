"""How long from an accepted picture to its result on the screen?

    make latency                      # or: python -m bench.latency --count 60 --images DIR

Starts a stack of its own in a folder that is thrown away, sends pictures one at a time through the
device API, and listens on the websocket as a haematologist's page does. The clock starts when the
201 has been read and stops when the event arrives that leads to the finished result. Then the same
pictures once more, all at once, for the throughput.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

console = Console()
PATIENCE = 120.0


def main() -> int:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="leukolens-bench-") as folder:
        os.environ |= {
            "LEUKOLENS_VAR": folder,
            "DJANGO_SETTINGS_MODULE": "hospital.config.settings",
            # Ticks off: only what is pushed is measured.
            "LIVE_TICK_SECONDS": "3600",
            "UPLOADS_PER_MINUTE": "100000",
        }
        import django  # noqa: PLC0415 - the settings read the environment

        django.setup()
        with _bench(Path(folder), options) as bench:
            alone = asyncio.run(bench.one_at_a_time())
            together = asyncio.run(bench.all_at_once())
    _show(alone, together)
    return 0


@contextmanager
def _bench(var: Path, options: argparse.Namespace) -> Iterator["Bench"]:
    from hospital.config.demo.embedded import embedded_stack  # noqa: PLC0415
    from hospital.config.demo.hospital import found_or_find  # noqa: PLC0415
    from hospital.config.demo.logins import Logins  # noqa: PLC0415
    from hospital.config.demo.pictures import make_synthetic, slides_from  # noqa: PLC0415

    folder = options.images or make_synthetic(var / "synthetic", options.count)
    slides = slides_from(folder, options.count)
    pictures = [path.read_bytes() for slide in slides for path in slide.pictures]
    with embedded_stack(var, say=lambda line: console.print(f"[dim]{line}[/]")) as stack:
        stack.await_web()
        hospital = found_or_find(Logins(var))
        if not stack.await_model():
            sys.exit("The analyses worker did not become ready; see above.")
        yield Bench(stack.url, hospital, pictures)


class Bench:
    """A microscope and a screen, timed."""

    def __init__(self, url: str, hospital: Any, pictures: list[bytes]) -> None:
        from django.utils import timezone  # noqa: PLC0415

        from hospital.config.demo.hospital import accession, new_specimen  # noqa: PLC0415

        self.url = url
        self.hospital = hospital
        self.pictures = pictures
        self.bench = hospital.benches[0]
        self.labels = [
            accession(self.bench, timezone.now(), number) for number in range(2 * len(pictures))
        ]
        for label in self.labels:
            new_specimen(self.bench.patients[0], label)

    async def one_at_a_time(self) -> list[float]:
        """Seconds for each picture on an idle system."""
        return await self._run(self._singly)

    async def all_at_once(self) -> float:
        """Pictures per second, from the first byte sent to the last result on the screen."""
        return await self._run(self._in_a_rush)

    async def _run(self, measure: Any) -> Any:
        from devices.client import Microscope  # noqa: PLC0415
        from hospital.config.demo.screen import Screen  # noqa: PLC0415

        async with Screen(self.url) as screen:
            await screen.sign_in(self.hospital.watcher.username, self.hospital.watcher.password)
            arrivals: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
            listening = asyncio.create_task(_listen(screen, arrivals))
            with Microscope(self.url, self.bench.key) as microscope:
                try:
                    return await measure(microscope, screen, arrivals)
                finally:
                    listening.cancel()

    async def _singly(self, microscope: Any, screen: Any, arrivals: Any) -> list[float]:
        seconds = []
        labels = self.labels[: len(self.pictures)]
        work = list(zip(self.pictures, labels, strict=True))
        for picture, label in track(work, "one at a time", console=console):
            receipt = await asyncio.to_thread(microscope.send, picture, accession=label)
            accepted = time.monotonic()
            arrived = await _result_of({str(receipt.id)}, screen, arrivals)
            seconds.append(arrived - accepted)
        return seconds

    async def _in_a_rush(self, microscope: Any, screen: Any, arrivals: Any) -> float:
        began = time.monotonic()
        labels = self.labels[len(self.pictures) :]
        receipts = [
            await asyncio.to_thread(microscope.send, picture, accession=label)
            for picture, label in zip(self.pictures, labels, strict=True)
        ]
        last = await _result_of({str(receipt.id) for receipt in receipts}, screen, arrivals)
        return len(receipts) / (last - began)


async def _listen(screen: Any, arrivals: Any) -> None:
    async for message in screen.messages():
        if "event" in message:
            arrivals.put_nowait((time.monotonic(), message["event"]["subject"]))


async def _result_of(images: set[str], screen: Any, arrivals: Any) -> float:
    """When the event arrived by which the last of `images` was seen to be finished."""
    missing = set(images)
    while True:
        arrived, subject = await asyncio.wait_for(arrivals.get(), PATIENCE)
        report = await screen.report(subject)
        missing -= {i["id"] for i in report["images"] if i["analysis_state"] == "succeeded"}
        if not missing:
            return arrived


def _show(alone: list[float], per_second: float) -> None:
    table = Table(title="From the 201 to the event on the socket", title_justify="left")
    for heading in ("n", "median", "p95", "slowest", "in a rush"):
        table.add_column(heading, justify="right")
    ordered = sorted(alone)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    table.add_row(
        str(len(alone)),
        f"{statistics.median(alone):.2f} s",
        f"{p95:.2f} s",
        f"{ordered[-1]:.2f} s",
        f"{per_second:.1f} pictures/s",
    )
    console.print(table)
    load = os.getloadavg()[0]
    console.print(f"{_processor()}, {os.cpu_count()} cores, load {load:.1f}, {platform.system()}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure from upload to event on the screen.")
    parser.add_argument("--count", type=int, default=60, help="how many pictures")
    parser.add_argument("--images", type=Path, help="folder of pictures (else synthetic ones)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
