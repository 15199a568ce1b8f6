"""One process of the stack: started, watched, restarted with back-off, never left behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# A process that ran this long had a good start; its next death begins with a short pause again.
GOOD_RUN = 60.0
# sysexits.h: the process says that its configuration is wrong; hurrying will not help it.
EX_CONFIG = 78
# The same table: it could not go on, and may be started again at once.
EX_TEMPFAIL = 75
PR_SET_PDEATHSIG = 1
LOG_LIMIT = 10 * 1024 * 1024


class Standing(StrEnum):
    """Where a process stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"


@dataclass
class Child:
    """A process and how to run it.

    Attributes:
        ready: tells whether the process does its work by now.
        after: a process that must be ready before this one is started for the first time.
        stop_order: lower ones are stopped first; the broker goes last.
        patience: seconds it is given to finish what it is doing before it is killed.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[["Child"], bool] = lambda child: True
    after: "Child | None" = None
    stop_order: int = 0
    patience: float = 10.0

    process: subprocess.Popen[bytes] | None = None
    standing: Standing = Standing.WAITING
    restarts: int = 0
    started: float = 0.0
    due: float = 0.0
    last_exit: int | None = None
    _pause: float = field(default=FIRST_PAUSE, repr=False)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.process.pid if self.process else None

    @property
    def running_for(self) -> float:
        """Seconds since the last start."""
        return time.monotonic() - self.started

    @property
    def may_start(self) -> bool:
        """Whether it is waiting and nothing stands in its way any more."""
        if self.standing is not Standing.WAITING or self.due > time.monotonic():
            return False
        first = self.restarts == 0
        return not (first and self.after and self.after.standing is not Standing.READY)

    def start(self) -> None:
        """Start the process in a group of its own, tied to the life of this one."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which
            # then stops the processes in their order.
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Unsafe beside threads; a supervisor has none.
                preexec_fn=tied_to_this_process(),  # noqa: PLW1509
            )
        self.started = time.monotonic()
        self.standing = Standing.STARTING

    def notice_death(self) -> bool:
        """Whether the process has ended since the last look; if so, plan its restart."""
        if self.process is None or self.process.poll() is None:
            return False
        self.last_exit = self.process.returncode
        if self.running_for > GOOD_RUN:
            self._pause = FIRST_PAUSE
        if self.last_exit == EX_CONFIG:
            self._pause = LONGEST_PAUSE
        self.due = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self.process = None
        self.restarts += 1
        self.standing = Standing.WAITING
        return True

    def notice_readiness(self) -> bool:
        """Whether the process has become ready since the last look."""
        if self.standing is not Standing.STARTING or not self.ready(self):
            return False
        self.standing = Standing.READY
        return True

    def ask_to_stop(self) -> None:
        """Tell the process to finish what it is doing and end."""
        self._signal(signal.SIGTERM)
        self.standing = Standing.STOPPED

    def await_end(self, deadline: float) -> None:
        """Wait for the process; past the deadline kill it and whatever it started."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def last_words(self) -> str:
        """The last line it logged, without time, level and logger."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1].partition(": ")[2] or lines[-1] if lines else ""

    def _signal(self, number: int) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, number)


def announce_readiness() -> None:
    """Tell whoever started this process, if it wants to know, that it does its work from now on."""
    if path := os.environ.get("LEUKOLENS_READY_FILE"):
        draft = Path(f"{path}.{os.getpid()}")
        draft.write_text(str(os.getpid()))
        draft.replace(path)


def tied_to_this_process() -> Callable[[], None] | None:
    """What a new process does first: ask the kernel to be killed when this one dies.

    So that even a supervisor that is killed hard leaves nothing running. Linux only; elsewhere
    the processes outlive such an accident.
    """
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    # Loaded here: between fork and exec little more than a system call is safe.
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return tie
