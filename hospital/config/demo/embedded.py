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
from hospital.config.stack.record import read_note

PATIENCE = 120.0
# The stack gives its own processes their time before it ends.
STOP_PATIENCE = 90.0


class StackFailed(Exception):
    """The stack ended, or its web does not answer."""


class EmbeddedStack:
    """A running stack.

    Attributes:
        url: where the web answers.
    """

    def __init__(self, process: subprocess.Popen[str], var: Path) -> None:
        self.process = process
        self.var = var
        self.url = ""

    def await_web(self) -> None:
        """Wait until the web answers.

        Raises:
            StackFailed: it ended first, or took too long.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StackFailed("The stack did not start; what it said stands above.")
            note = read_note(self.var)
            if note and note["processes"]["web"]["standing"] == "ready":
                self.url = note["url"]
                return
            time.sleep(0.1)
        raise StackFailed(
            f"The web did not answer in {PATIENCE:.0f} s. See {self.var}/logs/web.log"
        )

    def note(self) -> dict[str, Any] | None:
        """What the stack notes about itself."""
        return read_note(self.var)

    def stop(self) -> None:
        """Ask it to stop and wait; work in hand is finished first."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def embedded_stack(var: Path, *, say: Callable[[str], None]) -> Iterator[EmbeddedStack]:
    """Start `manage.py stack` on folder `var`; whatever happens, nothing of it stays behind."""
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
    stack = EmbeddedStack(process, var)
    try:
        yield stack
    finally:
        stack.stop()
        listener.join(timeout=2)


def _relay(lines: IO[str], say: Callable[[str], None]) -> None:
    for line in lines:
        say(line.rstrip())
