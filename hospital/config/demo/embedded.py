"""The stack below the demonstration, as a process of its own."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from hospital.config.stack.child import tied_to_this_process
from hospital.config.stack.record import is_running, read_note

PATIENCE = 120.0
MODEL_PATIENCE = 90.0
# The stack gives its own processes their time before it ends.
STOP_PATIENCE = 90.0


class StackFailed(Exception):
    """The stack ended, or its web does not answer."""


class EmbeddedStack:
    """A running stack: one that was started here, or one that ran already.

    Attributes:
        process: the one started here, else None.
        url: where the web answers.
    """

    def __init__(self, process: "subprocess.Popen[str] | None", var: Path) -> None:
        self.process = process
        self.var = var
        self.url = ""

    def await_web(self) -> None:
        """Wait until the web answers.

        Raises:
            StackFailed: it ended first, or took too long.
        """
        if not self._await("web", PATIENCE):
            raise StackFailed(f"The web did not answer in time. See {self.var}/logs/web.log")
        note = read_note(self.var)
        assert note is not None
        self.url = note["url"]

    def await_model(self) -> bool:
        """Wait until the analyses worker has its model; False when it takes too long.

        Nothing depends on it, pictures would only wait longer. But then the times that are shown
        would be the start's and not the product's.
        """
        return self._await("analyses", MODEL_PATIENCE)

    def _await(self, name: str, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self._ended():
                raise StackFailed("The stack has ended; what it said stands above.")
            note = read_note(self.var)
            child: dict[str, Any] = note["processes"][name] if note else {}
            if child.get("standing") == "ready":
                return True
            time.sleep(0.1)
        return False

    def _ended(self) -> bool:
        if self.process is None:
            return not is_running(self.var)
        return self.process.poll() is not None


@contextmanager
def embedded_stack(var: Path, *, say: Callable[[str], None]) -> Iterator[EmbeddedStack]:
    """Start `manage.py stack` on folder `var`; whatever happens, nothing of it stays behind.

    If one runs there already, it is used, and left as it is.
    """
    if is_running(var):
        yield EmbeddedStack(None, var)
        return
    process = subprocess.Popen(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "stack"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C is for the demonstration, which then stops the stack itself.
        start_new_session=True,
        preexec_fn=tied_to_this_process(),  # noqa: PLW1509 - no thread has been started yet
    )
    assert process.stdout is not None
    listener = threading.Thread(target=_relay, args=(process.stdout, say), daemon=True)
    listener.start()
    try:
        yield EmbeddedStack(process, var)
    finally:
        _stop(process)
        listener.join(timeout=2)


def _stop(process: "subprocess.Popen[str]") -> None:
    """Ask it to stop and wait; work in hand is finished first."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _relay(lines: IO[str], say: Callable[[str], None]) -> None:
    for line in lines:
        say(line.rstrip())
