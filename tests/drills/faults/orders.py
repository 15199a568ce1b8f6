"""A folder by which the gremlin speaks to the processes that it has started.

What is armed strikes once: whoever renames the order has it. Everything is a small file, so that a
process that is killed a moment later has said what it had to say.
"""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = "LEUKOLENS_DRILL_ORDERS"
# Of which kind a process is, as in `steps`; and its own name.
KIND = "LEUKOLENS_DRILL_KIND"
NAME = "LEUKOLENS_DRILL_NAME"


@dataclass(frozen=True, slots=True)
class Struck:
    """An order that was carried out: which step, what was done, and to which process."""

    step: str
    deed: str
    pid: int


class Orders:
    """The folder, for both sides."""

    def __init__(self, folder: Path) -> None:
        self._armed, self._struck = folder / "armed", folder / "struck"
        self._said = folder / "said"
        for one in (self._armed, self._struck, self._said):
            one.mkdir(parents=True, exist_ok=True)

    def arm(self, step: str, deed: str) -> None:
        """Let the next process that passes `step` suffer `deed`: 'kill' or 'freeze'."""
        _write(self._armed / step, deed)

    def disarm(self, *steps: str) -> None:
        """Take back what has not struck yet: of these steps, or all."""
        for step in steps or self.armed():
            (self._armed / step).unlink(missing_ok=True)

    def armed(self) -> set[str]:
        """The steps that wait for somebody to pass."""
        return {path.name for path in self._armed.iterdir()}

    def strike(self, step: str) -> str:
        """What is to be done to this process, which passes `step`; '' for nothing."""
        armed = self._armed / step
        if not armed.exists():
            return ""
        struck = self._struck / f"{step}@{os.getpid()}@{time.monotonic_ns()}"
        try:
            armed.rename(struck)
        except FileNotFoundError:  # another process was quicker
            return ""
        return struck.read_text()

    def struck(self) -> Iterator[Struck]:
        """All that was carried out."""
        for path in self._struck.iterdir():
            step, pid, _ = path.name.split("@")
            yield Struck(step, path.read_text(), int(pid))

    def say(self, name: str, text: str) -> None:
        """Leave a word for whoever asks by that name."""
        _write(self._said / name, text)

    def told(self, name: str) -> str:
        """The word that was left, or ''."""
        try:
            return (self._said / name).read_text()
        except FileNotFoundError:
            return ""


def of_this_process() -> Orders:
    """Those that the environment names."""
    return Orders(Path(os.environ[FOLDER]))


def _write(path: Path, text: str) -> None:
    draft = path.parent.parent / f".{path.name}.{os.getpid()}.{threading.get_ident()}"
    draft.write_text(text)
    draft.replace(path)
