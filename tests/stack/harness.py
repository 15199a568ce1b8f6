"""A stack under test: started with its own command, spoken to over its own doors."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from devices.agent.client import Microscope, Receipt
from hospital.config.demo.screen import Screen
from hospital.config.stack.child import tied_to_this_process
from hospital.config.stack.record import read_note

ROOT = Path(__file__).resolve().parents[2]
FINISHED = {"succeeded", "failed"}
# Generous: two cores may be busy with something else, and TensorFlow takes its time to load.
PATIENCE = 180.0

# What pytest's own settings put into the environment must not reach the stack.
PRIVATE = {
    "DJANGO_SETTINGS_MODULE",
    "LEUKOLENS_VAR",
    "SECRET_KEY",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "DATABASE_URL",
    "TEST_DATABASE_URL",
}
# Short, so that what is lost is found again within a test's patience; not so short that a busy
# machine loses what it still holds.
BRISK = {
    "ANALYSIS_LEASE_SECONDS": "10",
    "ANALYSIS_NUDGE_SECONDS": "2",
    "ANALYSIS_BATCH": "4",
    "SWEEP_SECONDS": "1",
    # What the tests send is counted; a probe goes when a test says so.
    "PROBE_SECONDS": "0",
    # No ticks: whatever comes over the socket was pushed.
    "LIVE_TICK_SECONDS": "3600",
}


def wait_until(condition: Callable[[], Any], what: str, *, patience: float = PATIENCE) -> Any:
    """Whatever `condition` gives as soon as it is true; fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {patience:.0f} s: {what}")


def environment(var: Path, **changes: str) -> dict[str, str]:
    """The environment of a process that belongs to the stack in `var`."""
    kept = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    return {**kept, **BRISK, "LEUKOLENS_VAR": str(var), **changes}


@dataclass
class Stack:
    """A running stack and a hospital in it."""

    var: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes]"
    said: Path
    world: dict[str, Any] | None = None

    def note(self) -> dict[str, Any]:
        """What the stack notes about itself."""
        return wait_until(lambda: read_note(self.var), "a note")

    def pid(self, name: str) -> int:
        """The process id of one of its processes, once it is ready."""
        return wait_until(lambda: self._pid_if_ready(name), f"{name} ready; {self.tail()}")

    def pids(self) -> list[int]:
        """The process ids of all of them."""
        return [process["pid"] for process in self.note()["processes"].values() if process["pid"]]

    @property
    def url(self) -> str:
        """Where the web answers."""
        return str(self.note()["url"])

    def await_ready(self, *, but: str = "") -> None:
        """Wait until every process does its work (`but` one that nobody needs just now)."""

        def ready() -> bool:
            assert self.process.poll() is None, f"the stack ended: {self.tail()}"
            processes = (read_note(self.var) or {"processes": {}})["processes"]
            return bool(processes) and all(
                process["standing"] == "ready" or (name == but and process["pid"])
                for name, process in processes.items()
            )

        wait_until(ready, f"stack ready; {self.tail()}")

    def seed(self) -> None:
        """Found the hospital."""
        finished = subprocess.run(
            [sys.executable, "-m", "tests.stack.seed"],
            cwd=ROOT,
            env={**self.environment, "DJANGO_SETTINGS_MODULE": "hospital.config.settings"},
            stdout=subprocess.PIPE,
            check=True,
        )
        self.world = json.loads(finished.stdout)
        self.unused = iter(self.world["accessions"])

    def specimen(self) -> str:
        """An accession number that no other test has used."""
        return str(next(self.unused))

    def microscope(self) -> Microscope:
        """The clinic's microscope, with its key."""
        assert self.world is not None
        return Microscope(self.url, self.world["key"])

    def send(self, pictures: list[bytes], accession: str) -> list[Receipt]:
        """Send pictures of one specimen."""
        with self.microscope() as microscope:
            return [microscope.send(body, accession=accession) for body in pictures]

    def await_finished(self, image_id: UUID) -> dict[str, Any]:
        """What the microscope is told of its picture once the analysis is done."""
        with self.microscope() as microscope:

            def standing() -> dict[str, Any] | None:
                status = microscope.status(image_id)
                return status if status["analysis"]["state"] in FINISHED else None

            return wait_until(standing, f"analysis of {image_id}; {self.tail()}")

    async def sign_in(self, screen: Screen) -> None:
        """Sign a haematologist in at the login page."""
        assert self.world is not None
        await screen.sign_in(self.world["username"], self.world["password"])

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Rows of the stack's database, PostgreSQL or SQLite; '?' stands for a value."""
        if url := self.environment.get("DATABASE_URL"):
            with psycopg.connect(url) as connection:
                return connection.execute(query.replace("?", "%s"), values).fetchall()
        values = tuple(value.replace("-", "") for value in values)  # SQLite's UUIDs have no dashes
        path = self.var / "leukolens.sqlite3"
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection:
            return connection.execute(query, values).fetchall()

    def analyses(self, image_id: UUID) -> list[tuple[str, int]]:
        """State and number of attempts of every analysis of a picture."""
        query = "SELECT state, attempts FROM diagnostics_analysis WHERE image_id = ?"
        return [(state, attempts) for state, attempts in self.rows(query, str(image_id))]

    def await_running(self) -> None:
        """Wait until a worker has claimed something."""
        query = "SELECT 1 FROM diagnostics_analysis WHERE state = 'running'"
        wait_until(lambda: self.rows(query), "an analysis under way")

    def tail(self) -> str:
        """The last of what the stack and its analyses worker said, for a failure's message."""
        logs = [self.said, self.var / "logs" / "analyses.log"]
        return "\n".join(log.read_text(errors="replace")[-1500:] for log in logs if log.exists())

    def stop(self) -> int:
        """Stop it as Ctrl-C does; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=PATIENCE)

    def _pid_if_ready(self, name: str) -> int | None:
        process = (read_note(self.var) or {"processes": {}})["processes"].get(name)
        return process["pid"] if process and process["standing"] == "ready" else None


@contextmanager
def started_stack(var: Path, **changes: str) -> Iterator[Stack]:
    """A stack that has just been started in folder `var`; nothing of it stays behind."""
    told = environment(var, **changes)
    said = var.parent / f"{var.name}.out"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "stack"],
            cwd=ROOT,
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Also when the tests themselves are killed.
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509
        )
    stack = Stack(var, told, process, said)
    try:
        yield stack
    finally:
        stack.stop()


@contextmanager
def running_stack(var: Path, **changes: str) -> Iterator[Stack]:
    """A stack that is ready, its model loaded, and has a hospital in it."""
    with started_stack(var, **changes) as stack:
        stack.await_ready()
        stack.seed()
        yield stack


def alive(pid: int) -> bool:
    """Whether a process exists that is not merely waiting to be buried."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
