"""A worker's own machine: a network namespace with one cable, where the kernel allows it.

Where it does not, the worker stays on this machine and its lines lead through a relay that is cut.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.drills.faults.relay import Relay


@dataclass(frozen=True, slots=True)
class Island:
    """Where the worker lives and how it is cut off.

    Attributes:
        host: the address at which it finds the hospital's servers.
        prefix: of its command line.
        cable: this machine's end of its cable; '' where there is no namespace.
        how: for people.
    """

    relay: Relay
    host: str
    prefix: tuple[str, ...]
    cable: str
    how: str

    def cut(self) -> None:
        """Nothing comes or goes: with a cable, not even word that the line is broken."""
        if self.cable:
            _ip("link", "set", self.cable, "down")
        else:
            self.relay.cut()

    def mend(self) -> None:
        """As before."""
        if self.cable:
            _ip("link", "set", self.cable, "up")
        else:
            self.relay.mend()


def mainland() -> Island:
    """No island: the worker lives where everything else does."""
    return Island(Relay(), "127.0.0.1", (), "", "here")


@contextmanager
def island() -> Iterator[Island]:
    """An island, gone afterwards."""
    relay, name = Relay(), f"drill{os.getpid() % 100_000}"
    subnet = f"10.231.{os.getpid() % 250}"
    try:
        _ip("netns", "add", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", "uplink", "netns", name)
        _ip("addr", "add", f"{subnet}.1/30", "dev", name)
        _ip("link", "set", name, "up")
        for line in (f"addr add {subnet}.2/30 dev uplink", "link set uplink up", "link set lo up"):
            _ip("-n", name, *line.split())
    except (OSError, subprocess.CalledProcessError):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            _ip("netns", "del", name)
        yield Island(relay, "127.0.0.1", (), "", "a TCP relay that is cut")
        return
    try:
        prefix = ("ip", "netns", "exec", name)
        yield Island(
            relay, f"{subnet}.1", prefix, name, f"a network namespace ({name}), its cable pulled"
        )
    finally:
        _ip("netns", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
