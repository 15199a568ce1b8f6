"""Promises of WADO-RS: the very object is given back, to whoever may see it."""

from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from django.test import Client

from devices.services import keys, registry
from diagnostics.models import ControlSlide, DicomInstance, FieldImage
from diagnostics.services import dicom
from hospital.audit.models import Entry
from tests.diagnostics.dicom.web.conftest import Web, parts_of, place
from tests.dicom_objects import as_native, dataset, part10, pixels_of
from tests.world import SETUP, World, jpeg

pytestmark = pytest.mark.django_db


# --- retrieving -------------------------------------------------------------------------------


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


# --- who sees what ----------------------------------------------------------------------------


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
