"""Promises of STOW-RS: stored as by any door, each object judged by itself."""

from typing import Any

import pytest
from django.test import Client

from diagnostics.dicom import multipart
from diagnostics.models import DicomInstance, FieldImage
from tests.diagnostics.dicom.web.conftest import DICOM, Web
from tests.dicom_objects import dataset, part10
from tests.world import World

pytestmark = pytest.mark.django_db


def test_objects_are_stored_and_referenced(microscope: Web, world: World) -> None:
    first, second = dataset(world, 1), dataset(world, 2)
    answer = microscope.store(part10(first), part10(second))
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/dicom+json")
    safe = answer.json()["00081199"]["Value"]
    assert [s["00081155"]["Value"][0] for s in safe] == [
        first.SOPInstanceUID,
        second.SOPInstanceUID,
    ]
    assert safe[0]["00081190"]["Value"][0].endswith(f"/instances/{first.SOPInstanceUID}")
    assert DicomInstance.objects.count() == 2
    assert microscope.store(part10(first)).status_code == 200
    assert FieldImage.objects.count() == 2


def test_each_object_is_judged_by_itself(microscope: Web, world: World) -> None:
    good, bad = dataset(world, 1), dataset(world, 2, PatientID="N-2")
    answer = microscope.store(part10(bad), part10(good), b"rubbish")
    assert answer.status_code == 202
    told = answer.json()
    assert len(told["00081199"]["Value"]) == 1
    first, second = told["00081198"]["Value"]
    assert first["00081155"]["Value"] == [bad.SOPInstanceUID]
    assert first["00081197"]["Value"] == [0xC003]
    assert second == {
        "00081150": {"vr": "UI"},
        "00081155": {"vr": "UI"},
        "00081197": {"vr": "US", "Value": [0xC001]},
    }
    assert '299 leukolens "other_patient: ' in answer["Warning"]


def test_nothing_stored_is_a_conflict(microscope: Web, world: World) -> None:
    answer = microscope.store(part10(dataset(world, PatientID="N-2")))
    assert answer.status_code == 409
    assert "00081199" not in answer.json()


def test_busy_is_said_so_that_the_sender_comes_again(
    microscope: Web, world: World, settings: Any
) -> None:
    settings.MAX_QUEUED_ANALYSES = 0
    answer = microscope.store(part10(dataset(world)))
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer["Retry-After"]


def test_a_named_study_takes_its_own_objects_only(microscope: Web, world: World) -> None:
    made = dataset(world)
    assert microscope.store(part10(made), path="studies/1.2.3").status_code == 409
    path = f"studies/{made.StudyInstanceUID}"
    assert microscope.store(part10(made), path=path).status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"--xyz--", "application/dicom", 415, "dicom_media_type"),
        (b"--xyz--", "", 415, "dicom_media_type"),
        (b"--xyz--", "multipart/related", 400, "malformed_multipart"),
        (b"\r\n", DICOM, 400, "malformed_multipart"),
        (b"--xyz\r\n\r\nabc", DICOM, 400, "malformed_multipart"),
        (b"--xyz\r\nno blank line\r\n--xyz--", DICOM, 400, "malformed_multipart"),
        (b"--xyz\r\nContent-Type: text/xml\r\n\r\n<a/>\r\n--xyz--", DICOM, 415, "dicom_media_type"),
        (b"--xyz--", 'multipart/related; boundary="\xff"', 400, "malformed_multipart"),
    ],
)
def test_a_body_that_is_no_multipart_is_refused(
    microscope: Web, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = microscope.client.post(
        "/api/dicom/studies", body, content_type=content_type, headers=microscope.headers()
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_flood_of_parts_is_refused_before_they_are_read(microscope: Web, world: World) -> None:
    answer = microscope.store(*[b""] * 101)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_pictures")


def test_a_person_stores_nothing(person: Any, world: World) -> None:
    client = Client()
    client.force_login(world.technician)
    assert Web(client).store(part10(dataset(world))).status_code == 403
    assert not FieldImage.objects.exists()


def test_multipart_survives_any_bytes() -> None:
    contents = [b"", b"\r\n", b"--", b"\r\n--xyz"[:4], bytes(range(256)) * 9]
    body, kind = multipart.put_together(
        [("application/dicom", content) for content in contents], media_type="application/dicom"
    )
    assert multipart.parts_of(body, kind, most=9) == contents
