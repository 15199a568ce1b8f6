"""What an analyses worker takes: seconds until it serves, and memory, alone and beside a second.

Each engine's worker is started as the stack starts it (`hospital.config.stack.processes`), with a
broker and an empty database. PSS counts what n processes share as 1/n in each: the sum over two
workers is what both take of the machine.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import machine
from hospital.config.stack import processes
from hospital.config.stack.broker import Broker
from hospital.config.stack.child import Child

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120.0
SETTLING = 1.0  # seconds that a worker is left alone before its memory is read
CHOSEN = "chosen by itself"
ENGINES: dict[str, dict[str, str]] = {
    CHOSEN: {},
    "tensorflow": {"MODEL_ENGINE": "tensorflow"},
}


def measure(report: Callable[[str], None], *, quick: bool = False) -> dict[str, Any]:
    """By engine: seconds from start to readiness, by start; MiB of one worker and of two."""
    workers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="leukolens-memory-") as name, ExitStack() as stack:
        var = Path(name)
        broker = Broker(var / "broker")
        told = processes.environment(var, redis_url=broker.url)
        told |= {"DATABASE_URL": f"sqlite:///{var / 'leukolens.sqlite3'}", "MODEL_ENGINE": "auto"}
        _migrate(told)
        server = processes.broker(broker, told, var / "logs")
        stack.enter_context(_ready(server))
        for engine, settings in ENGINES.items():
            report(f"workers, engine {engine}")
            starts = 1 if quick or engine != CHOSEN else 3
            workers[engine] = _workers({**told, **settings}, var, starts)
    return {"workers": workers}


def _workers(told: Mapping[str, str], var: Path, starts: int) -> dict[str, Any]:
    """One worker, started `starts` times; at its last start a second one beside it."""
    seconds = []
    for number in range(starts):
        with _ready(_worker(told, var / "one")) as (first, took):
            seconds.append(took)
            if number < starts - 1:
                continue
            alone = machine.memory(first)
            with _ready(_worker(told, var / "two")) as (second, _):
                both = [machine.memory(first), machine.memory(second)]
    return {"ready_seconds": seconds, "alone_mib": alone, "together_mib": both}


def _worker(told: Mapping[str, str], folder: Path) -> Child:
    folder.mkdir(exist_ok=True)
    return processes.worker("analyses", told, folder, folder)


@contextmanager
def _ready(child: Child) -> Iterator[tuple[int, float]]:
    """The process while it runs: its number, and the seconds until it said that it is ready."""
    child.start()
    try:
        while not child.notice_readiness():
            if child.notice_death() or child.running_for > PATIENCE:
                raise RuntimeError(f"{child.name} did not start: {child.last_words()}")
            time.sleep(0.01)
        took = child.running_for
        time.sleep(SETTLING)
        assert child.pid is not None
        yield child.pid, took
    finally:
        child.ask_to_stop()
        child.await_end(time.monotonic() + child.patience)


def _migrate(told: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=told, check=True)
