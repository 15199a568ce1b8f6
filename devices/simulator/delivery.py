"""Pictures sent one after another through the plain client: no queue, no faults."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from ..agent.client import Microscope, Receipt, Refused, Unreachable

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
