"""The microscope's client: what is sent arrives once, whatever the network does."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import httpx
import pytest

from devices.agent.client import Microscope, Patience, Refused, Unreachable, media_type, retry_after
from devices.simulator.delivery import Job, deliver
from devices.simulator.pictures import pictures_in

JPEG = b"\xff\xd8\xff\xe0 and so on"


class Hospital:
    """A server that gives prepared answers, then takes everything."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.slept = []

    def __call__(self, request):
        self.requests.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if request.url.path.endswith("heartbeat"):
            return httpx.Response(200, json={"server_time": "", "interval_seconds": 60})
        return httpx.Response(
            201,
            json={
                "id": request.url.path.rsplit("/", 1)[1],
                "accession": request.headers["Accession-Number"],
                "state": "received",
                "sha256": hashlib.sha256(request.content).hexdigest(),
                "received_at": "2026-11-20T09:30:00Z",
            },
        )

    def microscope(self, attempts=4):
        return Microscope(
            "http://hospital.test/",
            "llk_key",
            patience=Patience(attempts=attempts),
            transport=httpx.MockTransport(self),
            sleep=self.slept.append,
        )


def problem(status, code, **headers):
    body = {"status": status, "code": code, "detail": "A sentence."}
    return httpx.Response(status, json=body, headers=headers)


def test_a_picture_goes_out_with_key_digest_type_and_specimen(tmp_path):
    hospital = Hospital()
    image_id = uuid4()
    path = tmp_path / "field.jpg"
    path.write_bytes(JPEG)

    receipt = hospital.microscope().send(
        path,
        accession="A-1",
        image_id=image_id,
        captured_at=datetime(2026, 11, 20, 10, 30, tzinfo=UTC),
    )

    [request] = hospital.requests
    assert request.method == "PUT"
    assert str(request.url) == f"http://hospital.test/api/device/v1/images/{image_id}"
    assert request.content == JPEG
    assert request.headers["Authorization"] == "Bearer llk_key"
    assert request.headers["Content-Type"] == "image/jpeg"
    assert request.headers["Captured-At"] == "2026-11-20T10:30:00+00:00"
    expected = base64.b64encode(hashlib.sha256(JPEG).digest()).decode()
    assert request.headers["Content-Digest"] == f"sha-256=:{expected}:"
    assert (receipt.id, receipt.accession, receipt.created) == (image_id, "A-1", True)


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("silence"),
        httpx.RemoteProtocolError("hung up"),
        problem(429, "too_many_uploads"),
        problem(503, "overloaded"),
        httpx.Response(502, text="<html>a proxy's page</html>"),
        problem(422, "digest_mismatch"),
    ],
)
def test_trouble_that_passes_is_tried_again_under_the_same_id(trouble):
    hospital = Hospital(trouble, trouble)

    hospital.microscope().send(JPEG, accession="A-1")

    assert len(hospital.requests) == 3
    assert len({request.url for request in hospital.requests}) == 1
    assert len(hospital.slept) == 2


def test_the_hospital_says_how_long_to_wait():
    hospital = Hospital(problem(503, "overloaded", **{"Retry-After": "17"}))

    hospital.microscope().send(JPEG, accession="A-1")

    assert 17 <= hospital.slept[0] <= 17.5


def test_a_wait_that_was_asked_for_once_is_not_repeated_for_other_trouble():
    hospital = Hospital(
        problem(503, "overloaded", **{"Retry-After": "100"}), httpx.ConnectError("refused")
    )

    hospital.microscope().send(JPEG, accession="A-1")

    assert hospital.slept[0] >= 100 > hospital.slept[1]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422])
def test_a_refusal_is_final_and_explains_itself(status):
    hospital = Hospital(problem(status, "some_code"))

    with pytest.raises(Refused, match="A sentence") as caught:
        hospital.microscope().send(JPEG, accession="A-1")

    assert (caught.value.status, caught.value.code) == (status, "some_code")
    assert len(hospital.requests) == 1


def test_an_answer_that_explains_nothing_is_still_a_refusal():
    hospital = Hospital(httpx.Response(404, text="<html>not ours</html>"))

    with pytest.raises(Refused) as caught:
        hospital.microscope().send(JPEG, accession="A-1")

    assert caught.value.code == "no_explanation"


def test_patience_ends():
    hospital = Hospital(*[httpx.ConnectError("refused")] * 3)

    with pytest.raises(Unreachable, match=r"3 attempts.*refused"):
        hospital.microscope(attempts=3).send(JPEG, accession="A-1")

    assert len(hospital.slept) == 2


def test_pauses_are_spread_and_bounded():
    patience = Patience(first=1.0, longest=8.0)
    for attempt, ceiling in enumerate([1, 2, 4, 8, 8, 8]):
        pauses = [patience.pause(attempt, 0.0) for _ in range(200)]
        assert 0 <= min(pauses) < ceiling / 4
        assert ceiling * 3 / 4 < max(pauses) <= ceiling


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (JPEG, "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"II*\x00...", "image/tiff"),
        (b"MM\x00*...", "image/tiff"),
        (b"hello", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_kind_of_picture_is_told_by_its_bytes(body, kind):
    assert media_type(body) == kind


def test_retry_after_is_read_in_both_spellings():
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert 25 < retry_after(format_datetime(soon, usegmt=True)) <= 30
    assert retry_after(format_datetime(soon - timedelta(hours=1), usegmt=True)) == 0
    assert retry_after("12") == 12
    for nothing in (None, "", "soon", "Fri, 20 Nov 2026 09:30:00 -0000"):
        assert retry_after(nothing) == 0


def test_a_folder_gives_its_pictures_and_nothing_else(tmp_path):
    for name in ["b.PNG", "a.jpg", "deep/er/c.tiff", "notes.txt", ".hidden.jpg", ".git/d.jpg"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)

    names = [str(path.relative_to(tmp_path)) for path in pictures_in(tmp_path)]

    assert names == ["a.jpg", "b.PNG", "deep/er/c.tiff"]


def test_one_refused_picture_does_not_stop_the_others(tmp_path):
    paths = [tmp_path / f"{n}.jpg" for n in range(3)]
    for path in paths:
        path.write_bytes(JPEG)
    heartbeat = httpx.Response(200, json={"interval_seconds": 60})
    hospital = Hospital(heartbeat, problem(404, "unknown_accession"))

    deliveries = list(deliver(hospital.microscope(), [Job(path, "A-1") for path in paths]))

    assert [delivery.receipt is None for delivery in deliveries] == [True, False, False]
    assert "unknown_accession" in deliveries[0].problem
    beats = [r for r in hospital.requests if r.url.path.endswith("heartbeat")]
    assert len(beats) == 2
