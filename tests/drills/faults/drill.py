"""The drill itself: a hospital, its microscopes, the gremlin, and the reckoning afterwards."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from devices.simulator.fleet import Fleet, Standing
from devices.simulator.ledger import Ledger, drawn_up
from devices.simulator.pictures import draw_smears, pictures_in
from tests.drills import plans
from tests.drills.faults import account, house
from tests.drills.faults.gremlin import KINDS, Gremlin
from tests.drills.faults.island import island
from tests.drills.faults.own import Own
from tests.drills.faults.reader import TRULY, checksum
from tests.drills.faults.relay import Relay
from tests.drills.faults.screens import Heard, Screens
from tests.drills.faults.steps import STEPS
from tests.stack.harness import wait_until

SPECIMENS = 6
PATIENCE = 300.0
# From so many pictures on it is the large drill: patient, and broken again and again.
MANY = 1_000
# The share of pictures after which nothing more is broken.
UNTIL = 0.9
TOLD_EVERY = 10.0
# After the last picture: until the steps that nobody has passed yet have struck, too.
STRIKES_WITHIN = 400.0
HEARD_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the drill.

    Attributes:
        per_minute: pictures that each microscope takes.
        truly: about so many pictures are read by the true package.
        webs: web processes at one address.
        faults: the probability of each fault of the network.
        only: of `gremlin.KINDS`.
    """

    images: int
    seed: int
    microscopes: int = 10
    per_minute: float = 40.0
    truly: int = 200
    webs: int = 1
    faults: float = 0.03
    only: frozenset[str] = frozenset(KINDS)


@dataclass(frozen=True, slots=True)
class Scale:
    """How patient the hospital is, and the gremlin; how many different pictures there are."""

    lease: int
    trouble: float
    pause: float
    between: int
    batch: int
    attempts: int
    smears: int

    @property
    def settings(self) -> dict[str, str]:
        """As the product is told."""
        return {
            "ANALYSIS_LEASE_SECONDS": str(self.lease),
            "ANALYSIS_BATCH": str(self.batch),
            "ANALYSIS_MAX_ATTEMPTS": str(self.attempts),
            "ANALYSIS_NUDGE_SECONDS": "2",
            "SWEEP_SECONDS": "1",
            "LIVE_TICK_SECONDS": "2",
            "S3_TIMEOUT_SECONDS": "2",
            "MAX_UPLOAD_BYTES": "500000",
            "LOG_LEVEL": "WARNING",
        }


SHORT = Scale(lease=4, trouble=1.0, pause=0.1, between=0, batch=4, attempts=4, smears=24)
LONG = Scale(lease=10, trouble=5.0, pause=5.0, between=50, batch=16, attempts=6, smears=48)


@dataclass
class Drilled:
    """What came of a drill, for people and for tests."""

    account: account.Account
    ledger: Ledger
    done: Counter[str]
    struck: Counter[str]
    heard: list[Heard]
    island: str
    seconds: float


def drill(folder: Path, console: Console, wanted: Wanted) -> Drilled:
    """Found a hospital in `folder`, break it while its pictures come in, and reckon up."""
    began, scale = time.monotonic(), LONG if wanted.images >= MANY else SHORT

    def say(sentence: str) -> None:
        since = time.monotonic() - began
        console.print(f"{since:5.0f} s  {sentence}", markup=False, highlight=False)

    smears = folder / "smears"
    draw_smears(smears, count=scale.smears, seed=wanted.seed)
    with contextlib.ExitStack() as stack:
        ground = stack.enter_context(island())
        say(f"starting the hospital; worker-2 lives in {ground.how}")
        opening = house.opened(
            folder,
            ground,
            microscopes=wanted.microscopes + 1,
            specimens=SPECIMENS,
            webs=wanted.webs,
            settings=scale.settings | {TRULY: " ".join(_truly_read(smears, wanted))},
        )
        hospital = stack.enter_context(opening)
        screens, cuttable = Screens(), Relay()
        stack.callback(screens.close)
        heard = list(_screens(screens, hospital, cuttable))
        say("the hospital is ready, two screens listen")
        body = pictures_in(smears)[-2].read_bytes()
        own = Own(hospital.url, hospital.founded["microscopes"][-1], body, hospital.orders)
        gremlin = Gremlin(
            house=hospital,
            chance=random.Random(wanted.seed),
            lease=scale.lease,
            trouble=scale.trouble,
            pause=scale.pause,
            between=scale.between,
            screen_line=cuttable,
            send=own.send,
            say=say,
            only=wanted.only,
        )
        ledger = _sent(hospital, gremlin, own, folder, wanted, say)
        _await_told(hospital, heard)
        drawn = account.drawn_up(hospital, ledger, own.poison, heard)
        struck = Counter(one.step for one in hospital.orders.struck())
        undone = {what: why for what, why in gremlin.failed.items() if not gremlin.done[what]}
        drawn.wrong += [f"could not be tried: {what}: {why}" for what, why in undone.items()]
        if "steps" in wanted.only:
            drawn.wrong += [f"nobody was killed at '{one}'" for one in STEPS if not struck[one]]
        took = time.monotonic() - began
        return Drilled(drawn, ledger, gremlin.done, struck, heard, ground.how, took)


def _sent(
    hospital: house.House,
    gremlin: Gremlin,
    own: Own,
    folder: Path,
    wanted: Wanted,
    say: Callable[[str], None],
) -> Ledger:
    """Let the microscopes send and the gremlin break; then mend everything, and ask."""
    told_at = 0.0

    def watch(standing: Standing) -> None:
        nonlocal told_at
        settled = standing.delivered + standing.refused
        if settled >= UNTIL * wanted.images:
            gremlin.stop.set()
        if time.monotonic() - told_at > TOLD_EVERY:
            told_at = time.monotonic()
            say(f"{standing.taken} of {wanted.images} taken, {settled} delivered or refused")

    fleet = plans.microscopes(
        hospital.founded["microscopes"][: wanted.microscopes],  # one more is the drill's own
        images=wanted.images,
        per_minute=wanted.per_minute,
        pictures=folder / "smears",
    )
    plan = plans.rough(
        hospital.url, fleet, faults=wanted.faults, seed=wanted.seed, patience=PATIENCE
    )
    again = wanted.images >= MANY
    threading.Thread(target=gremlin.run, kwargs={"again": again}, daemon=True).start()
    outcome = Fleet(plan, folder / "fleet").run(watch=watch)
    gremlin.stop.set()
    say("the microscopes have finished; the gremlin is waited for")
    wait_until(gremlin.finished.is_set, "the gremlin's end", patience=2 * PATIENCE)
    gremlin.await_strikes(STRIKES_WITHIN)
    hospital.orders.disarm()
    gremlin.thaw()
    hospital.await_ready()
    say("nothing is broken any more; the hospital catches up")
    ledger = drawn_up(plan, folder / "fleet", outcome, patience=PATIENCE)
    own.settle(PATIENCE)
    ledger.lines += own.lines
    return ledger


def _screens(screens: Screens, hospital: house.House, cuttable: Relay) -> Iterator[Heard]:
    """Two of one clinic: one by a line that nobody touches, one by a line that is cut."""
    host, port = hospital.url.removeprefix("http://").split(":")
    staff = hospital.founded["staff"][0]
    yield screens.open(hospital.url, staff)
    yield screens.open(f"http://{host}:{cuttable.line(host, (host, int(port)))}", staff)


def _truly_read(smears: Path, wanted: Wanted) -> Iterator[str]:
    """Checksums of the smears that the true package reads."""
    from ml.preprocessing import open_picture

    drawn = pictures_in(smears)
    few = max(1, round(len(drawn) * wanted.truly / wanted.images)) if wanted.truly else 0
    for path in drawn[:few]:
        yield checksum(open_picture(path.read_bytes()))


def _await_told(hospital: house.House, heard: list[Heard]) -> None:
    """Give the screens time to hear the last of it."""
    deadline = time.monotonic() + HEARD_WITHIN
    while time.monotonic() < deadline:
        if not any(one.missing(account.events_on(hospital, one.topic)) for one in heard):
            return
        time.sleep(0.5)
