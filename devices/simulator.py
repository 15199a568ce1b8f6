"""A simulated microscope: takes pictures from a folder instead of from a camera.

    python -m devices.simulator --url http://127.0.0.1:8000 --key llk_… --accession A-1 pictures/

It goes through the real client and the real device API; only the glass is missing.
"""

import argparse
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

from rich.console import Console
from rich.progress import track

from devices.client import Microscope, Receipt, Refused, Unreachable

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
FIRMWARE = "simulated 1.0"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one picture: a receipt, or the reason why there is none."""

    picture: Path
    accession: str
    seconds: float
    receipt: Receipt | None
    problem: str = ""


def pictures_in(folder: Path) -> list[Path]:
    """The JPEG, PNG and TIFF files at or below `folder`, in a stable order."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def round_robin(pictures: Iterable[Path], accessions: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Deal the pictures out over the accession numbers, one after another."""
    return zip(pictures, cycle(accessions), strict=False)


def deliver(microscope: Microscope, work: Sequence[tuple[Path, str]]) -> Iterator[Delivery]:
    """Send every (picture, accession number), with a heartbeat whenever the hospital wants one.

    A refused picture does not keep the next from being sent.
    """
    next_heartbeat = 0.0
    for done, (picture, accession) in enumerate(work):
        if time.monotonic() >= next_heartbeat:
            interval = microscope.heartbeat(firmware=FIRMWARE, queue_length=len(work) - done)
            next_heartbeat = time.monotonic() + interval
        yield _deliver_one(microscope, picture, accession)
    microscope.heartbeat(firmware=FIRMWARE, queue_length=0)


def _deliver_one(microscope: Microscope, picture: Path, accession: str) -> Delivery:
    began = time.monotonic()
    receipt, problem = None, ""
    try:
        receipt = microscope.send(picture, accession=accession, captured_at=datetime.now(UTC))
    except (Refused, Unreachable, OSError) as error:
        problem = str(error)
    return Delivery(picture, accession, time.monotonic() - began, receipt, problem)


def main() -> int:
    """The command line; returns how many pictures were not delivered, 1 at most."""
    options = _options()
    console = Console()
    pictures = pictures_in(options.folder)
    work = list(round_robin(pictures, options.accession))[: options.count]
    failures = 0
    with Microscope(options.url, options.key) as microscope:
        deliveries = deliver(microscope, work)
        for delivery in track(deliveries, "Sending", total=len(work), console=console):
            if delivery.receipt is None:
                failures += 1
                console.print(f"{delivery.picture.name}: {delivery.problem}", markup=False)
    console.print(f"{len(work) - failures} of {len(work)} pictures are safe.")
    return min(failures, 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Send a folder of pictures as a microscope would.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where Leukolens runs")
    parser.add_argument(
        "--key",
        default=os.environ.get("LEUKOLENS_DEVICE_KEY"),
        required="LEUKOLENS_DEVICE_KEY" not in os.environ,
        help="the microscope's key; better given as LEUKOLENS_DEVICE_KEY, which no one else sees",
    )
    parser.add_argument(
        "--accession", action="append", required=True, help="may be given several times"
    )
    parser.add_argument("--count", type=int, help="at most so many pictures")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
