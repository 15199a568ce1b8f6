"""The fleet drill: microscopes on a bad network, and the hospital's own servers fail as well.

    python -m tests.drills fleet --microscopes 20 --images 5000 --faults 0.05 --postgresql

Starts the real stack, has simulated microscopes send through every fault at once, meanwhile kills
the web twice, the broker once (it comes back empty) and the database once, and accounts for every
picture: by the microscopes' lists, by the hospital's answers, and by the database's rows.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from devices.simulator.cli import simulated
from devices.simulator.fleet import Standing
from devices.simulator.ledger import IN_HOSPITAL, Fate, Ledger
from devices.simulator.plan import FleetPlan
from tests import servers
from tests.drills import plans
from tests.stack.harness import ROOT, Stack, started_stack

SPECIMENS = 6
LIMITS = {"MAX_UPLOAD_BYTES": "500000"}
# Slowly enough that power is cut, and pictures are taken, until near the end.
PER_MINUTE = 120
# How long the broker and the database stay away.
AWAY = 3.0


@dataclass
class Wreck:
    """Breaks the hospital's servers, each when so many of the pictures are delivered.

    Attributes:
        at: the share of pictures and what then happens, in order.
        said: what has happened, for people.
    """

    at: list[tuple[float, str, Callable[[], None]]]
    began: float = field(default_factory=time.monotonic)
    said: list[str] = field(default_factory=list)

    def __call__(self, standing: Standing) -> None:
        """Look whether something is due."""
        done = standing.delivered + standing.refused
        while self.at and standing.wanted and done >= self.at[0][0] * standing.wanted:
            _, what, act = self.at.pop(0)
            act()
            self.said.append(f"{time.monotonic() - self.began:4.0f} s, {done} delivered: {what}")


@dataclass(frozen=True)
class Hospital:
    """A stack and the servers beside it, if they are not its own."""

    stack: Stack
    redis: servers.Redis | None
    database: servers.PostgreSQL | None

    def wreck(self) -> Wreck:
        """What is going to happen to it."""
        return Wreck(
            [
                (0.15, "web killed", self._kill("web")),
                (0.35, "broker lost, and all that was in it", self._lose_broker),
                *([(0.55, "database crashed", self._crash_database)] if self.database else []),
                (0.75, "web killed", self._kill("web")),
            ]
        )

    def _kill(self, name: str) -> Callable[[], None]:
        return lambda: os.kill(self.stack.pid(name), signal.SIGKILL)

    def _lose_broker(self) -> None:
        if self.redis is None:
            self._kill("broker")()
            return
        self.redis.stop()
        time.sleep(AWAY)
        self.redis.start()

    def _crash_database(self) -> None:
        assert self.database is not None
        self.database.crash()
        time.sleep(AWAY)
        self.database.start()


@contextmanager
def hospital_in(folder: Path, *, postgresql: bool, **settings: str) -> Iterator[Hospital]:
    """A hospital that is ready: on PostgreSQL and Redis, or as it comes for one machine."""
    with contextlib.ExitStack() as several:
        redis = database = None
        if postgresql:
            database = several.enter_context(servers.postgresql_server())
            redis = several.enter_context(servers.redis())
            settings = {"DATABASE_URL": database.url, "REDIS_URL": redis.url, **settings}
        stack = several.enter_context(started_stack(folder / "hospital", **LIMITS, **settings))
        stack.await_ready()
        yield Hospital(stack, redis, database)


def plan_for(stack: Stack, *, microscopes: int, images: int, faults: float, seed: int) -> FleetPlan:
    """A fleet whose microscopes the stack's hospital knows."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.drills.founding", str(microscopes), str(SPECIMENS)],
        cwd=ROOT,
        env={**stack.environment, "DJANGO_SETTINGS_MODULE": "hospital.config.settings"},
        stdout=subprocess.PIPE,
        check=True,
    )
    founded = json.loads(finished.stdout)
    fleet = plans.microscopes(founded, images=images, per_minute=PER_MINUTE)
    return plans.rough(stack.url, fleet, faults=faults, seed=seed, patience=240.0)


def discrepancies(stack: Stack, ledger: Ledger) -> list[str]:
    """Where the database's rows say something else than the ledger; nothing, if all is well."""
    images = {
        str(image_id): (sha256, accession, scope)
        for image_id, sha256, accession, scope in stack.rows(
            "SELECT CAST(i.id AS varchar), i.sha256, s.accession, d.name"
            " FROM diagnostics_fieldimage i"
            " JOIN diagnostics_specimen s ON s.id = i.specimen_id"
            " JOIN devices_device d ON d.id = i.device_id"
        )
    }
    analyses: dict[str, list[str]] = {}
    for image_id, state in stack.rows(
        "SELECT CAST(image_id AS varchar), state FROM diagnostics_analysis"
    ):
        analyses.setdefault(str(image_id), []).append(state)
    return [
        *_not_as_in_ledger(images, ledger),
        *_not_alone(images),
        *(
            f"{image_id} has the analyses {states}"
            for image_id in images
            if (states := analyses.get(image_id, [])) not in (["succeeded"], ["failed"])
        ),
    ]


Rows = Mapping[str, tuple[str, str, str]]


def _not_as_in_ledger(images: Rows, ledger: Ledger) -> Iterator[str]:
    """Pictures that the ledger does not know, or knows otherwise; and those that are not there."""
    expected = {
        _row_id(line.taken.id, images): (line.taken.sha256, line.taken.accession, line.microscope)
        for line in ledger.lines
        if line.fate in IN_HOSPITAL
    }
    for image_id in images.keys() | expected.keys():
        if images.get(image_id) != expected.get(image_id):
            yield (
                f"{image_id}: the database says {images.get(image_id)}, "
                f"the ledger {expected.get(image_id)}"
            )


def _row_id(image_id: object, images: Rows) -> str:
    """As the database writes it: SQLite's UUIDs have no dashes."""
    text = str(image_id)
    return text if text in images else text.replace("-", "")


def _not_alone(images: Rows) -> Iterator[str]:
    """The same bytes more than once."""
    first: dict[str, str] = {}
    for image_id, (sha256, _, _) in images.items():
        if first.setdefault(sha256, image_id) != image_id:
            yield f"{image_id} has the same bytes as {first[sha256]}"


def drill(
    hospital: Hospital, plan: FleetPlan, folder: Path, console: Console
) -> tuple[Ledger, list[str], list[str]]:
    """Run the fleet while the hospital's servers fail.

    Returns:
        The ledger, what was restarted, and where the database says something else.
    """
    wreck = hospital.wreck()
    ledger = simulated(plan, folder, console, folder / "ledger.json", watch=wreck)
    return ledger, wreck.said, discrepancies(hospital.stack, ledger)


def main(arguments: list[str]) -> int:
    """The drill; returns 0 if every picture is accounted for, and every one is reported."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 100)
    with contextlib.ExitStack() as several:
        folder = options.keep or Path(
            several.enter_context(tempfile.TemporaryDirectory(prefix="leukolens-drill-"))
        )
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"UPLOADS_PER_MINUTE": "100", "MAX_QUEUED_ANALYSES": "600"}
        console.print("Starting the hospital")
        hospital = several.enter_context(
            hospital_in(folder, postgresql=options.postgresql, **settings)
        )
        plan = plan_for(
            hospital.stack,
            microscopes=options.microscopes,
            images=options.images,
            faults=options.faults,
            seed=options.seed,
        )
        ledger, restarted, wrong = drill(hospital, plan, folder / "fleet", console)
        if options.ledger:
            ledger.write(options.ledger)
    for sentence in restarted:
        console.print(f"Restarted: {sentence}", highlight=False)
    for sentence in wrong[:20]:
        console.print(sentence, style="red", markup=False)
    settled = ledger.count(Fate.REPORTED, Fate.REFUSED) == options.images == len(ledger.lines)
    # What was refused was to be refused, for that very reason.
    meant = all(line.code == line.taken.wrong for line in ledger.lines)
    good = ledger.sound and settled and meant and not wrong
    console.print(
        f"{len(ledger.lines)} taken = {ledger.count(Fate.REPORTED)} reported "
        f"+ {ledger.count(Fate.REFUSED)} refused with a reason; lost {ledger.count(Fate.LOST)}, "
        f"double {ledger.count(Fate.DOUBLE)}; {len(wrong)} rows of the database say otherwise; "
        f"{ledger.seconds:.0f} s"
    )
    console.print("Held." if good else "NOT held.", style="green" if good else "bold red")
    return 0 if good else 1


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.drills fleet", description=__doc__)
    parser.add_argument("--microscopes", type=int, default=8)
    parser.add_argument("--images", type=int, default=500, help="all microscopes together")
    parser.add_argument("--faults", type=float, default=0.05, help="probability of each")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--postgresql", action="store_true", help="and Redis; else as embedded")
    parser.add_argument("--ledger", type=Path, help="write it there, as JSON")
    parser.add_argument("--keep", type=Path, help="folder for everything, not removed at the end")
    return parser.parse_args(arguments)
