"""A worker that lives and does nothing is worse than a dead one: it ends, and another starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from hospital.config.stack.child import EX_TEMPFAIL
from hospital.config.standstill import LOOKS, Loop
from tests.servers import redis
from tests.stack.harness import PATIENCE, ROOT, environment

# A worker of the product's own, whose loop waits for a word that never comes: as Celery's library
# for the broker has been seen to, when the broker had been restarted.
WAITS_FOR_EVER = """
import socket
from celery import bootsteps
from hospital.config.celery import app
from hospital.config.standstill import Standstill

class Silent(bootsteps.StartStopStep):
    requires = (Standstill,)
    def start(self, consumer):
        ours, theirs = socket.socketpair()
        self.kept = theirs
        consumer.timer.call_after(0.5, ours.recv, (1,))

Standstill.patience = 3.0
app.steps["consumer"].add(Silent)
app.worker_main(["worker", "--pool", "solo", "--queues", "housekeeping", "--loglevel", "WARNING"])
"""


class Left(Exception):
    pass


def leaves() -> None:
    raise Left


def looked_at(loop: Loop, times: int = 10 * LOOKS) -> None:
    for _ in range(times):
        loop.look()


def test_a_loop_that_was_found_still_too_often_is_left() -> None:
    loop = Loop(leaves)
    loop.watched = True
    looked_at(loop, LOOKS)
    with pytest.raises(Left):
        loop.look()


def test_one_that_turns_works_or_waits_for_its_broker_goes_on() -> None:
    loop = Loop(leaves)
    looked_at(loop)
    loop.watched = loop.busy = True
    looked_at(loop)
    loop.busy = False
    for _ in range(10):
        looked_at(loop, LOOKS)
        loop.turned()


@pytest.mark.stack
def test_a_worker_that_waits_for_ever_ends_and_says_where_it_stood(tmp_path: Path) -> None:
    with redis() as broker:
        worker = subprocess.run(
            [sys.executable, "-c", WAITS_FOR_EVER],
            cwd=ROOT,
            env=environment(tmp_path, REDIS_URL=broker.url),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert worker.returncode == EX_TEMPFAIL, worker.stderr
    assert "stands still" in worker.stderr
    assert "create_loop" in worker.stderr
