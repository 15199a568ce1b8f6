"""Who runs in an installation's folder: one stack at a time, and a note of its addresses.

The note (`stack.json`) is for tests and tools. It holds the broker's password, so only its owner
may read it.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class AlreadyRunning(Exception):
    """Another stack holds the folder."""


def note_path(var: Path) -> Path:
    """Where the stack of folder `var` notes its addresses."""
    return var / "stack.json"


def shown(path: Path) -> str:
    """The path as a person at this terminal would write it: relative, if it lies below."""
    whole = path.resolve()
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(whole)


def read_note(var: Path) -> dict[str, Any] | None:
    """The note of the stack running in `var`; None when there is none or it is being written."""
    try:
        note: dict[str, Any] = json.loads(note_path(var).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return note


def write_note(var: Path, note: dict[str, Any]) -> None:
    """Replace the note in one step, so that a reader never sees half of it."""
    path = note_path(var)
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(note, indent=2))
    draft.replace(path)


def is_running(var: Path) -> bool:
    """Whether a stack runs in folder `var` just now."""
    try:
        with (var / "stack.lock").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def only_stack(var: Path) -> Iterator[None]:
    """Hold the folder for this process.

    The lock is the kernel's: it goes with the process however that ends, so there is never a
    stale one to clean up.

    Raises:
        AlreadyRunning: another stack holds it; the message says which and what to do.
    """
    var.mkdir(parents=True, exist_ok=True)
    with (var / "stack.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(_already(var)) from None
        note_path(var).unlink(missing_ok=True)
        try:
            yield
        finally:
            note_path(var).unlink(missing_ok=True)


def _already(var: Path) -> str:
    note = read_note(var) or {}
    where = f" (process {note['pid']}, {note['url']})" if note else ""
    return (
        f"A stack is already running in {shown(var)}{where}. Stop it with Ctrl-C where "
        "it was started, or give this one a folder of its own: LEUKOLENS_VAR=var/second"
    )
