"""Large pictures in pieces: a line that breaks costs a piece, and what arrived is compared."""

import base64
import hashlib
from pathlib import Path

import httpx
import pytest

from devices.agent import tus
from devices.agent.client import Microscope
from devices.agent.queue import State
from devices.agent.sender import Sender
from diagnostics.models import FieldImage
from tests.devices.agent.conftest import BRISK, until_settled
from tests.world import jpeg

API = "/api/device/v1/"
NUMBER = "N-2026-0001"
BODY = jpeg(1, side=400)


class TusServer:
    """The least that speaks tus 1.0; `before` and `after` are faults, as in conftest."""

    extensions = "creation,checksum,expiration,termination"

    def __init__(self):
        self.uploads, self.images, self.requests = {}, {}, []
        self.before, self.after = [], []

    def __call__(self, request):
        self.requests.append(request)
        instead = self.before.pop(0) if self.before else None
        if isinstance(instead, Exception):
            raise instead
        answer = instead or getattr(self, f"on_{request.method.lower()}")(request)
        lost = self.after.pop(0) if self.after else None
        if lost:
            raise lost
        return answer

    def on_options(self, request):
        headers = {"Tus-Version": "1.0.0", "Tus-Extension": self.extensions}
        return httpx.Response(204, headers={**headers, "Tus-Checksum-Algorithm": "md5,sha1"})

    def on_post(self, request):
        pairs = (pair.split(" ") for pair in request.headers["Upload-Metadata"].split(","))
        told = {name: base64.b64decode(value).decode() for name, value in pairs}
        place = f"{API}uploads/{len(self.uploads)}"
        self.uploads[place] = (told, int(request.headers["Upload-Length"]), bytearray())
        return httpx.Response(201, headers={"Location": f"http://elsewhere.test{place}"})

    def on_head(self, request):
        if request.url.path not in self.uploads:
            return httpx.Response(410)
        body = self.uploads[request.url.path][2]
        return httpx.Response(200, headers={"Upload-Offset": str(len(body))})

    def on_patch(self, request):
        if request.url.path not in self.uploads:
            return problem(404, "unknown_upload")
        told, length, body = self.uploads[request.url.path]
        if int(request.headers["Upload-Offset"]) != len(body):
            return problem(409, "wrong_offset")
        algorithm, digest = request.headers["Upload-Checksum"].split(" ")
        if hashlib.new(algorithm, request.content).digest() != base64.b64decode(digest):
            return problem(460, "checksum_mismatch")
        body += request.content
        if len(body) == length:
            self.images[told["image_id"]] = (told["accession"], bytes(body))
        return httpx.Response(204, headers={"Upload-Offset": str(len(body))})

    def on_get(self, request):
        image_id = request.url.path.rpartition("/")[2]
        if image_id not in self.images:
            return problem(404, "unknown_image")
        accession, body = self.images[image_id]
        digest = hashlib.sha256(body).hexdigest()
        return httpx.Response(200, json={"id": image_id, "accession": accession, "sha256": digest})

    def on_put(self, request):
        image_id = request.url.path.rpartition("/")[2]
        accession = request.headers["Accession-Number"]
        self.images[image_id] = (accession, request.content)
        told = {"id": image_id, "accession": accession, "state": "received"}
        digest = hashlib.sha256(request.content).hexdigest()
        moment = {"received_at": "2026-11-20T09:30:00Z", "sha256": digest}
        return httpx.Response(201, json=told | moment)

    def asked(self, method):
        return [request for request in self.requests if request.method == method]


def problem(status, code):
    return httpx.Response(status, json={"status": status, "code": code, "detail": "A sentence."})


@pytest.fixture
def server():
    return TusServer()


@pytest.fixture
def sender(queue, server, monkeypatch):
    monkeypatch.setattr(tus, "PIECE", 4096)
    transport = httpx.MockTransport(server)
    with Microscope("http://hospital.test", "llk_key", transport=transport) as microscope:
        yield Sender(queue, microscope, patience=BRISK, workers=1, large=1000)


def put(queue):
    return queue.put(BODY, accession=NUMBER)


def test_it_goes_in_pieces_and_is_compared_before_it_is_deleted(queue, server, sender):
    item = put(queue)

    sender.run_once()

    assert server.images == {str(item.id): (NUMBER, BODY)}
    pieces = server.asked("PATCH")
    assert max(len(piece.content) for piece in pieces) == 4096
    assert {piece.headers["Upload-Checksum"].split()[0] for piece in pieces} == {"sha1"}
    assert server.requests[-1].method == "GET"
    assert all(request.headers["Tus-Resumable"] == "1.0.0" for request in server.requests[:-1])
    assert queue.get(item.id).state is State.SENT
    [(told, _, _)] = server.uploads.values()
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert told["content_digest"] == f"sha-256=:{digest}:"


def test_the_key_goes_to_the_hospital_only_whatever_location_says(queue, server, sender):
    put(queue)
    sender.run_once()
    assert {request.url.host for request in server.requests} == {"hospital.test"}


@pytest.mark.parametrize("where", ["before", "after"])
def test_after_a_broken_line_it_goes_on_where_it_was(queue, server, sender, where):
    put(queue)
    getattr(server, where).extend([None, None, None, None, httpx.ReadTimeout("x")])

    until_settled(sender, queue)

    assert [body for _, body in server.images.values()] == [BODY]
    assert len(server.asked("POST")) == 1
    assert len(server.asked("HEAD")) == 1
    repeated = where == "before"
    assert len(server.asked("PATCH")) == -(-len(BODY) // 4096) + repeated


def test_after_a_restart_it_goes_on_where_it_was(queue, server, sender):
    item = put(queue)
    server.before.extend([None, None, None, None] + [httpx.ReadTimeout("x")] * 1)
    sender.run_once()

    # All that is left is what is written down.
    assert queue.get(item.id).upload == "uploads/0"
    until_settled(sender, queue)
    assert len(server.uploads) == 1


def test_an_upload_that_has_expired_begins_anew(queue, server, sender):
    put(queue)
    server.before.extend([None, None, None, httpx.ReadTimeout("x")])
    sender.run_once()
    server.uploads.clear()

    until_settled(sender, queue)

    assert [body for _, body in server.images.values()] == [BODY]
    assert len(server.asked("POST")) == 2


def test_an_upload_that_expires_under_way_begins_anew(queue, server, sender):
    put(queue)
    server.before.extend([None, None, None, problem(404, "unknown_upload")])
    until_settled(sender, queue)
    assert len(server.asked("POST")) == 2


@pytest.mark.parametrize(
    "answer", [problem(460, "checksum_mismatch"), problem(409, "wrong_offset")]
)
def test_a_damaged_or_misplaced_piece_is_sent_again(queue, server, sender, answer):
    put(queue)
    server.before.extend([None, None, None, answer])
    sender.run_once()
    assert [body for _, body in server.images.values()] == [BODY]


@pytest.mark.parametrize("code", ["unknown_accession", "other_clinic"])
def test_a_refusal_of_the_picture_is_one(queue, server, sender, code):
    item = put(queue)
    server.before.extend([None, problem(404 if code == "unknown_accession" else 403, code)])
    sender.run_once()
    assert queue.get(item.id).code == code
    assert not server.asked("PUT")


def test_the_last_piece_may_bring_the_refusal_of_the_whole(queue, server, sender):
    item = put(queue)
    server.before.extend([None, None, problem(422, "corrupt")])
    sender.run_once()
    assert (queue.get(item.id).state, queue.get(item.id).code) == (State.REFUSED, "corrupt")


@pytest.mark.parametrize(
    "answers",
    [
        [problem(404, "not_found")],
        [httpx.Response(405)],
        [httpx.Response(200)],
        [None, problem(405, "method_not_allowed")],
    ],
)
def test_a_hospital_without_tus_gets_the_picture_whole(queue, server, sender, answers):
    put(queue)
    server.before.extend(answers)
    sender.run_once()
    assert len(server.asked("PUT")) == 1
    assert [body for _, body in server.images.values()] == [BODY]


def test_another_picture_there_is_no_reason_to_delete_this_one(queue, server, sender):
    item = put(queue)
    server.on_get = lambda _: httpx.Response(
        200, json={"id": str(item.id), "accession": NUMBER, "sha256": "0" * 64}
    )
    sender.run_once()
    assert queue.get(item.id).state is State.WAITING
    assert queue.body(item) == BODY


def test_small_pictures_go_whole(queue, server, sender):
    queue.put(b"small", accession=NUMBER)
    sender.run_once()
    assert [request.method for request in server.requests] == ["PUT"]


@pytest.mark.django_db(transaction=True)
def test_the_real_hospital_gets_a_large_picture_over_a_bad_line(
    world, queue, microscope, line, monkeypatch
):
    """In pieces where it takes them, else whole."""
    monkeypatch.setattr(tus, "PIECE", 4096)
    sender = Sender(queue, microscope, patience=BRISK, workers=1, large=1000)
    line.before.extend([None, httpx.ConnectError("x"), None, None, httpx.ReadTimeout("x")])
    line.after.extend([None, None, httpx.ReadTimeout("x"), None, httpx.ReadTimeout("x")])
    item = queue.put(BODY, accession=NUMBER)

    until_settled(sender, queue)

    image = FieldImage.objects.get()
    assert (image.pk, image.sha256, image.size) == (item.id, item.sha256, len(BODY))
    assert Path(queue.path_of(item)).exists() is False
