"""One simulated microscope: a process with the agent's own queue and sender, and a plug.

What it does to each picture is drawn from the fleet's seed, its own name and the picture's
number; so a microscope that was killed goes on as if it had not been.
"""

import hashlib
import itertools
import logging
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..agent.client import ONCE, Microscope, Patience, Refused, Unreachable
from ..agent.queue import Queue, QueueFull
from ..agent.sender import Sender
from .delivery import FIRMWARE
from .faults import Faults
from .pictures import with_note
from .taken import Album, Taken

log = logging.getLogger(__name__)

# What the hospital must say of pictures that are wrong on purpose.
WRONG = ("not_an_image", "unknown_accession", "too_large")
LARGEST_SKEW = timedelta(days=2)
# The plug is pulled within so many seconds after a picture was taken.
LATEST_CUT = 0.5
GLANCE = 0.1
RESTING_HEARTBEAT = 5.0
# The process ended because the hospital does not let this microscope in.
STOPPED = 3


@dataclass(frozen=True, slots=True)
class Orders:
    """What one microscope is told. See `plan` for those that are not explained here.

    Attributes:
        folder: what it keeps over power cuts.
        url: its own wire to the hospital.
        pictures: the files it photographs, in turns.
        until: Unix time after which it takes nothing more; None: by count.
    """

    name: str
    key: str
    accessions: tuple[str, ...]
    folder: Path
    url: str
    pictures: tuple[Path, ...]
    count: int | None
    until: float | None
    per_minute: float
    faults: Faults
    seed: int
    too_large: int
    large: int
    first_wait: float
    longest_wait: float


def run(orders: Orders) -> None:
    """The process: take what is ordered, deliver all of it, end.

    Its exit code is 0 when everything is delivered or refused, or when it was told to end
    (SIGTERM); `STOPPED` when the hospital does not let this microscope in.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    # Ctrl-C is the fleet's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(
        filename=orders.folder / "log.txt", format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    queue = Queue(queue_in(orders.folder))
    queue.sweep()
    with Microscope(orders.url, orders.key, patience=ONCE) as line:
        patience = Patience(first=orders.first_wait, longest=orders.longest_wait)
        sender = Sender(
            queue,
            line,
            patience=patience,
            large=orders.large,
            # Nobody is going to register what is wrong on purpose.
            unknown_tries=2,
            unknown_pause=orders.first_wait,
        )
        over = threading.Event()
        workers = [
            threading.Thread(target=sender.run, args=(over,)),
            threading.Thread(target=_beat, args=(orders, queue, over)),
        ]
        for worker in workers:
            worker.start()
        Camera(orders, Album(orders.folder), queue).work(stop)
        while not stop.is_set() and not sender.line.stopped and queue.counts().waiting:
            stop.wait(GLANCE)
        over.set()
        for worker in workers:
            worker.join()
    sys.exit(STOPPED if sender.line.stopped else 0)


def queue_in(folder: Path) -> Path:
    """Where a microscope keeps its queue."""
    return folder / "queue"


class Camera:
    """Takes pictures, writes them down, hands them to the queue."""

    def __init__(
        self,
        orders: Orders,
        album: Album,
        queue: Queue,
        *,
        pull_plug: Callable[[float], None] | None = None,
    ) -> None:
        """
        Args:
            pull_plug: ends this process the hard way, so many seconds from now.
        """
        self._orders = orders
        self._album = album
        self._queue = queue
        self._pull_plug = pull_plug or _pull_plug

    def work(self, stop: threading.Event) -> None:
        """Take what is ordered, from where it was left; returns when all of it is in the queue."""
        # What lay on the card when the power went.
        for picture in list(self._album.not_stored):
            self._hand_over(picture, stop)
        late: Taken | None = None
        for number in itertools.count(len(self._album.taken)):
            if stop.is_set() or self._enough(number):
                break
            picture = self._take(number)
            if picture.late and late is None:
                late = picture
            else:
                self._hand_over(picture, stop)
                if late is not None:
                    self._hand_over(late, stop)
                    late = None
            if self._orders.per_minute:
                stop.wait(60 / self._orders.per_minute)
        if late is not None:
            self._hand_over(late, stop)

    def _enough(self, number: int) -> bool:
        by_count = self._orders.count is not None and number >= self._orders.count
        return by_count or (self._orders.until is not None and time.time() >= self._orders.until)

    def _take(self, number: int) -> Taken:
        orders = self._orders
        chance = random.Random(f"{orders.seed}/{orders.name}/{number}")
        drawn = orders.faults.drawn(chance)
        image_id = uuid.UUID(int=chance.getrandbits(128), version=4)
        wrong = chance.choice(WRONG) if "refusable" in drawn else ""
        skew = LARGEST_SKEW * chance.uniform(-1, 1) if "skew" in drawn else timedelta()
        cut_after = chance.uniform(0, LATEST_CUT)
        body = self._photograph(number, image_id, wrong)
        accession = orders.accessions[number % len(orders.accessions)]
        picture = Taken(
            number=number,
            id=image_id,
            sha256=hashlib.sha256(body).hexdigest(),
            size=len(body),
            accession=f"NOBODY-{image_id.hex[:8]}" if wrong == "unknown_accession" else accession,
            captured_at=(datetime.now(UTC) + skew).isoformat(),
            wrong=wrong,
            late="reorder" in drawn,
            skewed="skew" in drawn,
        )
        self._album.take(picture, body)
        if "power_cut" in drawn:
            self._pull_plug(cut_after)
        return picture

    def _photograph(self, number: int, image_id: uuid.UUID, wrong: str) -> bytes:
        if wrong == "not_an_image":
            return f"Shopping list {image_id}: immersion oil, slides.\n".encode()
        path = self._orders.pictures[number % len(self._orders.pictures)]
        body = with_note(path.read_bytes(), f"{self._orders.name} {image_id}")
        if wrong == "too_large":
            body += bytes(max(0, self._orders.too_large - len(body)))
        return body

    def _hand_over(self, picture: Taken, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._queue.put(
                    self._album.body(picture),
                    accession=picture.accession,
                    image_id=picture.id,
                    captured_at=datetime.fromisoformat(picture.captured_at),
                )
            except QueueFull as reason:
                log.warning("%s", reason)
                stop.wait(1)
            else:
                self._album.stored(picture)
                return


def _beat(orders: Orders, queue: Queue, over: threading.Event) -> None:
    """Heartbeats, by a clock that is wrong now and then."""
    began = time.monotonic()
    chance = random.Random()
    with Microscope(orders.url, orders.key, patience=ONCE) as line:
        while not over.is_set():
            skewed = "skew" in orders.faults.drawn(chance)
            clock = datetime.now(UTC) + LARGEST_SKEW * chance.uniform(-1, 1) * skewed
            counts = queue.counts()
            try:
                pause = line.heartbeat(
                    firmware=FIRMWARE,
                    uptime_seconds=int(time.monotonic() - began),
                    queue_length=counts.waiting,
                    oldest_unsent_seconds=int(counts.oldest_waiting),
                    refused=counts.refused,
                    clock=clock.isoformat(),
                )
            except (Refused, Unreachable) as error:
                log.info("heartbeat: %s", error)
                pause = RESTING_HEARTBEAT
            over.wait(pause)


def _pull_plug(seconds: float) -> None:
    """End this process, some time from now, as a power cut does: nothing is finished."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


def _end_with_parent() -> None:
    """Leave nothing running when the fleet's own process has gone."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
