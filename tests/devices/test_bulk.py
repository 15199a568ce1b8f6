"""Many pictures in one request: each is judged by itself, and safe is safe as ever."""

import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection

from diagnostics.models import Analysis, DiagnosticReport, FieldImage
from hospital.audit.models import Entry
from hospital.base import files
from hospital.live.models import Event
from tests.devices.conftest import Microscope
from tests.world import World, content_digest

pytestmark = pytest.mark.django_db

RowCounts = Callable[[], dict[str, int]]


def framed(world: World, body: bytes, **changes: Any) -> bytes:
    """One picture as it stands in a bulk body."""
    line = {
        "id": str(uuid.uuid4()),
        "accession": world.specimen.accession,
        "content_digest": content_digest(body),
        "size": len(body),
    }
    return json.dumps(line | changes).encode() + b"\n" + body


def post(world: World, *parts: bytes, key: str = "") -> Any:
    return Microscope(world, world.key).client.post(
        "/api/device/v1/images",
        b"".join(parts),
        content_type="application/octet-stream",
        headers={"Authorization": f"Bearer {key or world.key}"},
    )


def test_many_pictures_are_safe_after_one_answer(world: World) -> None:
    answer = post(world, *(framed(world, world.smear(seed)) for seed in range(5)))
    assert answer.status_code == 200
    assert [result["status"] for result in answer.json()["results"]] == [201] * 5
    for seed, result in enumerate(answer.json()["results"]):
        assert files.read(FieldImage.objects.get(pk=result["id"]).storage_key) == world.smear(seed)
    assert Analysis.objects.filter(state="queued").count() == 5
    assert Entry.objects.filter(action="image.received").count() == 5
    report = DiagnosticReport.objects.get()
    assert report.findings["fields"] == {"total": 5, "pending": 5}
    assert Event.objects.filter(subject=report.pk).count() == 1


def test_what_is_wrong_with_one_stops_none_of_the_others(world: World) -> None:
    smear, known = world.smear(1), uuid.uuid4()
    Microscope(world, world.key).put(world.smear(9), known)
    parts = {
        framed(world, world.smear(2)): (201, None),
        framed(world, smear, content_digest=content_digest(b"other")): (422, "digest_mismatch"),
        framed(world, smear, content_digest=None): (422, "digest_missing"),
        framed(world, smear, id="7"): (400, "bad_image_id"),
        framed(world, smear, id=float("nan")): (400, "bad_image_id"),
        framed(world, smear, id="\ud800"): (400, "bad_image_id"),
        framed(world, smear, accession="nobody-1"): (404, "unknown_accession"),
        framed(world, smear, accession="N\0"): (404, "unknown_accession"),
        framed(world, smear, accession=""): (404, "accession_missing"),
        framed(world, smear, accession="S-2026-0001"): (403, "other_clinic"),
        framed(world, smear, captured_at="yesterday"): (422, "captured_at_unreadable"),
        framed(world, b"no picture"): (415, "not_an_image"),
        framed(world, b""): (415, "not_an_image"),
        framed(world, smear, id=str(known)): (409, "image_id_taken"),
        framed(world, world.smear(9), id=str(known)): (200, None),
        framed(world, world.smear(3)): (201, None),
    }
    results = post(world, *parts).json()["results"]
    assert [(r["status"], r.get("code")) for r in results] == list(parts.values())
    assert all(len(r["detail"]) > 20 for r in results if r["status"] >= 400)
    assert FieldImage.objects.count() == 3


def test_sent_again_as_a_whole_or_one_by_one_it_changes_nothing(
    world: World, row_counts: RowCounts
) -> None:
    parts = [framed(world, world.smear(seed)) for seed in range(3)]
    first = post(world, *parts).json()["results"]
    before = row_counts()
    again = post(world, *parts).json()["results"]
    single = Microscope(world, world.key).put(world.smear(1), first[1]["id"])
    assert [result["status"] for result in again] == [200] * 3
    assert [r | {"status": 201} for r in again] == first
    assert single.status_code == 200
    assert row_counts() == before


def test_one_id_twice_in_a_request_is_one_picture(world: World) -> None:
    one = str(uuid.uuid4())
    same = framed(world, world.smear(1), id=one)
    other = framed(world, world.smear(2), id=one)
    results = post(world, same, same, other).json()["results"]
    assert [result["status"] for result in results] == [201, 200, 409]


@pytest.mark.parametrize(
    ("spoil", "status", "code"),
    [
        (lambda part: part + b"{", 400, "malformed_bulk"),
        (lambda part: part[:-1], 400, "malformed_bulk"),
        (lambda part: part + b"\n", 400, "malformed_bulk"),
        (lambda part: b"[]\n" + part, 400, "malformed_bulk"),
        (lambda part: b'{"size": -1}\n' + part, 400, "malformed_bulk"),
        (lambda part: b'{"size": true}\n' + part, 400, "malformed_bulk"),
        (lambda part: b"[" * 100_000 + b"\n" + part, 400, "malformed_bulk"),
        (lambda part: part * 4, 413, "too_many_pictures"),
    ],
)
def test_a_body_that_cannot_be_told_apart_is_refused_as_a_whole(
    world: World,
    row_counts: RowCounts,
    settings: Any,
    spoil: Callable[[bytes], bytes],
    status: int,
    code: str,
) -> None:
    settings.MAX_BULK_PICTURES = 3
    before = row_counts()
    answer = post(world, spoil(framed(world, world.smear(1))))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert row_counts() == before


def test_what_exceeds_the_limit_waits_and_the_rest_is_taken(world: World, settings: Any) -> None:
    settings.UPLOADS_PER_MINUTE = 2
    results = post(world, *(framed(world, world.smear(n)) for n in range(4))).json()["results"]
    assert [result["status"] for result in results] == [201, 201, 429, 429]
    assert results[2]["retry_after"] > 0


def test_without_a_key_nothing_is_read(world: World, row_counts: RowCounts) -> None:
    before = row_counts()
    answer = post(world, framed(world, world.smear(1)), key="llk_000000000000_x")
    assert answer.status_code == 401
    assert row_counts() == before


def test_one_file_that_cannot_be_stored_stops_none_of_the_others(
    world: World, monkeypatch: Any
) -> None:
    put, refused = files.put, world.smear(1)

    def nearly_full(key: str, data: bytes) -> str:
        if data == refused:
            raise OSError(28, "No space left on device")
        return put(key, data)

    monkeypatch.setattr(files, "put", nearly_full)
    results = post(world, *(framed(world, world.smear(n)) for n in range(3))).json()["results"]
    assert [result["status"] for result in results] == [201, 503, 201]
    assert results[1]["code"] == "storage_unavailable"
    assert FieldImage.objects.count() == 2


def test_a_database_that_goes_away_leaves_no_row(
    world: World, row_counts: RowCounts, monkeypatch: Any
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OperationalError("the database went away")

    monkeypatch.setattr("diagnostics.services.intake.reports.count_in", broken)
    before = row_counts()
    results = post(world, *(framed(world, world.smear(n)) for n in range(2))).json()["results"]
    assert [(r["status"], r["code"]) for r in results] == [(503, "storage_unavailable")] * 2
    assert row_counts() == before


@pytest.mark.django_db(transaction=True)
def test_the_same_pictures_through_both_doors_at_once_are_stored_once(world: World) -> None:
    ids, smears = [str(uuid.uuid4()) for _ in range(4)], [world.smear(n) for n in range(4)]
    parts = [framed(world, body, id=one) for one, body in zip(ids, smears, strict=True)]
    start = threading.Barrier(6)
    statuses: list[int] = []

    def many(turned: bool) -> None:
        start.wait()
        answer = post(world, *(reversed(parts) if turned else parts))
        statuses.extend(result["status"] for result in answer.json()["results"])

    def single(number: int) -> None:
        start.wait()
        microscope = Microscope(world, world.key)
        statuses.append(microscope.put(smears[number], ids[number]).status_code)

    def closing(what: Callable[[Any], None], given: Any) -> None:
        try:
            what(given)
        finally:
            connection.close()

    jobs = [(many, False), (many, True), *((single, number) for number in range(4))]
    threads = [threading.Thread(target=closing, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(statuses) == [200] * 8 + [201] * 4
    assert FieldImage.objects.count() == Analysis.objects.count() == 4
    assert DiagnosticReport.objects.get().findings["fields"] == {"total": 4, "pending": 4}
