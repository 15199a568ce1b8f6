"""A simulated microscope: takes pictures from a folder instead of from a camera.

    python -m devices.simulator --url http://127.0.0.1:8000 --key llk_… --accession A-1 pictures/

It goes through the real client and the real device API; only the glass is missing.
"""

import argparse
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from uuid import UUID, uuid4

from rich.console import Console
from rich.progress import track

from devices.agent.client import Microscope, Receipt, Refused, Unreachable

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
FIRMWARE = "simulated 1.0"


@dataclass(frozen=True, slots=True)
class Job:
    """A picture to send, under an id that is fixed before the first attempt."""

    picture: Path
    accession: str
    image_id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one job: a receipt, or the reason why there is none."""

    job: Job
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


def round_robin(pictures: Iterable[Path], accessions: Sequence[str]) -> list[Job]:
    """Deal the pictures out over the accession numbers, one after another."""
    return [Job(*dealt) for dealt in zip(pictures, cycle(accessions), strict=False)]


def deliver(microscope: Microscope, jobs: Sequence[Job]) -> Iterator[Delivery]:
    """Send every picture, with a heartbeat whenever the hospital wants one.

    A refused picture does not keep the next from being sent.

    Raises:
        Refused, Unreachable: not even a heartbeat is taken, so the key or the network is at fault.
    """
    next_heartbeat = 0.0
    for done, job in enumerate(jobs):
        if time.monotonic() >= next_heartbeat:
            interval = microscope.heartbeat(firmware=FIRMWARE, queue_length=len(jobs) - done)
            next_heartbeat = time.monotonic() + interval
        yield _deliver_one(microscope, job)
    microscope.heartbeat(firmware=FIRMWARE, queue_length=0)


def _deliver_one(microscope: Microscope, job: Job) -> Delivery:
    began = time.monotonic()
    receipt, problem = None, ""
    try:
        receipt = microscope.send(
            job.picture,
            accession=job.accession,
            image_id=job.image_id,
            captured_at=datetime.now(UTC),
        )
    except (Refused, Unreachable, OSError) as error:
        problem = str(error)
    return Delivery(job, time.monotonic() - began, receipt, problem)


def main() -> int:
    """The command line; returns 1 if a picture was not delivered, or there was none."""
    options = _options()
    console = Console()
    pictures = pictures_in(options.folder)
    jobs = round_robin(pictures, options.accession)[: options.count]
    if not jobs:
        console.print(f"No JPEG, PNG or TIFF file in {options.folder}.", markup=False)
        return 1
    failures = 0
    with Microscope(options.url, options.key) as microscope:
        deliveries = deliver(microscope, jobs)
        for delivery in track(deliveries, "Sending", total=len(jobs), console=console):
            if delivery.receipt is None:
                failures += 1
                console.print(f"{delivery.job.picture.name}: {delivery.problem}", markup=False)
    console.print(f"{len(jobs) - failures} of {len(jobs)} pictures are safe.")
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
