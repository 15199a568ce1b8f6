"""The demonstration's microscopes go on living while somebody looks around."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

from devices.agent.client import Microscope, Refused, Unreachable
from hospital.config.demo.hospital import Bench

SAID = {"firmware": "simulated 1.0", "queue_length": 0, "refused": 0}
RETRY_SECONDS = 15.0
FAREWELL_SECONDS = 2.0


@contextlib.contextmanager
def heartbeats(url: str, benches: Sequence[Bench]) -> Iterator[None]:
    """Every bench's microscope sends its heartbeats for as long as the block runs."""
    over = threading.Event()
    threads = [
        threading.Thread(target=_beat, args=(url, bench.key, over), daemon=True)
        for bench in benches
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(FAREWELL_SECONDS)


def _beat(url: str, key: str, over: threading.Event) -> None:
    with Microscope(url, key) as microscope:
        while not over.is_set():
            try:
                seconds = microscope.heartbeat(**SAID)
            except (Refused, Unreachable):
                # Suspended by somebody who tries that out, or the stack is on its way down.
                seconds = RETRY_SECONDS
            over.wait(seconds)
