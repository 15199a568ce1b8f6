"""The overload drill: microscopes send twice as fast as the hospital can read.

    python -m tests.drills overload --minutes 10

Starts the processes of docker/compose.yml with an engine that takes its time, so that it is known
how much the hospital can read. Prints how much memory each process has, how long the worklist's
page takes, what one microscope more is told, and how long it takes until all is as before. Ends
with 1 if a picture is lost or double, a refusal does not say when to come again, a process had to
be started anew, or its memory kept growing. Times of pages are said, not judged: the machine that
runs the drill also runs the microscopes.
"""

import argparse
import base64
import contextlib
import os
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from statistics import median, quantiles

import httpx
from rich.console import Console
from rich.table import Table

from devices.simulator.fleet import Fleet, Standing
from devices.simulator.ledger import Fate, Ledger, drawn_up
from devices.simulator.pictures import draw_smears, pictures_in, with_note
from devices.simulator.plan import FleetPlan
from hospital.config.demo.screen import TOKEN
from tests.drills import plans
from tests.drills.faults import house
from tests.drills.faults.island import mainland
from tests.drills.faults.reader import TAKES
from tests.stack.harness import wait_until

WORKERS = 2
# Seconds that each worker takes for a picture; so the hospital reads six or so in a second.
A_PICTURE_TAKES = 0.3
TWICE = 2.0
# More than is read until the last of those who were refused comes again (capacity.COME_AGAIN, and
# the microscope's own share): with fewer the hospital would stand idle in between.
MOST_QUEUED = 300
MICROSCOPES = 12
GLANCE = 1.0
TOLD_EVERY = 15.0
# What a process may have gained at the end over what it had after a third of the time.
MAY_GROW = 1.25
MAY_GROW_MEGABYTES = 40
PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the hospital.

    Attributes:
        memory: megabytes of each process.
        page: seconds that the worklist took to come; and the status with which it came.
    """

    at: float
    memory: dict[str, float]
    queued: int
    page: float
    status: int


@dataclass
class Watch:
    """Looks at the hospital, from a thread of its own, and tries to send with no patience.

    Attributes:
        told: what that microscope was told: status, code, and whether it says when to return.
    """

    hospital: house.House
    looks: list[Look] = field(default_factory=list)
    told: Counter[tuple[int, str, bool]] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, body: bytes) -> None:
        """Until it is over."""
        state = "SELECT count(*) FROM diagnostics_analysis WHERE state = 'queued'"
        with _signed_in(self.hospital) as staff, httpx.Client(timeout=60) as microscope:
            while not self.over.wait(GLANCE):
                at, memory = time.monotonic(), _memory(self.hospital)
                queued = int(self.hospital.rows(state)[0][0])
                asked = time.monotonic()
                status = staff.get("/worklist/").status_code
                page = time.monotonic() - asked
                self.looks.append(Look(at, memory, queued, page, status))
                self._send(microscope, body)

    def _send(self, microscope: httpx.Client, body: bytes) -> None:
        """As a microscope without patience."""
        image, own = uuid.uuid4(), self.hospital.founded["microscopes"][-1]
        marked = with_note(body, f"watch {image}")
        digest = base64.b64encode(sha256(marked).digest()).decode()
        headers = {
            "Authorization": f"Bearer {own['key']}",
            "Content-Type": "image/jpeg",
            "Content-Digest": f"sha-256=:{digest}:",
            "Accession-Number": own["accessions"][0],
        }
        url = f"{self.hospital.url}/api/device/v1/images/{image}"
        answer = microscope.put(url, content=marked, headers=headers)
        code = "" if answer.is_success else str(answer.json().get("code"))
        self.told[answer.status_code, code, "retry-after" in answer.headers] += 1


@contextlib.contextmanager
def _signed_in(hospital: house.House):
    """A haematologist's browser."""
    one = hospital.founded["staff"][0]
    with httpx.Client(base_url=hospital.url, follow_redirects=True, timeout=60) as staff:
        token = TOKEN.search(staff.get("/login/").text)
        assert token
        form = {"username": one["name"], "password": one["password"]}
        form["csrfmiddlewaretoken"] = token.group(1)
        staff.post("/login/", data=form, headers={"Referer": f"{hospital.url}/login/"})
        yield staff


def _memory(hospital: house.House) -> dict[str, float]:
    """Megabytes in main memory, by process; the database's with its children."""
    return {
        name: sum(map(_resident, [one.process.pid, *_children(one.process.pid)])) / 1e6
        for name, one in hospital.members.items()
        if one.process is not None
    }


def _resident(pid: int) -> int:
    """What is its own: memory that several share would count for each."""
    with contextlib.suppress(OSError, ValueError):
        total, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
        return (int(total) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@dataclass
class Overloaded:
    """What came of it."""

    watch: Watch
    ledger: Ledger
    began: float
    stopped: float
    recovered: float
    restarted: list[str]

    @property
    def wrong(self) -> list[str]:
        """A sentence for each thing that must not be."""
        good = self.ledger.count(Fate.REPORTED)
        sentences = [f"{one} had to be started anew" for one in self.restarted]
        if good != len(self.ledger.lines):
            sentences.append(f"{len(self.ledger.lines) - good} pictures are not reported")
        for (status, code, says_when), many in self.watch.told.items():
            if status >= httpx.codes.BAD_REQUEST and not says_when:
                sentences.append(f"{many} refusals {status} {code} do not say when to come again")
        if not any(status in (429, 503) for status, _, _ in self.watch.told):
            sentences.append("nobody was ever told to come again: that was no overload")
        return sentences + [f"{name} kept growing" for name in self._growing()]

    def _growing(self) -> list[str]:
        """Compared: the middle of the overload's second third, and of its last."""
        looks = self.watch.looks
        within = [one.memory for one in looks if self.began <= one.at <= self.stopped]
        third = len(within) // 3
        if not third:
            return []

        def usual(part: Sequence[dict[str, float]], name: str) -> float:
            return median(one.get(name, 0.0) for one in part)

        return [
            name
            for name in within[-1]
            if usual(within[-third:], name)
            > MAY_GROW * usual(within[third : 2 * third], name) + MAY_GROW_MEGABYTES
        ]


def drill(folder: Path, console: Console, *, minutes: float) -> Overloaded:
    """Found a hospital, send it twice what it can read for so long, and wait until it has."""
    draw_smears(folder / "smears", count=8, seed=1)
    settings = {
        "MAX_QUEUED_ANALYSES": str(MOST_QUEUED),
        "LOG_LEVEL": "WARNING",
        TAKES: str(A_PICTURE_TAKES),
    }
    capacity = WORKERS / A_PICTURE_TAKES
    with house.opened(
        folder, mainland(), microscopes=MICROSCOPES + 1, specimens=4, webs=1, settings=settings
    ) as hospital:
        watch = Watch(hospital)
        body = pictures_in(folder / "smears")[0].read_bytes()
        looking = threading.Thread(target=watch.run, args=(body,), daemon=True)
        looking.start()
        console.print(
            f"The hospital reads {capacity:.1f} pictures a second, "
            f"and is sent {TWICE * capacity:.1f}, for {minutes:g} minutes",
            highlight=False,
        )
        began, told_at = time.monotonic(), 0.0

        def tell(standing: Standing) -> None:
            nonlocal told_at
            if time.monotonic() - told_at > TOLD_EVERY and watch.looks:
                told_at, last = time.monotonic(), watch.looks[-1]
                memory = ", ".join(f"{n} {m:.0f}" for n, m in last.memory.items())
                console.print(
                    f"{told_at - began:5.0f} s  {standing.taken} taken, {standing.delivered} "
                    f"delivered, {last.queued} queued; MB: {memory}",
                    highlight=False,
                )

        plan = _plan(hospital, folder, TWICE * capacity, 60 * minutes)
        outcome = Fleet(plan, folder / "fleet").run(watch=tell)
        stopped = began + 60 * minutes
        ledger = drawn_up(plan, folder / "fleet", outcome, patience=PATIENCE)
        wait_until(lambda: watch.looks[-1].queued == 0, "an empty queue", patience=PATIENCE)
        recovered = time.monotonic()
        time.sleep(20 * GLANCE)
        watch.over.set()
        looking.join()
        again = [name for name, one in hospital.members.items() if one.starts > 1]
        return Overloaded(watch, ledger, began, stopped, recovered, again)


def _plan(hospital: house.House, folder: Path, rate: float, seconds: float) -> FleetPlan:
    fleet = plans.microscopes(
        hospital.founded["microscopes"][:MICROSCOPES],
        per_minute=60 * rate / MICROSCOPES,
        pictures=folder / "smears",
    )
    return FleetPlan(
        url=hospital.url,
        microscopes=fleet,
        duration=seconds,
        longest_wait=10.0,
        patience=PATIENCE,
    )


def tell(found: Overloaded, console: Console) -> None:
    """The tables, and what is wrong."""
    watch = found.watch
    table = Table(title="Megabytes of each process", title_justify="left")
    names = list(watch.looks[-1].memory)
    for name in ("seconds", "queued", *names):
        table.add_column(name, justify="right")
    for one in watch.looks[:: max(1, len(watch.looks) // 12)]:
        megabytes = (f"{one.memory.get(name, 0):.0f}" for name in names)
        table.add_row(f"{one.at - found.began:.0f}", str(one.queued), *megabytes)
    console.print(table)
    parts = {
        "while overloaded": (found.began, found.stopped),
        "afterwards": (found.stopped, float("inf")),
    }
    for part, (low, high) in parts.items():
        took = [1000 * one.page for one in watch.looks if low <= one.at < high]
        if len(took) > 1:
            console.print(
                f"The worklist's page {part}: median {median(took):.0f} ms, 95 of 100 within "
                f"{quantiles(took, n=20)[-1]:.0f} ms, of {len(took)}",
                highlight=False,
            )
    statuses = Counter(one.status for one in watch.looks)
    console.print(f"Statuses of the page: {dict(statuses)}", highlight=False)
    for (status, code, says_when), many in sorted(watch.told.items()):
        when = "with Retry-After" if says_when else ""
        console.print(f"One microscope more was told {status} {code} {when}: {many} times")
    console.print(
        f"{len(found.ledger.lines)} taken, {found.ledger.count(Fate.REPORTED)} reported; the queue "
        f"was empty {found.recovered - found.stopped:.0f} s after the last picture was taken; "
        f"started anew: {', '.join(found.restarted) or 'nothing'}",
        highlight=False,
    )
    for sentence in found.wrong:
        console.print(sentence, style="red")
    console.print("Held." if not found.wrong else "NOT held.")


def main(arguments: Sequence[str]) -> int:
    """The drill; returns 0 if nothing is wrong."""
    parser = argparse.ArgumentParser("python -m tests.drills overload", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    with tempfile.TemporaryDirectory(prefix="leukolens-overload-") as name:
        found = drill(Path(name), console, minutes=options.minutes)
    tell(found, console)
    return 1 if found.wrong else 0
