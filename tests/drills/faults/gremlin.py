"""What the gremlin does to the hospital: each thing at least once, in an order of its own."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import redis
from celery import Celery

from tests.drills.faults.house import House
from tests.drills.faults.orders import Struck
from tests.drills.faults.relay import Relay
from tests.drills.faults.steps import IN_HAND, STEPS

HOUR = 3600
KINDS = ("steps", "kill", "restart", "store", "jobs", "clock", "poison", "screen", "island")
GLANCE = 0.05
# How long a worker that is to be caught at work may take to come by.
COMES_BY_WITHIN = 60.0
# Pauses between two deaths at a step of the same kind of process.
REST = 4.0


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to do, and what it is called."""

    kind: str
    name: str
    act: Callable[[], str | None]


@dataclass
class Gremlin:
    """Works in a thread of its own until everything has been done and it is told to stop.

    Attributes:
        lease: seconds that a worker may be silent.
        trouble: how long each trouble of the store, the line or a clock lasts.
        pause: seconds between two deeds.
        between: readings that are finished between two deaths at a step of one kind of process.
        send: sends a picture of the gremlin's own, poisonous or not.
        done: how often it has done what.
        failed: what it could not do, the last time it tried.
    """

    house: House
    chance: random.Random
    lease: float
    trouble: float
    pause: float
    between: int
    screen_line: Relay
    send: Callable[[bool], None]
    say: Callable[[str], None]
    only: frozenset[str] = frozenset(KINDS)
    done: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    strikers: list[threading.Thread] = field(default_factory=list)
    given_up: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)

    def run(self, *, again: bool) -> None:
        """Everything once, then, if `again`, at random until told to stop.

        The steps of each kind of process have a thread of their own: who has been killed at one
        takes seconds to come back and be killed at the next.
        """
        kinds = {step.kind for step in STEPS.values()} if "steps" in self.only else set()
        self.strikers = [
            threading.Thread(
                target=self._strike,
                args=(kind, random.Random(self.chance.random()), again),
                name=kind,
                daemon=True,
            )
            for kind in sorted(kinds)
        ]
        for one in self.strikers:
            one.start()
        try:
            deeds = [deed for deed in self._deeds() if deed.kind in self.only]
            self.chance.shuffle(deeds)
            # What takes its time to be over begins first.
            deeds.sort(key=lambda deed: {"poison": 0, "store": 1}.get(deed.kind, 2))
            for deed in deeds:
                self._do(deed)
            while again and not self.stop.wait(self.pause):
                self._do(self.chance.choice([one for one in deeds if one.kind != "poison"]))
        finally:
            self.finished.set()

    def await_strikes(self, patience: float) -> None:
        """Send pictures until every step has struck, if any is to."""
        deadline = time.monotonic() + patience
        while self.strikers and self._not_struck() and time.monotonic() < deadline:
            self.send(False)
            time.sleep(1)
        self.given_up = True

    def _not_struck(self) -> set[str]:
        return set(STEPS) - {one.step for one in self.house.orders.struck() if one.deed == "kill"}

    def thaw(self) -> None:
        """Let go on whoever is frozen still."""
        for one in self._frozen():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGCONT)

    def _do(self, deed: Deed) -> None:
        try:
            told = deed.act()
        except Exception as error:  # the drill goes on, and says so in the end
            self.failed[deed.name] = f"{type(error).__name__}: {error}"
            self.say(f"{deed.name}: not now, {self.failed[deed.name]}")
        else:
            self.done[deed.name] += 1
            self.say(f"{deed.name}{f': {told}' if told else ''}")
        time.sleep(self.pause * self.chance.uniform(0.5, 1.5))

    def _deeds(self) -> Iterator[Deed]:
        for name in self.house.members:
            yield Deed("kill", f"{name} killed -9", partial(self._kill, name))
        yield Deed("restart", "broker restarted, its content kept", self._restart_broker)
        yield Deed("restart", "broker wiped empty", self._wipe_broker)
        yield Deed("restart", "database restarted", self._restart_database)
        for mood in ("slow", "failing", "silent", "cut"):
            yield Deed("store", f"store {mood}", partial(self._mood, mood))
        yield Deed("store", "store full", self._fill_store)
        yield Deed("jobs", "worker frozen with a job that another then does, too", self._freeze)
        yield Deed("jobs", "the same message to all workers twenty times", self._ring)
        for name in self.house.workers:
            for hours in (1, -1):
                jump = partial(self._jump, name, hours)
                yield Deed("clock", f"clock of {name} {hours:+} h", jump)
        yield Deed("poison", "a picture that kills every worker", partial(self.send, True))
        yield Deed("screen", "a screen cut off and back", self._cut_screen)
        yield Deed("island", "worker-2 cut off in mid-work and brought back", self._cut_island)

    def _strike(self, kind: str, chance: random.Random, again: bool) -> None:
        """Kill a process of that kind at each of its steps, and `again` at random ones."""
        steps = [name for name, step in STEPS.items() if step.kind == kind]
        chance.shuffle(steps)
        while steps and not self.given_up:
            step = steps.pop()
            self.house.orders.arm(step, "kill")
            if kind == "housekeeping":
                # There is something to take back only when somebody has left something.
                self.house.orders.arm("claimed", "kill")
            while step in self.house.orders.armed():
                if self.given_up:
                    return
                time.sleep(GLANCE)
            if self.given_up:  # and nothing is armed any more
                return
            self.say(f"{kind} killed at '{step}'")
            self._let_recover(kind)
            if not self.stop.wait(REST * self.pause) and again and not steps:
                steps = [chance.choice([n for n, one in STEPS.items() if one.kind == kind])]

    def _let_recover(self, kind: str) -> None:
        """Wait until one of them is back and has got something done, however slow the machine."""
        while not any(one.ready for one in self.house.named(kind)) and not self.given_up:
            time.sleep(GLANCE)
        enough = self._finished() + self.between
        while not self.stop.is_set() and self._finished() < enough:
            time.sleep(1)

    def _finished(self) -> int:
        done = "SELECT count(*) FROM diagnostics_analysis WHERE state IN ('succeeded', 'failed')"
        return int(self.house.rows(done)[0][0])

    def _kill(self, name: str) -> str:
        self.house.members[name].end(signal.SIGKILL, whole=True)
        return ""

    def _restart_broker(self) -> str:
        waiting = redis.Redis.from_url(self.house.redis_url)
        with contextlib.suppress(redis.ConnectionError):
            waiting.shutdown(save=True)
        return ""

    def _wipe_broker(self) -> str:
        with contextlib.suppress(redis.ConnectionError):
            redis.Redis.from_url(self.house.redis_url).flushall()
        return ""

    def _restart_database(self) -> str:
        self.house.members["database"].end(signal.SIGINT, away=self.trouble / 2)
        return ""

    def _mood(self, mood: str) -> str:
        self.house.orders.say("store", mood)
        time.sleep(self.trouble)
        self.house.orders.say("store", "")
        return f"for {self.trouble:.1f} s"

    def _fill_store(self) -> str:
        """For real, on a file system of its own; else it only says so."""
        if not (folder := self.house.orders.told("tmpfs")):
            return f"said so {self._mood('full')}"
        ballast = Path(folder) / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, _free(folder))
            while file.write(bytes(1 << 12)):
                pass
        time.sleep(self.trouble)
        ballast.unlink(missing_ok=True)
        return f"for {self.trouble:.1f} s, its file system without a free byte"

    def _freeze(self) -> str:
        """Stop a worker that has just read something, until its lease is over and longer."""
        before = {one.pid for one in self._frozen()}
        self.house.orders.arm(IN_HAND, "freeze")
        deadline = time.monotonic() + COMES_BY_WITHIN
        while not (caught := {one.pid for one in self._frozen()} - before):
            if time.monotonic() > deadline:
                self.house.orders.disarm(IN_HAND)
                raise TimeoutError("nobody came by")
            time.sleep(GLANCE)
        name = ", ".join(map(self.house.name_of, caught))
        time.sleep(self.lease + 2)
        self.thaw()
        return name

    def _frozen(self) -> list[Struck]:
        return [one for one in self.house.orders.struck() if one.deed == "freeze"]

    def _ring(self) -> str:
        with Celery(broker=self.house.redis_url) as app:
            for _ in range(20):
                app.send_task("diagnostics.tasks.analyse", queue="analyses")
        return ""

    def _jump(self, name: str, hours: int) -> str:
        self.house.orders.say(f"clock-{name}", str(hours * HOUR))
        time.sleep(self.trouble)
        self.house.orders.say(f"clock-{name}", "0")
        return f"for {self.trouble:.1f} s, then back"

    def _cut_screen(self) -> str:
        self.screen_line.cut()
        time.sleep(self.trouble)
        self.screen_line.mend()
        return f"for {self.trouble:.1f} s"

    def _cut_island(self) -> str:
        """Once it has claimed something; for longer than its lease lasts."""
        hers = self.house.members["worker-2"]
        deadline = time.monotonic() + COMES_BY_WITHIN
        query = "SELECT worker FROM diagnostics_analysis WHERE state = 'running'"
        while not any(f":{hers.pid}:" in worker for (worker,) in self.house.rows(query)):
            if time.monotonic() > deadline:
                raise TimeoutError("it had nothing to do")
            time.sleep(GLANCE)
        self.house.island.cut()
        time.sleep(self.lease + 2)
        self.house.island.mend()
        return f"for {self.lease + 2:.0f} s"


def _free(folder: str) -> int:
    told = os.statvfs(folder)
    return max(1, told.f_bavail * told.f_frsize)
