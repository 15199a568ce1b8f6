"""The fleet: a process for each microscope, started again whenever its power was cut."""

import multiprocessing
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ..agent.queue import Queue
from .microscope import STOPPED, Orders, queue_in, run
from .pictures import NoPictures, draw_smears, pictures_in
from .plan import FleetPlan, MicroscopePlan
from .taken import count_taken
from .wire import Wire, Wires

GLANCE = 0.5
# Not by a power cut: something is wrong with the simulator itself.
MOST_CRASHES = 5
LONGEST_DARKNESS = 1.0
# A process that is told to end finishes the request it has in hand.
LAST_REQUEST = 70.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the fleet is, in pictures. `wanted` is None when it goes by time."""

    wanted: int | None
    taken: int
    delivered: int
    refused: int
    waiting: int
    power_cuts: int


@dataclass(slots=True)
class Bench:
    """One microscope and its process, as the fleet sees it.

    Attributes:
        ended: how it ended; '' while it is to go on.
    """

    plan: MicroscopePlan
    orders: Orders
    queue: Queue
    process: BaseProcess | None = None
    start_at: float = 0.0
    power_cuts: int = 0
    crashes: int = 0
    ended: str = ""


@dataclass(slots=True)
class Outcome:
    """What happened while the fleet ran.

    Attributes:
        happened: faults and other events of the wire and the plugs, by name.
        endings: how each microscope ended, by its name.
    """

    happened: Counter[str] = field(default_factory=Counter)
    endings: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Fleet:
    """Runs a plan in a folder. Run again in the same folder, it goes on where it was left."""

    def __init__(self, plan: FleetPlan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._chance = random.Random(f"{plan.seed}/darkness")
        # Forked from a process that has everything loaded, and nothing else: a microscope is back
        # within milliseconds, and has no thread of ours in it.
        methods = multiprocessing.get_all_start_methods()
        self._processes: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        if "forkserver" in methods:
            self._processes.set_forkserver_preload([f"{__package__}.microscope"])

    def run(self, *, watch: Callable[[Standing], None] = lambda standing: None) -> Outcome:
        """Until everything that was taken is delivered or refused, or nothing moves any more.

        Ctrl-C ends it early, in order; what is not delivered then is still with the microscopes.

        Raises:
            NoPictures: there is nothing to photograph.
        """
        began = time.monotonic()
        pictures = {one.name: self._pictures(one) for one in self._plan.microscopes}
        with Wires({one.name: self._wire(one) for one in self._plan.microscopes}) as wires:
            benches = [
                self._bench(one, wires.wires[one.name].url, pictures[one.name])
                for one in self._plan.microscopes
            ]
            try:
                self._keep_alive(benches, watch)
            except KeyboardInterrupt:
                for bench in benches:
                    bench.ended = bench.ended or "interrupted"
            finally:
                self._end(benches)
        outcome = Outcome(wires.happened(), {b.plan.name: b.ended for b in benches})
        outcome.happened["power_cut"] = sum(bench.power_cuts for bench in benches)
        outcome.seconds = time.monotonic() - began
        return outcome

    def _keep_alive(self, benches: list[Bench], watch: Callable[[Standing], None]) -> None:
        moved_at, before = time.monotonic(), None
        while not all(bench.ended for bench in benches):
            for bench in benches:
                self._look_after(bench)
            standing = self._standing(benches)
            watch(standing)
            if standing != before:
                moved_at, before = time.monotonic(), standing
            if time.monotonic() - moved_at > self._plan.patience:
                for bench in benches:
                    bench.ended = bench.ended or "nothing moved any more"
            wait([b.process.sentinel for b in benches if b.process], timeout=GLANCE)

    def _look_after(self, bench: Bench) -> None:
        """Start it if it is to run and does not; note how it ended."""
        if bench.ended:
            return
        if bench.process is None:
            if time.monotonic() >= bench.start_at:
                bench.process = self._processes.Process(target=run, args=(bench.orders,))
                bench.process.start()
            return
        code = bench.process.exitcode
        if code is None:
            return
        bench.process.join()
        bench.process = None
        if code == 0:
            bench.ended = "done"
        elif code == STOPPED:
            bench.ended = f"stopped: {bench.queue.notes().get('stopped', '')}"
        elif code == -signal.SIGKILL:
            bench.power_cuts += 1
            bench.start_at = time.monotonic() + self._chance.uniform(0, LONGEST_DARKNESS)
        else:
            bench.crashes += 1
            bench.start_at = time.monotonic() + 1
            if bench.crashes == MOST_CRASHES:
                bench.ended = f"crashed with code {code}; see {bench.orders.folder / 'log.txt'}"

    def _standing(self, benches: list[Bench]) -> Standing:
        counts = [bench.queue.counts() for bench in benches]
        wanted = [bench.orders.count for bench in benches]
        return Standing(
            wanted=sum(w for w in wanted if w) if None not in wanted else None,
            taken=sum(count_taken(bench.orders.folder) for bench in benches),
            delivered=sum(count.sent for count in counts),
            refused=sum(count.refused for count in counts),
            waiting=sum(count.waiting for count in counts),
            power_cuts=sum(bench.power_cuts for bench in benches),
        )

    def _end(self, benches: list[Bench]) -> None:
        running = [bench.process for bench in benches if bench.process]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + LAST_REQUEST
        for process in running:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()
        for bench in benches:
            bench.queue.close()

    def _wire(self, one: MicroscopePlan) -> Wire:
        plan = self._plan
        chance = random.Random(f"{plan.seed}/{one.name}/wire")
        return Wire(plan.url, plan.faults, chance, plan.pace)

    def _pictures(self, one: MicroscopePlan) -> tuple[Path, ...]:
        folder = one.pictures or self._folder / "smears"
        if one.pictures is None:
            draw_smears(folder, count=self._plan.smears, seed=self._plan.seed)
        if not folder.is_dir():
            raise NoPictures(f"There is no folder {folder}.")
        if not (found := pictures_in(folder)):
            raise NoPictures(f"No JPEG, PNG or TIFF file in {folder}.")
        return tuple(path.resolve() for path in found)

    def _bench(self, one: MicroscopePlan, url: str, pictures: tuple[Path, ...]) -> Bench:
        plan, folder = self._plan, folder_of(self._folder, one)
        queue = Queue(queue_in(folder))
        count = one.count
        if count is None and plan.duration is None:
            count = len(pictures)
        orders = Orders(
            name=one.name,
            key=one.key,
            accessions=one.accessions,
            folder=folder,
            url=url,
            pictures=pictures,
            count=count,
            until=None if plan.duration is None else time.time() + plan.duration,
            per_minute=one.per_minute,
            faults=plan.faults,
            seed=plan.seed,
            too_large=plan.too_large,
            large=plan.large,
            first_wait=plan.first_wait,
            longest_wait=plan.longest_wait,
        )
        return Bench(one, orders, queue)


def folder_of(folder: Path, one: MicroscopePlan) -> Path:
    """Where one microscope of the fleet in `folder` keeps its things."""
    return folder / one.name
