"""Promises to whoever sends an object: success means safe; a refusal leaves no row behind."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from devices.services import registry
from diagnostics.dicom.refusals import comment_of, status_of
from diagnostics.models import Analysis, DiagnosticReport, DicomInstance, FieldImage
from diagnostics.services import dicom
from hospital.audit.models import Entry
from hospital.base import files
from hospital.base.problems import Overloaded, Refusal
from hospital.live.models import Event
from tests.dicom_objects import as_native, dataset, part10, pixels_of
from tests.world import SETUP, World, jpeg

TABLES = [FieldImage, DicomInstance, Analysis, DiagnosticReport, Entry, Event]


def rows() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in TABLES}


def refused(world: World, made: Dataset, **changes: Any) -> Refusal:
    before = rows()
    with pytest.raises(Refusal) as caught:
        dicom.store(**{"device": world.device, "data": part10(made), **changes})
    assert rows() == before
    return caught.value


def test_picture_and_object_are_both_safe_to_the_byte(world: World) -> None:
    made = dataset(world)
    data = part10(made)
    instance, created = dicom.store(device=world.device, data=data)
    assert created
    image = instance.image
    assert files.read(image.storage_key) == jpeg(0)
    assert files.read(instance.storage_key) == data
    assert image.specimen == world.specimen
    assert image.captured_at == datetime(2026, 11, 21, 8, 30, 0, 500_000, UTC)
    assert image.analyses.get().state == "queued"
    deeds = set(Entry.objects.values_list("action", flat=True))
    assert {"image.received", "dicom.stored"} <= deeds


def test_the_same_object_again_changes_nothing(world: World) -> None:
    data = part10(dataset(world))
    first, _ = dicom.store(device=world.device, data=data)
    before = rows()
    again, created = dicom.store(device=world.device, data=data)
    assert (again, created, rows()) == (first, False, before)


def test_encoded_anew_on_its_way_it_is_still_the_same_object(world: World) -> None:
    made = as_native(dataset(world), pixels_of(jpeg(1)))
    first, _ = dicom.store(device=world.device, data=part10(made))
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    assert dicom.store(device=world.device, data=part10(made)) == (first, False)
    assert files.read(first.storage_key).count(ExplicitVRLittleEndian.encode()) == 1


@pytest.mark.parametrize("what", ["disk", "database"])
def test_a_crash_before_the_object_is_safe_is_repaired_by_sending_it_again(
    world: World, monkeypatch: Any, what: str
) -> None:
    data = part10(dataset(world))
    put = files.put

    def full(key: str, body: bytes) -> str:
        if key.startswith("dicom/"):
            raise OSError("disk full")
        return put(key, body)

    def gone(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        if what == "disk":
            patch.setattr(files, "put", full)
        else:
            patch.setattr(DicomInstance, "save", gone)
        with pytest.raises(Overloaded) as refusal:
            dicom.store(device=world.device, data=data)
        assert status_of(refusal.value) == 0xA700
    assert FieldImage.objects.count() == 1
    assert not DicomInstance.objects.exists()
    instance, created = dicom.store(device=world.device, data=data)
    assert created
    assert (FieldImage.objects.count(), Analysis.objects.count()) == (1, 1)
    assert files.read(instance.storage_key) == data


def labelled(container: str | None, specimen: str | None, accession: str | None) -> Callable:
    def label(made: Dataset) -> None:
        made.ContainerIdentifier = container
        made.AccessionNumber = accession
        made.SpecimenDescriptionSequence[0].SpecimenIdentifier = specimen

    return label


def test_any_one_of_the_three_labels_is_enough(world: World) -> None:
    right = world.specimen.accession
    for labels in itertools.product([right, ""], repeat=3):
        made = dataset(world, seed=1)
        labelled(*labels)(made)
        if any(labels):
            instance, _ = dicom.store(device=world.device, data=part10(made))
            assert instance.image.specimen == world.specimen
        else:
            assert refused(world, made).code == "accession_missing"


def test_labels_that_differ_are_never_guessed_from(world: World) -> None:
    right = world.specimen.accession
    for place in range(3):
        labels = [right, right, right]
        labels[place] = "N-2"
        made = dataset(world)
        labelled(*labels)(made)
        refusal = refused(world, made)
        assert (refusal.code, status_of(refusal)) == ("accession_disagrees", 0xC003)


def test_two_specimens_on_a_slide_are_not_guessed_between(world: World) -> None:
    made = dataset(world)
    second = Dataset()
    second.SpecimenIdentifier = "N-2"
    made.SpecimenDescriptionSequence = Sequence([*made.SpecimenDescriptionSequence, second])
    assert refused(world, made).code == "accession_disagrees"


def test_another_patients_record_number_is_refused(world: World) -> None:
    for mrn in ("N-2", "S-1", "n-1", "N-1\\N-2", "N-1 x"):
        refusal = refused(world, dataset(world, PatientID=mrn))
        assert (refusal.code, refusal.status, status_of(refusal)) == ("other_patient", 409, 0xC003)
        assert mrn not in refusal.detail


def test_an_object_without_a_record_number_is_taken_by_its_label(world: World) -> None:
    for value in ("", None):
        made = dataset(world, PatientID=value)
        assert dicom.store(device=world.device, data=part10(made))[1]


def test_another_clinics_specimen_is_refused_without_a_word_of_its_patient(world: World) -> None:
    foreign = world.other_specimen.accession
    for mrn in ("S-1", "nobody"):
        made = dataset(world, PatientID=mrn)
        labelled(foreign, foreign, foreign)(made)
        refusal = refused(world, made)
        assert (refusal.code, status_of(refusal)) == ("other_clinic", 0x0124)


def test_an_unknown_label_is_refused(world: World) -> None:
    made = dataset(world)
    labelled("N-404", None, None)(made)
    refusal = refused(world, made)
    assert (refusal.code, status_of(refusal)) == ("unknown_accession", 0xC002)


def test_one_uid_never_stands_for_two_objects(world: World) -> None:
    uid = generate_uid()
    dicom.store(device=world.device, data=part10(dataset(world, SOPInstanceUID=uid)))
    other = dataset(world, seed=1, SOPInstanceUID=uid)
    assert refused(world, other).code == "image_id_taken"
    renamed = dataset(world, SOPInstanceUID=uid, PatientName="Other^Name")
    refusal = refused(world, renamed)
    assert (refusal.code, status_of(refusal)) == ("dicom_object_differs", 0xC003)


def test_another_microscope_cannot_take_an_objects_place(world: World) -> None:
    data = part10(dataset(world))
    dicom.store(device=world.device, data=data)
    second = registry.register_device(
        actor=SETUP, clinic=world.clinic, name="C", make="M", model="X", serial="77"
    )
    with pytest.raises(Refusal) as refusal:
        dicom.store(device=second, data=data)
    assert refusal.value.code == "image_id_taken"


def test_a_picture_that_intake_refuses_leaves_no_object(world: World) -> None:
    small = as_native(dataset(world), pixels_of(jpeg(1))[:20, :20])
    refusal = refused(world, small)
    assert (refusal.code, status_of(refusal)) == ("too_small", 0xC001)


def test_an_error_comment_fits_and_begins_with_the_code(world: World) -> None:
    refusal = refused(world, dataset(world, PatientID="N-2"))
    assert comment_of(refusal).startswith("other_patient: ")
    assert len(comment_of(refusal)) <= 64


def test_times_are_read_or_left_out(world: World) -> None:
    from diagnostics.dicom.identity import captured_at_of

    made = Dataset()
    assert captured_at_of(made) is None
    for said, expected in [
        ("20261121093000", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
        ("20261121093000.123456-0500", datetime(2026, 11, 21, 14, 30, 0, 123456, UTC)),
        ("2026", None),
        ("yesterday", None),
        ("99991231235959-1400", None),
        ("20261121093000+", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
    ]:
        made.AcquisitionDateTime = said
        assert captured_at_of(made) == expected, said
    del made.AcquisitionDateTime
    made.ContentDate, made.ContentTime = "20261121", "093000"
    made.TimezoneOffsetFromUTC = "+0100"
    assert captured_at_of(made) == datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
