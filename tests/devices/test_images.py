"""What a microscope may rely on when it sends a picture."""

import hashlib
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from devices.models import DeviceKey
from diagnostics.models import Analysis, DiagnosticReport, FieldImage
from hospital.base import files
from tests.devices.conftest import Microscope
from tests.world import World, content_digest

pytestmark = pytest.mark.django_db


def test_a_picture_is_on_disk_and_in_the_database_before_the_answer(
    world: World, microscope: Microscope
) -> None:
    image_id, body = uuid.uuid4(), world.smear(1)

    answer = microscope.put(body, image_id, headers={"Captured-At": "2026-03-01T09:30:00+02:00"})

    assert answer.status_code == 201
    image = FieldImage.objects.get(pk=image_id)
    assert files.read(image.storage_key) == body
    assert image.captured_at == datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
    assert answer.json() == {
        "id": str(image_id),
        "state": "received",
        "accession": world.specimen.accession,
        "sha256": hashlib.sha256(body).hexdigest(),
        "received_at": image.received_at.isoformat().replace("+00:00", "Z"),
        "held": [],
    }


def test_the_same_picture_again_is_welcome_and_changes_nothing(
    world: World, microscope: Microscope, row_counts: Any
) -> None:
    image_id, body = uuid.uuid4(), world.smear(1)
    first = microscope.put(body, image_id)
    before = row_counts()

    again = microscope.put(body, image_id)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert row_counts() == before


def test_an_id_in_capitals_is_the_same_id(world: World, microscope: Microscope) -> None:
    image_id, body = uuid.uuid4(), world.smear(1)
    assert microscope.put(body, str(image_id).upper()).status_code == 201
    assert microscope.put(body, image_id).status_code == 200


def test_the_content_type_is_not_trusted(world: World, microscope: Microscope) -> None:
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "?"]:
        assert microscope.put(world.smear(1), content_type=kind).status_code == 201


def test_any_accept_header_gets_json(world: World, microscope: Microscope) -> None:
    answer = microscope.put(world.smear(1), headers={"Accept": "image/png"})
    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/json"


@pytest.mark.django_db(transaction=True)
def test_two_deliveries_at_once_make_one_picture(world: World) -> None:
    image_id, body = uuid.uuid4(), world.smear(1)
    start = threading.Barrier(2)
    statuses: list[int] = []

    def deliver() -> None:
        start.wait()
        try:
            statuses.append(Microscope(world, world.key).put(body, image_id).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(statuses) == [200, 201]
    assert FieldImage.objects.count() == Analysis.objects.count() == 1
    assert DiagnosticReport.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_different_pictures_under_one_id_the_first_stays(world: World) -> None:
    image_id = uuid.uuid4()
    start = threading.Barrier(2)
    answers: dict[int, int] = {}

    def deliver(seed: int) -> None:
        body = world.smear(seed)
        start.wait()
        try:
            answers[seed] = Microscope(world, world.key).put(body, image_id).status_code
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver, args=[seed]) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(answers.values()) == [201, 409]
    kept = next(seed for seed, status in answers.items() if status == 201)
    digest = hashlib.sha256(world.smear(kept)).hexdigest()
    assert FieldImage.objects.get().sha256 == digest


def test_the_microscope_learns_what_became_of_its_picture(
    world: World, microscope: Microscope
) -> None:
    image_id = uuid.uuid4()
    microscope.put(world.smear(1), image_id)
    image = FieldImage.objects.get(pk=image_id)
    report = DiagnosticReport.objects.get()

    waiting = microscope.get(image_id).json()
    assert waiting == {
        "id": str(image_id),
        "state": "received",
        "accession": world.specimen.accession,
        "sha256": image.sha256,
        "received_at": image.received_at.isoformat().replace("+00:00", "Z"),
        "rejection": None,
        "analysis": {"state": "queued", "outcome": "", "failure": ""},
        "report": {"id": str(report.pk), "status": "registered"},
        "held": [],
        "control": None,
    }

    world.succeed(image)
    done = microscope.get(image_id).json()
    assert done["state"] == "accepted"
    assert done["analysis"] == {"state": "succeeded", "outcome": "classified", "failure": ""}
    assert done["report"]["status"] == "partial"


def test_an_analysis_that_ends_while_a_microscope_asks_is_told_with_its_report_or_not_at_all(
    world: World, microscope: Microscope
) -> None:
    image_id = uuid.uuid4()
    microscope.put(world.smear(1), image_id)

    def finish_after_the_picture_was_read(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        rows = execute(sql, params, many, context)
        if 'FROM "diagnostics_fieldimage"' in sql and not finished:
            finished.append(sql)
            world.succeed(FieldImage.objects.get(pk=image_id))
        return rows

    finished: list[str] = []
    with connection.execute_wrapper(finish_after_the_picture_was_read):
        told = microscope.get(image_id).json()

    assert finished
    assert (told["analysis"]["state"], told["report"]["status"]) == ("queued", "registered")


def test_a_rejected_picture_comes_with_advice(world: World, microscope: Microscope) -> None:
    image_id = uuid.uuid4()
    microscope.put(world.smear(1), image_id)
    image = FieldImage.objects.get(pk=image_id)
    world.succeed(image, outcome="not_a_smear", rejection="not_a_smear")

    told = microscope.get(image_id).json()

    assert told["state"] == "rejected"
    assert told["rejection"]["code"] == "not_a_smear"
    assert "slide" in told["rejection"]["advice"]


def test_a_microscope_is_told_nothing_about_anothers_picture(
    world: World, microscope: Microscope
) -> None:
    image_id = uuid.uuid4()
    microscope.put(world.smear(1), image_id)

    answer = Microscope(world, world.other_key).get(image_id)

    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_image"


def test_the_answer_holds_nothing_about_the_patient(world: World, microscope: Microscope) -> None:
    image_id = uuid.uuid4()
    put = microscope.put(world.smear(1), image_id)
    world.succeed(FieldImage.objects.get(pk=image_id))
    said = put.content + microscope.get(image_id).content
    for secret in [world.patient.family_name, world.patient.mrn, "pre_b"]:
        assert secret.encode() not in said


def test_using_a_key_is_noted_on_the_key(world: World, microscope: Microscope) -> None:
    microscope.put(world.smear(1))
    assert DeviceKey.objects.get(device=world.device).last_used_at is not None


def test_upload_digest_may_stand_among_others(world: World, microscope: Microscope) -> None:
    body = world.smear(1)
    digests = f"sha-512=:AAAA:, {content_digest(body)}"
    assert microscope.put(body, headers={"Content-Digest": digests}).status_code == 201
