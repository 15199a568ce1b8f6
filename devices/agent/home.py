"""The agent's home folder: who this microscope is, and the lock that makes its sender the only one.

credentials.json   server, key, device: for its owner's eyes only
queue/             rows and pictures
lock               held by the process that sends
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from . import durable

DEFAULT = Path("~/.leukolens-agent")
SCHEME = "leukolens-enrol:"


class NotEnrolled(Exception):
    """This microscope has no key yet."""


class AlreadyRunning(Exception):
    """Another process sends from this home folder."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who this microscope is.

    Attributes:
        next_key: fetched, and not yet known to work; '' if there is none.
        interval_seconds: of heartbeats, until one is answered.
    """

    server: str
    key: str
    next_key: str = ""
    device_id: str = ""
    device_name: str = ""
    clinic: str = ""
    interval_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an enrolment code, or the text of its QR code, says. What it does not say is ''."""

    code: str
    server: str = ""
    serial: str = ""


class Home:
    """One folder for one microscope."""

    def __init__(self, folder: Path) -> None:
        """Find the folder, or make it for its owner only."""
        self.folder = folder.expanduser().absolute()
        durable.make_folder(self.folder)

    @property
    def queue_folder(self) -> Path:
        """Where the queue lies."""
        return self.folder / "queue"

    def credentials(self) -> Credentials:
        """Who this microscope is.

        Raises:
            NotEnrolled: nobody yet.
        """
        try:
            told = json.loads((self.folder / "credentials.json").read_text())
        except FileNotFoundError as error:
            raise NotEnrolled(
                "This microscope has no key yet. Run: leukolens-agent enrol CODE --server URL"
            ) from error
        return Credentials(**told)

    def save(self, credentials: Credentials) -> None:
        """Keep them, on the disk when this returns, readable by their owner only (0600)."""
        text = json.dumps(asdict(credentials), indent=1)
        durable.write(self.folder / "credentials.json", text.encode(), mode=0o600)

    def key_works(self, key: str) -> None:
        """The hospital has taken `key`: it is the key from now on, and there is no other."""
        known = self.credentials()
        if known.next_key or known.key != key:
            self.save(replace(known, key=key, next_key=""))

    @contextmanager
    def only_one(self, *, patience: float = 0.0) -> Iterator[None]:
        """Be the process that sends. The system lets go of the lock when the process dies.

        Args:
            patience: seconds to wait for it; another one may only be looking.

        Raises:
            AlreadyRunning: another one is.
        """
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience
        try:
            while not _locked(descriptor):
                if time.monotonic() >= deadline:
                    raise AlreadyRunning(
                        "The agent runs already on this home folder. It is enough: look with "
                        "'leukolens-agent status'."
                    )
                time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)


def invitation(text: str) -> Invitation:
    """What somebody typed or scanned.

    Raises:
        ValueError: it is the text of a QR code without a code in it.
    """
    text = text.strip()
    if not text.startswith(SCHEME):
        return Invitation(text)
    words = parse_qs(urlsplit(text).query)
    code, server, serial = (words.get(name, [""])[0] for name in ("code", "server", "serial"))
    if not code:
        raise ValueError("There is no code in this text. Scan the QR code again.")
    return Invitation(code, server, serial)


def _locked(descriptor: int) -> bool:
    """Whether the lock is ours now."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - only there

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - only here

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
