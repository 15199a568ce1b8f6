"""The wire breaks real connections; what it lets through is whole."""

import contextlib
import hashlib
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from devices.simulator.faults import Faults
from devices.simulator.wire import Wire, Wires

BODY = random.Random(1).randbytes(200_000)
PLACE = "/api/device/v1/images/7"


class Hospital(ThreadingHTTPServer):
    """Notes what arrives, and answers with the digest of it."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.arrived = []
        self.hosts = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        wanted, body = int(self.headers["Content-Length"]), b""
        with contextlib.suppress(ConnectionError):
            while len(body) < wanted and (piece := self.rfile.read1(wanted - len(body))):
                body += piece
        self.server.hosts.append(self.headers["Host"])
        self.server.arrived.append(body)
        if len(body) < wanted:
            self.close_connection = True
            return
        answer = hashlib.sha256(body).hexdigest().encode() * 20
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def handle_one_request(self):
        """As always; that a connection is broken is what this is about."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *args):
        """Nothing."""


@pytest.fixture
def hospital():
    with Hospital() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wired(hospital, *, pace=10_000_000, seed=1, **faults):
    url = f"http://127.0.0.1:{hospital.server_port}"
    return Wires({"a": Wire(url, Faults(**faults), random.Random(seed), pace)})


def put(client, wires):
    return client.put(wires.wires["a"].url + PLACE, content=BODY)


def test_a_sound_wire_changes_nothing(hospital):
    with wired(hospital) as wires, httpx.Client() as client:
        answers = [put(client, wires) for _ in range(3)]
    assert hospital.arrived == [BODY] * 3
    assert {answer.text for answer in answers} == {hashlib.sha256(BODY).hexdigest() * 20}
    # The hospital sees its own name and not the wire's.
    assert set(hospital.hosts) == {f"127.0.0.1:{hospital.server_port}"}


def test_a_request_breaks_off_somewhere_and_the_rest_never_arrives(hospital):
    with wired(hospital, drop_request=1) as wires, httpx.Client() as client:
        for _ in range(8):
            with pytest.raises(httpx.TransportError):
                put(client, wires)
        happened = wires.happened()
    assert happened["drop_request"] == 8
    lengths = {len(body) for body in hospital.arrived}
    assert len(lengths) > 3
    assert all(BODY.startswith(body) and len(body) < len(BODY) for body in hospital.arrived)


def test_an_answer_is_lost_though_the_request_has_arrived(hospital):
    with wired(hospital, drop_answer=1) as wires, httpx.Client() as client:
        for _ in range(4):
            with pytest.raises(httpx.TransportError):
                put(client, wires)
    assert hospital.arrived == [BODY] * 4


def test_one_byte_is_damaged_and_no_header(hospital):
    with wired(hospital, damage=1) as wires, httpx.Client() as client:
        put(client, wires)
    [arrived] = hospital.arrived
    assert sum(a != b for a, b in zip(arrived, BODY, strict=True)) == 1


def test_a_duplicate_comes_later_and_whole(hospital):
    with wired(hospital, duplicate=1, damage=1) as wires, httpx.Client() as client:
        put(client, wires)
    # Closing the wire waits for it; and it was damaged on its first way only.
    happened = wires.happened()
    assert sorted([hospital.arrived[0] == BODY, hospital.arrived[1] == BODY]) == [False, True]
    assert (happened["duplicate"], happened["duplicate_answered_201"]) == (1, 1)


def test_a_slow_wire_brings_everything_all_the_same(hospital):
    with wired(hospital, slow=1, pace=2_000_000) as wires, httpx.Client() as client:
        assert put(client, wires).status_code == 201
    assert hospital.arrived == [BODY]


def test_a_hospital_that_is_away_is_a_broken_connection(hospital):
    with wired(hospital) as wires, httpx.Client() as client:
        wires.wires["a"].upstream = "http://127.0.0.1:1"
        with pytest.raises(httpx.TransportError):
            put(client, wires)
        assert wires.happened()["hospital_away"] == 1
