"""A microscope's computer: a folder, a queue, and a line that a test can spoil."""

import threading
import time

import httpx
import pytest

from devices.agent.client import Microscope, Patience
from devices.agent.queue import Limits, Queue
from devices.agent.sender import Sender

ROOM = Limits(most=10**9, keep_free=0)
# Real pauses, but short ones.
BRISK = Patience(first=0.001, longest=0.01)


class Faults(httpx.BaseTransport):
    """A real line to a real server that fails where a test says so.

    `before` are raised or answered in place of requests; `after` are raised when the server has
    done its work and the answer is lost.
    """

    def __init__(self):
        self.real = httpx.HTTPTransport()
        self.before, self.after = [], []
        self.requests = []
        self.most_at_once = self._at_once = 0
        self.lock = threading.Lock()

    def handle_request(self, request):
        with self.lock:
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            instead = self.before.pop(0) if self.before else None
        try:
            if isinstance(instead, Exception):
                raise instead
            if instead is not None:
                return instead
            answer = self.real.handle_request(request)
            answer.read()
            with self.lock:
                lost = self.after.pop(0) if self.after else None
            if lost:
                raise lost
            return answer
        finally:
            with self.lock:
                self._at_once -= 1

    def asked(self, method):
        return [request for request in self.requests if request.method == method]


@pytest.fixture
def line():
    return Faults()


@pytest.fixture
def queue(tmp_path):
    opened = Queue(tmp_path / "queue", limits=ROOM)
    yield opened
    opened.close()


@pytest.fixture
def microscope(live_server, world, line):
    with Microscope(live_server.url, world.key, transport=line) as opened:
        yield opened


@pytest.fixture
def sender(queue, microscope):
    return Sender(queue, microscope, patience=BRISK, workers=1)


def until_settled(sender, queue, *, patience=20.0):
    """Send until nothing waits that could be sent."""
    deadline = time.monotonic() + patience
    while queue.counts().waiting and not sender.line.stopped:
        assert time.monotonic() < deadline, queue.in_state("waiting")
        sender.run_once()
