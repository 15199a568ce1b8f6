"""Promises of DICOMweb: stored as by any door, found and given back to whoever may see it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from django.test import Client
from pydicom.uid import generate_uid

from devices.services import keys, registry
from diagnostics.dicom import multipart
from diagnostics.models import ControlSlide, DicomInstance, FieldImage, Specimen
from diagnostics.services import dicom
from hospital.audit.models import Entry
from tests.dicom_objects import as_native, dataset, part10, pixels_of
from tests.world import SETUP, World, jpeg

pytestmark = pytest.mark.django_db

DICOM = 'multipart/related; type="application/dicom"; boundary=xyz'


def body_of(*objects: bytes) -> bytes:
    parts = [b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in objects]
    return b"".join(parts) + b"--xyz--\r\n"


@dataclass
class Web:
    """DICOMweb in somebody's hands."""

    client: Client
    key: str = ""

    def headers(self, accept: str = "") -> dict[str, str]:
        told = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return {**told, **({"Accept": accept} if accept else {})}

    def get(self, path: str, accept: str = "", **query: Any) -> Any:
        return self.client.get(f"/api/dicom/{path}", query, headers=self.headers(accept))

    def store(self, *objects: bytes, path: str = "studies", content_type: str = DICOM) -> Any:
        return self.client.post(
            f"/api/dicom/{path}",
            body_of(*objects),
            content_type=content_type,
            headers=self.headers("application/dicom+json"),
        )


@pytest.fixture
def microscope(world: World) -> Web:
    return Web(Client(enforce_csrf_checks=True), world.key)


@pytest.fixture
def person(world: World) -> Callable[[str], Web]:
    def signed_in(name: str) -> Web:
        client = Client(enforce_csrf_checks=True)
        client.force_login(getattr(world, name))
        return Web(client)

    return signed_in


@pytest.fixture
def instance(world: World) -> DicomInstance:
    return dicom.store(device=world.device, data=part10(dataset(world)))[0]


def place(row: DicomInstance) -> str:
    return f"studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_instance_uid}"


def parts_of(answer: Any) -> list[bytes]:
    boundary = answer["Content-Type"].rpartition("boundary=")[2].encode()
    pieces = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]]


def uids(answer: Any, tag: str = "00080018") -> list[str]:
    return [row[tag]["Value"][0] for row in answer.json()]


# --- storing ------------------------------------------------------------------------------------


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


# --- searching ----------------------------------------------------------------------------------


@pytest.fixture
def archive(world: World) -> dict[str, list[Any]]:
    """Two studies of the clinic, the second of two series and three objects; one elsewhere."""
    second = Specimen.objects.create(
        accession="N-7",
        patient=world.patient,
        clinic=world.clinic,
        collected_at="2026-11-20T08:00Z",
    )
    study, series = generate_uid(), [generate_uid(), generate_uid()]
    one = dataset(world, 1)
    many = [
        dataset(
            world,
            2 + n,
            StudyInstanceUID=study,
            SeriesInstanceUID=series[n // 2],
            StudyDate="20260101",
            specimen=second,
        )
        for n in range(3)
    ]
    foreign = dataset(world, 9, specimen=world.other_specimen)
    for made in (one, *many):
        dicom.store(device=world.device, data=part10(made))
    dicom.store(device=world.other_device, data=part10(foreign))
    return {"one": [one], "many": many, "foreign": [foreign]}


def test_studies_series_and_instances_are_found(person: Any, archive: Any) -> None:
    web = person("haematologist")
    one, many = archive["one"][0], archive["many"]
    studies = {row["0020000D"]["Value"][0]: row for row in web.get("studies").json()}
    assert set(studies) == {one.StudyInstanceUID, many[0].StudyInstanceUID}
    row = studies[many[0].StudyInstanceUID]
    assert row["00201206"]["Value"] == [2]
    assert row["00201208"]["Value"] == [3]
    assert row["00100010"]["Value"] == [{"Alphabetic": "Rahman^Amina"}]
    assert row["00080050"]["Value"] == ["N-7"]
    assert row["00081190"]["Value"][0].endswith(f"/studies/{many[0].StudyInstanceUID}")
    path = f"studies/{many[0].StudyInstanceUID}"
    series = {
        row["0020000E"]["Value"][0]: row["00201209"]["Value"][0]
        for row in web.get(f"{path}/series").json()
    }
    assert series == {many[0].SeriesInstanceUID: 2, many[2].SeriesInstanceUID: 1}
    assert len(uids(web.get(f"{path}/instances"))) == 3
    inner = web.get(f"{path}/series/{many[2].SeriesInstanceUID}/instances")
    assert uids(inner) == [many[2].SOPInstanceUID]
    assert len(uids(web.get("instances"))) == 4
    assert len(web.get("series").json()) == 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"AccessionNumber": "N-7"}, 3),
        ({"AccessionNumber": "N-*"}, 4),
        ({"AccessionNumber": "S-2026-0001"}, 0),
        ({"00080050": "N-7"}, 3),
        ({"PatientID": "N-1"}, 4),
        ({"PatientID": "S-1"}, 0),
        ({"PatientID": "*"}, 4),
        ({"StudyDate": "20260101"}, 3),
        ({"StudyDate": "20260101-20261120"}, 3),
        ({"StudyDate": "-20251231"}, 0),
        ({"StudyDate": "20260102-"}, 1),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.2"}, 4),
        ({"SOPInstanceUID": "1.2.3"}, 0),
        ({"limit": "1"}, 1),
        ({"limit": "10", "offset": "3"}, 1),
        ({"limit": "0"}, 0),
        ({"AccessionNumber": "N-7", "StudyDate": "20261121"}, 0),
    ],
)
def test_each_key_narrows_the_search(
    person: Any, archive: Any, query: dict[str, str], expected: int
) -> None:
    assert len(person("technician").get("instances", **query).json()) == expected


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"PatientName": "Rahman*"}, "dicom_unmatchable"),
        ({"NoSuchThing": "1"}, "dicom_bad_query"),
        ({"FFFFFFFF": "1"}, "dicom_bad_query"),
        ({"StudyDate": "yesterday"}, "dicom_bad_query"),
        ({"StudyDate": "2026"}, "dicom_bad_query"),
        ({"PatientID": "N*1"}, "dicom_bad_query"),
        ({"PatientID": "N\0"}, "nul_in_address"),
        ({"limit": "-1"}, "dicom_bad_query"),
        ({"limit": "1e9"}, "dicom_bad_query"),
        ({"offset": "9" * 30}, "dicom_bad_query"),
        ({"fuzzymatching": "true"}, "dicom_bad_query"),
        ({"includefield": "NoSuchThing"}, "dicom_bad_query"),
    ],
)
def test_a_search_that_would_show_more_than_was_meant_is_refused(
    person: Any, archive: Any, query: dict[str, str], code: str
) -> None:
    answer = person("technician").get("instances", **query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_other_fields_are_told_on_request(person: Any, instance: DicomInstance) -> None:
    web = person("technician")
    [plain] = web.get("instances").json()
    assert "00080070" not in plain
    [more] = web.get("instances", includefield="Manufacturer,00081090").json()
    assert more["00080070"]["Value"] == ["Optika"]
    assert more["00081090"] == {"vr": "LO"}
    [everything] = web.get("instances", includefield="all").json()
    assert set(instance.attributes) <= set(everything)


def test_a_page_after_the_other_shows_each_once(person: Any, archive: Any) -> None:
    web = person("technician")
    seen = [uids(web.get("instances", limit=1, offset=n)) for n in range(4)]
    assert len({uid for [uid] in seen}) == 4


# --- retrieving ---------------------------------------------------------------------------------


def test_the_very_object_is_given_back(
    microscope: Web, person: Any, world: World, instance: DicomInstance
) -> None:
    data = part10(dataset(world, 4, StudyInstanceUID=instance.study_uid))
    dicom.store(device=world.device, data=data)
    for web in (microscope, person("haematologist")):
        answer = web.get(f"studies/{instance.study_uid}")
        assert answer["Content-Type"].startswith('multipart/related; type="application/dicom"')
        assert len(parts_of(answer)) == 2
        [one] = parts_of(web.get(place(instance)))
        assert pydicom.dcmread(BytesIO(one)).SOPInstanceUID == instance.sop_instance_uid
        assert len(parts_of(web.get(f"studies/{instance.study_uid}/series/{instance.series_uid}")))


def test_metadata_frames_and_pictures_are_given_back(
    microscope: Web, person: Any, world: World, instance: DicomInstance
) -> None:
    native, _ = dicom.store(
        device=world.device, data=part10(as_native(dataset(world), pixels_of(jpeg(5))))
    )
    for web in (microscope, person("technician")):
        [metadata] = web.get(f"{place(instance)}/metadata").json()
        assert metadata == instance.attributes
        [frame] = parts_of(web.get(f"{place(instance)}/frames/1"))
        assert frame == jpeg(0)
        [raw] = parts_of(web.get(f"{place(native)}/frames/1"))
        assert raw == pixels_of(jpeg(5)).tobytes()
        shown = web.get(f"{place(instance)}/rendered")
        assert (shown["Content-Type"], shown.content) == ("image/jpeg", jpeg(0))
        as_png = web.get(f"{place(instance)}/rendered", "image/png")
        assert np.array_equal(pixels_of(as_png.content), pixels_of(jpeg(0)))
        as_jpeg = web.get(f"{place(native)}/rendered", "image/jpeg")
        assert as_jpeg.content[:2] == b"\xff\xd8"
        assert shown["X-Content-Type-Options"] == "nosniff"
        assert shown["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("", "text/html"),
        ("", 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'),
        ("/metadata", "application/dicom+xml"),
        ("/frames/1", 'multipart/related; type="application/octet-stream"'),
        ("/rendered", "image/gif"),
    ],
)
def test_what_there_is_not_is_not_acceptable(
    microscope: Web, instance: DicomInstance, path: str, accept: str
) -> None:
    answer = microscope.get(place(instance) + path, accept)
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        'multipart/related; type="application/dicom"',
        'multipart/related; type="application/dicom"; transfer-syntax=*',
        "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50",
    ],
)
def test_the_usual_ways_to_ask_are_understood(
    microscope: Web, instance: DicomInstance, accept: str
) -> None:
    assert microscope.get(place(instance), accept).status_code == 200


def test_there_is_one_frame(microscope: Web, instance: DicomInstance) -> None:
    for frames in ("2", "0", "1,2", "x"):
        assert microscope.get(f"{place(instance)}/frames/{frames}").status_code == 404


def test_too_much_for_one_answer_is_refused(
    microscope: Web, instance: DicomInstance, settings: Any
) -> None:
    settings.DICOM_MAX_RETRIEVE_BYTES = instance.size - 1
    answer = microscope.get(place(instance))
    assert (answer.status_code, answer.json()["code"]) == (413, "dicom_too_much")


# --- who sees what ------------------------------------------------------------------------------

BELOW = ("", "/metadata", "/frames/1", "/rendered")


def test_other_clinics_and_microscopes_see_nothing(
    person: Any, world: World, instance: DicomInstance
) -> None:
    second = registry.register_device(
        actor=SETUP, clinic=world.clinic, name="C", make="M", model="X", serial="77"
    )
    colleague = Web(Client(), keys.issue_key(actor=SETUP, device=second))
    for web in (person("outsider"), Web(Client(), world.other_key), colleague):
        for below in BELOW:
            assert web.get(place(instance) + below).status_code == 404
        for path in ("studies", "series", "instances", f"studies/{instance.study_uid}/series"):
            assert web.get(path).json() == []


def test_whoever_may_not_look_at_pictures_is_kept_out(person: Any, instance: DicomInstance) -> None:
    for name in ("guardian", "stranger", "device_manager", "administrator"):
        for path in ("studies", place(instance)):
            assert person(name).get(path).status_code == 403
    for path in ("studies", place(instance)):
        assert Web(Client()).get(path).status_code == 401


def test_every_retrieval_is_in_the_audit_trail(
    microscope: Web, person: Any, world: World, instance: DicomInstance
) -> None:
    for below in BELOW:
        before = Entry.objects.count()
        microscope.get(place(instance) + below)
        entry = Entry.objects.order_by("pk").last()
        assert Entry.objects.count() == before + 1
        assert (entry.action, entry.actor_id) == ("dicom.retrieved", str(world.device.pk))
        assert entry.patient_id == world.patient.pk
    person("technician").get(place(instance))
    entry = Entry.objects.order_by("pk").last()
    assert (entry.action, entry.actor_id) == ("report.read", str(world.technician.pk))


def test_a_refused_retrieval_is_not_in_the_audit_trail(
    person: Any, instance: DicomInstance
) -> None:
    outsider = person("outsider")  # signing in is in the trail
    before = Entry.objects.count()
    outsider.get(place(instance))
    assert Entry.objects.count() == before


def test_a_microscope_finds_its_control_pictures_too(
    microscope: Web, person: Any, world: World, instance: DicomInstance
) -> None:
    slide = ControlSlide.objects.create(clinic=world.clinic, label="CONTROL-1", expected="benign")
    FieldImage.objects.filter(pk=instance.pk).update(specimen=None, control_slide=slide)
    [row] = microscope.get("instances").json()
    assert row["00080050"]["Value"] == ["CONTROL-1"]
    assert microscope.get(place(instance)).status_code == 200
    assert person("technician").get("instances").json() == []


def test_answers_are_json_and_name_nobody_else(person: Any, archive: Any) -> None:
    said = json.dumps(person("technician").get("instances", includefield="all").json())
    assert "S-2026-0001" not in said
