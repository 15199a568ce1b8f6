"""Promises of QIDO-RS: what there is, is found by whoever may see it."""

import json
from typing import Any

import pytest
from pydicom.uid import generate_uid

from diagnostics.models import DicomInstance, Specimen
from diagnostics.services import dicom
from tests.diagnostics.dicom.web.conftest import uids
from tests.dicom_objects import dataset, part10
from tests.world import World

pytestmark = pytest.mark.django_db


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


def test_answers_are_json_and_name_nobody_else(person: Any, archive: Any) -> None:
    said = json.dumps(person("technician").get("instances", includefield="all").json())
    assert "S-2026-0001" not in said
