"""Promises to a microscope: what we acknowledge is safe; what we refuse leaves nothing behind."""

import threading
import uuid
from typing import Any

import pytest
from django.db import connection

from diagnostics.models import Analysis, DiagnosticReport, FieldImage, ReportStatus
from diagnostics.services import intake
from diagnostics.services.capacity import TooManyUploads
from hospital.audit.models import Entry
from hospital.base import files
from hospital.base.problems import Conflict, Forbidden, NotFound, Overloaded, Refusal
from hospital.live.models import Event
from tests.world import World, content_digest

TABLES = [FieldImage, Analysis, DiagnosticReport, Entry, Event]


def send(world: World, body: bytes | None = None, **changes: Any) -> tuple[FieldImage, bool]:
    body = world.smear() if body is None else body
    request = {
        "device": world.device,
        "image_id": uuid.uuid4(),
        "body": body,
        "content_digest": content_digest(body),
        "accession": world.specimen.accession,
    }
    return intake.receive(**{**request, **changes})


def rows() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in TABLES}


def test_an_accepted_picture_is_stored_to_the_byte_and_queued(world: World) -> None:
    image, created = send(world)
    assert created
    assert files.read(image.storage_key) == world.smear()
    assert image.analyses.get().state == "queued"
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    assert report.status == ReportStatus.REGISTERED
    assert report.findings["fields"] == {"total": 1, "pending": 1}


def test_the_same_picture_sent_again_changes_nothing(world: World) -> None:
    image, _ = send(world)
    before = rows()
    again, created = send(world, image_id=image.pk)
    assert (again, created, rows()) == (image, False, before)


@pytest.mark.parametrize("change", ["body", "accession", "device"])
def test_an_id_used_before_is_a_conflict_and_keeps_the_first(world: World, change: str) -> None:
    image, _ = send(world)
    before = rows()
    other = {
        "body": {"body": world.smear(1)},
        "accession": {"accession": world.other_specimen.accession},
        "device": {"device": world.other_device},
    }[change]
    with pytest.raises(Conflict) as refused:
        send(world, image_id=image.pk, **other)
    assert refused.value.code == "image_id_taken"
    assert rows() == before


@pytest.mark.parametrize(
    ("changes", "kind", "code"),
    [
        ({"content_digest": ""}, Refusal, "digest_missing"),
        ({"content_digest": "md5=:abcd:"}, Refusal, "digest_missing"),
        ({"content_digest": content_digest(b"other")}, Refusal, "digest_mismatch"),
        ({"content_digest": "sha-256=:!!!!:"}, Refusal, "digest_missing"),
        ({"accession": ""}, NotFound, "accession_missing"),
        ({"accession": "nobody-1"}, NotFound, "unknown_accession"),
        ({"accession": "S-2026-0001"}, Forbidden, "other_clinic"),
        ({"body": b"just some text"}, Refusal, "not_an_image"),
        ({"body": b""}, Refusal, "not_an_image"),
    ],
)
def test_what_is_refused_names_its_reason_and_leaves_no_row(
    world: World, changes: dict[str, Any], kind: type[Refusal], code: str
) -> None:
    before = rows()
    with pytest.raises(kind) as refused:
        send(world, **changes)
    assert refused.value.code == code
    assert rows() == before


def test_a_microscope_that_floods_is_asked_to_wait(world: World, settings: Any) -> None:
    settings.UPLOADS_PER_MINUTE = 2
    send(world), send(world, world.smear(1))
    with pytest.raises(TooManyUploads) as refused:
        send(world, world.smear(2))
    assert refused.value.retry_after


def test_a_long_queue_asks_everyone_to_wait_but_confirms_what_it_has(
    world: World, settings: Any
) -> None:
    settings.MAX_QUEUED_ANALYSES = 1
    image, _ = send(world)
    with pytest.raises(Overloaded) as refused:
        send(world, world.smear(1))
    assert refused.value.retry_after
    assert send(world, image_id=image.pk) == (image, False)


def test_those_refused_in_one_moment_are_not_called_back_in_one(
    world: World, settings: Any
) -> None:
    settings.MAX_QUEUED_ANALYSES = 0
    told = set()
    for _ in range(20):
        with pytest.raises(Overloaded) as refused:
            send(world)
        told.add(refused.value.retry_after)
    assert len(told) > 1


def test_a_full_disk_refuses_and_leaves_no_row(world: World, monkeypatch: Any) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "put", full)
    before = rows()
    with pytest.raises(Overloaded) as refused:
        send(world)
    assert (refused.value.code, rows()) == ("storage_unavailable", before)


@pytest.mark.django_db(transaction=True)
def test_the_same_picture_sent_ten_times_at_once_is_stored_once(world: World) -> None:
    image_id = uuid.uuid4()
    created: list[bool] = []
    barrier = threading.Barrier(10)

    def post() -> None:
        barrier.wait()
        try:
            created.append(send(world, image_id=image_id)[1])
        finally:
            connection.close()

    threads = [threading.Thread(target=post) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(created) == [False] * 9 + [True]
    assert FieldImage.objects.count() == Analysis.objects.count() == 1
