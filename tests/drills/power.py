"""The power-cut drill: the agent is killed again and again while it works; nothing may be lost.

    python -m tests.drills.power --cuts 200

A camera saves pictures into a folder without a pause, of several specimens and labelled in several
ways. The agent is a real process, killed with SIGKILL at random instants and started again, against
the real device API. In the end every picture must be in the hospital once, under its own specimen.

A kill leaves what was written in the system's memory, so this proves the order of the steps. That
the bytes are synced before they are relied on is proven by tests/devices/agent/test_queue.py.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devices.agent.home import Credentials, Home
from devices.agent.queue import Queue, State

ROOT = Path(__file__).resolve().parents[2]
# Whole pictures, larger than this, go in pieces where the hospital can.
LARGE_MB = "0.012"
OPTIONS = ("--settle", "0.1", "--every", "0.02", "--large-mb", LARGE_MB, "--keep-free", "0")
PATIENCE = 120.0

Received = Callable[[], Sequence[tuple[str, str]]]
"""What the hospital has: accession number and SHA-256 of each picture."""


@dataclass
class Ledger:
    """What was saved by the camera, and what became of it."""

    cuts: int = 0
    cuts_at_work: int = 0
    taken: int = 0
    received: int = 0
    lost: int = 0
    double: int = 0
    wrong_specimen: int = 0
    dead_letters: int = 0
    seconds: float = 0.0
    found_after_cuts: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.double or self.wrong_specimen or self.dead_letters)


class Camera:
    """Saves pictures into a folder, by itself, until it is told to stop.

    Attributes:
        saved: accession number of each picture, by the SHA-256 of its bytes.
    """

    def __init__(self, folder: Path, accessions: Sequence[str], rng: random.Random) -> None:
        self.saved: dict[str, str] = {}
        self._folder = folder
        self._accessions = accessions
        self._rng = rng
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Camera":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(self._rng.uniform(0.05, 0.4)):
            # Not more than it could ever deliver: the drill is about order, not about backlog.
            if sum(1 for _ in self._folder.iterdir()) < 30:
                self._save()

    def _save(self) -> None:
        from tests.world import jpeg

        number = len(self.saved)
        body = jpeg(number, side=self._rng.choice([96, 160, 400]))
        accession = self._rng.choice(self._accessions)
        labelled_by = self._rng.choice(["name", "json", "txt"])
        # A name that comes again and again, as of cameras that know only one.
        name = f"{accession}_{number}.jpg" if labelled_by == "name" else f"field{number % 7}.jpg"
        path = self._folder / name
        if path.exists():
            return
        if labelled_by == "json":
            note = {"accession": accession, "captured_at": "2026-11-20T09:30:00Z"}
            path.with_name(f"{name}.json").write_text(json.dumps(note))
        elif labelled_by == "txt":
            path.with_name(f"{name}.txt").write_text(f"{accession}\n")
        self.saved[hashlib.sha256(body).hexdigest()] = accession
        with path.open("wb") as file:
            # In two strokes, as a slow card does: half a picture must not be taken for one.
            file.write(body[: len(body) // 2])
            file.flush()
            time.sleep(self._rng.choice([0.0, 0.0, 0.03]))
            file.write(body[len(body) // 2 :])


class Agent:
    """The agent as a process of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder = folder
        self._home = home
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it watches."""
        self.spawn()
        self.await_watching()

    def spawn(self) -> None:
        """Start it and do not wait: it looks at what the last cut has left."""
        command = [sys.executable, "-m", "devices.agent", "run", str(self._folder)]
        self._process = subprocess.Popen(
            [*command, "--home", str(self._home), "--no-page", *OPTIONS],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_watching(self) -> None:
        """Wait until it watches the folder."""
        assert self._process is not None and self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if "watching" in line:
                break
        else:
            raise AssertionError(f"the agent did not begin: {''.join(said)}")
        # Somebody must listen, or it would stand still when the pipe is full.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def cut(self) -> None:
        """The power goes."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """The service manager stops it."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=PATIENCE)


def drill(
    *,
    url: str,
    key: str,
    accessions: Sequence[str],
    received: Received,
    place: Path,
    cuts: int,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> Ledger:
    """Cut the power `cuts` times, then let the agent finish and count.

    Args:
        url, key: of the hospital; the key is a microscope's.
        accessions: of specimens that the microscope may send pictures of.
        place: an empty folder for camera and agent.
    """
    rng = random.Random(seed)
    folder, home_folder = place / "camera", place / "home"
    folder.mkdir()
    home = Home(home_folder)
    home.save(Credentials(server=url, key=key, interval_seconds=5))
    agent, ledger, began = Agent(folder, home_folder), Ledger(), time.monotonic()
    agent.start()
    startup = max(0.5, time.monotonic() - began)
    agent.cut()
    # Its own random numbers: the two run side by side.
    with Camera(folder, accessions, random.Random(seed + 1)) as camera:
        for _ in range(cuts):
            agent.spawn()
            # One in four comes while it still mends what the last one has left.
            if rng.random() < 0.25:
                time.sleep(rng.uniform(0.3, startup))
            else:
                agent.await_watching()
                time.sleep(rng.uniform(0.0, 1.0))
            agent.cut()
            ledger.cuts += 1
            _look(ledger, folder, home)
            if ledger.cuts % 20 == 0:
                say(f"{ledger.cuts} cuts, {len(camera.saved)} pictures taken")
    agent.start()
    _await_empty(folder, home)
    agent.stop()
    ledger.seconds = time.monotonic() - began
    return _counted(ledger, camera.saved, received(), home)


def _look(ledger: Ledger, folder: Path, home: Home) -> None:
    """What the cut has left half done."""
    queue = Queue(home.queue_folder)
    waiting, unfinished = queue.counts().waiting, len(queue.leftovers())
    rows = {str(item.id) for state in State for item in queue.in_state(state, most=10**6)}
    queue.close()
    files = {path.name for path in (home.queue_folder / "pictures").iterdir()}
    between = sum(1 for _ in folder.rglob(".leukolens-taken/*"))
    found = {
        "pictures waiting to be sent": waiting,
        "stored, and still in the camera's folder": unfinished,
        "files without a row": len(files - rows),
        "on the way out of the folder": between,
    }
    ledger.cuts_at_work += any(found.values())
    for what, many in found.items():
        ledger.found_after_cuts[what] += bool(many)


def _await_empty(folder: Path, home: Home) -> None:
    deadline = time.monotonic() + PATIENCE
    queue = Queue(home.queue_folder)
    while any(folder.glob("*.jpg")) or queue.counts().waiting:
        assert time.monotonic() < deadline, (list(folder.iterdir()), queue.counts())
        time.sleep(0.1)
    queue.close()


def _counted(
    ledger: Ledger, saved: dict[str, str], received: Sequence[tuple[str, str]], home: Home
) -> Ledger:
    arrived = Counter(digest for _, digest in received)
    queue = Queue(home.queue_folder)
    ledger.dead_letters = queue.counts().refused
    queue.close()
    ledger.taken = len(saved)
    ledger.received = len(received)
    ledger.lost = sum(digest not in arrived for digest in saved)
    ledger.double = sum(many - 1 for many in arrived.values())
    ledger.wrong_specimen = sum(saved.get(digest) != number for number, digest in received)
    return ledger


@contextmanager
def hospital(specimens: int) -> Iterator[tuple[str, str, list[str], Received]]:
    """A hospital of its own for the drill: address, key, accession numbers, what it has."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    # Nobody analyses here, and one microscope sends all day's pictures at once.
    os.environ.setdefault("UPLOADS_PER_MINUTE", "1000000")
    os.environ.setdefault("MAX_QUEUED_ANALYSES", "1000000")
    import django

    django.setup()
    from django.test.utils import get_runner
    from pytest_django.live_server_helper import LiveServer

    from tests.world import found

    runner = get_runner(django.conf.settings)(verbosity=0, interactive=False)
    runner.setup_test_environment()
    databases = runner.setup_databases()
    world = found()
    accessions = register_specimens(world, specimens)
    server = LiveServer("127.0.0.1")
    try:
        yield server.url, world.key, accessions, received_by_hospital
    finally:
        server.stop()
        runner.teardown_databases(databases)
        runner.teardown_test_environment()


def register_specimens(world, many: int) -> list[str]:
    """So many specimens of the world's patient; returns their accession numbers."""
    from tests.world import add_specimen

    accessions = [f"N-2026-{number:04}" for number in range(100, 100 + many)]
    for accession in accessions:
        add_specimen(world.patient, accession)
    return accessions


def received_by_hospital() -> list[tuple[str, str]]:
    """Accession number and SHA-256 of each picture that the hospital has."""
    from diagnostics.models import FieldImage

    return list(FieldImage.objects.values_list("specimen__accession", "sha256"))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns 0 if the promise was kept."""
    parser = argparse.ArgumentParser(prog="power", description=__doc__.partition("\n")[0])
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--specimens", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args(argv)
    print(f"seed {options.seed}", flush=True)
    place = Path(tempfile.mkdtemp(prefix="leukolens-power-"))
    try:
        with hospital(options.specimens) as (url, key, accessions, received):
            ledger = drill(
                url=url,
                key=key,
                accessions=accessions,
                received=received,
                place=place,
                cuts=options.cuts,
                seed=options.seed,
                say=lambda text: print(text, flush=True),
            )
    finally:
        shutil.rmtree(place, ignore_errors=True)
    for name, value in vars(ledger).items():
        if name != "found_after_cuts":
            print(f"{name.replace('_', ' '):50} {value:g}")
    for what, many in ledger.found_after_cuts.items():
        print(f"cuts that left {what:35} {many}")
    print("kept" if ledger.clean else "BROKEN")
    return 0 if ledger.clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
