"""Promises about bytes that call themselves DICOM: whatever they are, no crash and a clear word."""

import random
import struct
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from diagnostics.dicom import identity, objects, pixels, walk
from diagnostics.dicom.objects import DicomObject
from diagnostics.dicom.refusals import Contradiction, ObjectRefused
from tests.dicom_objects import as_native, dataset, part10, pixels_of
from tests.world import World, jpeg


def read(made: Dataset) -> DicomObject:
    return objects.read(part10(made))


def refusal(data: bytes) -> str:
    with pytest.raises(ObjectRefused) as refused:
        objects.read(data)
    return refused.value.code


def test_the_attributes_are_told_in_dicom_json(world: World) -> None:
    made = dataset(world)
    found = read(made)
    assert found.attributes["00100010"]["Value"] == [{"Alphabetic": "Rahman^Amina"}]
    assert found.attributes["00400560"]["Value"][0]["00400551"]["Value"] == ["N-2026-0001"]
    assert "7FE00010" not in found.attributes
    assert (found.study_uid, found.series_uid) == (made.StudyInstanceUID, made.SeriesInstanceUID)


def test_the_pictures_id_is_the_instances_for_ever(world: World) -> None:
    made = dataset(world, SOPInstanceUID="1.2.826.0.1.3680043.8.498.1")
    assert str(read(made).image_id) == "52f20efb-3cd2-5af3-bd3d-8aa5a52898e8"


@pytest.mark.parametrize(
    "syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEGLSLossless]
)
def test_a_transfer_syntax_that_is_not_offered_is_refused(world: World, syntax: str) -> None:
    data = part10(dataset(world))
    old = b"1.2.840.10008.1.2.4.50"
    named = syntax.encode()[: len(old)].ljust(len(old), b"\0")
    assert refusal(data.replace(old, named, 1)) == "dicom_transfer_syntax"


def test_another_kind_of_object_is_refused(world: World) -> None:
    assert refusal(part10(dataset(world, SOPClassUID=CTImageStorage))) == "dicom_sop_class"


@pytest.mark.parametrize(
    "keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
@pytest.mark.parametrize("value", [None, "", "1.2.x", "1." + "2" * 70, "1..2", "01.2", "1\\2"])
def test_missing_and_bad_uids_are_refused(world: World, keyword: str, value: str | None) -> None:
    made = dataset(world)
    delattr(made, keyword) if value is None else setattr(made, keyword, value)
    assert refusal(part10(made)) in {"dicom_bad_uid", "dicom_unreadable", "dicom_sop_class"}


def test_what_is_announced_must_be_what_is_inside(world: World) -> None:
    made = dataset(world)
    data = part10(made)
    made.SOPInstanceUID = generate_uid()
    other = part10(made)
    start = walk.file_meta(data)[1]
    assert refusal(data[:start] + other[walk.file_meta(other)[1] :]) == "dicom_not_as_announced"


def test_a_file_cut_short_anywhere_is_refused(world: World) -> None:
    for made in (dataset(world), as_native(dataset(world), pixels_of(jpeg(1)))):
        data = part10(made)
        rng = random.Random(5)
        for end in [0, 1, 100, 131, 132, 133, *(rng.randrange(len(data)) for _ in range(60))]:
            with pytest.raises(ObjectRefused):
                pixels.picture_of(objects.read(data[:end]))


def test_no_byte_turned_anywhere_makes_it_fall_over(world: World) -> None:
    data = part10(dataset(world))
    end = data.index(b"\xe0\x7f\x10\x00") + 40
    rng = random.Random(6)
    for _ in range(600):
        spoilt = bytearray(data)
        for _ in range(rng.choice([1, 1, 2, 8])):
            spoilt[rng.randrange(128, end)] = rng.randrange(256)
        try:
            found = objects.read(bytes(spoilt))
            pixels.picture_of(found)
            identity.accession_of(found.dataset)
            identity.patient_id_of(found.dataset)
            identity.captured_at_of(found.dataset)
            identity.study_date_of(found.dataset)
        except (ObjectRefused, Contradiction) as refused:
            assert refused.code  # and nothing but a refusal


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
def test_a_huge_declared_length_is_refused(world: World, length: int) -> None:
    data = part10(as_native(dataset(world), pixels_of(jpeg(1))))
    at = data.index(b"\xe0\x7f\x10\x00OW") + 8
    assert refusal(data[:at] + struct.pack("<I", length) + data[at + 4 :]) == "dicom_unreadable"


def test_a_flood_of_tiny_elements_is_refused_before_anything_is_built(world: World) -> None:
    data = part10(dataset(world))
    start = walk.file_meta(data)[1]
    many = b"".join(struct.pack("<HH2sH", 0x0009, 0x1000 + n, b"SH", 0) for n in range(50_000))
    assert refusal(data[:start] + many) == "dicom_unreadable"


def test_sequences_without_a_bottom_are_refused(world: World) -> None:
    data = part10(dataset(world))
    start = walk.file_meta(data)[1]
    level = struct.pack("<HH2sHI", 0x0040, 0x0560, b"SQ", 0, 0xFFFFFFFF)
    level += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    assert refusal(data[:start] + level * 10_000) == "dicom_unreadable"


def test_a_sequence_that_hides_as_unknown_is_not_looked_into(world: World) -> None:
    made = dataset(world)
    data = part10(made)
    inside = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 30_000
    hidden = b"\x40\x00\x60\x05UN\0\0" + struct.pack("<I", len(inside)) + inside
    at = data.index(b"\x40\x00\x60\x05SQ")
    end = data.index(b"\xe0\x7f\x10\x00")
    pixels_at = data.index(b"\x28\x00\x02\x00")
    assert pixels_at < at < end
    found = objects.read(data[:at] + hidden + data[end:])
    assert "00400560" not in found.attributes
    with pytest.raises(ObjectRefused):
        identity.accession_of(found.dataset)


@pytest.mark.parametrize("tag", [b"\x10\x00\x20\x00LO", b"\x08\x00\x50\x00SH"])
def test_an_identifier_of_the_wrong_kind_is_refused(world: World, tag: bytes) -> None:
    data = part10(dataset(world, AccessionNumber="N-1", PatientID="N-1"))
    found = objects.read(data.replace(tag, tag[:4] + b"FD"))
    with pytest.raises((ObjectRefused, Contradiction)):
        identity.accession_of(found.dataset)
        identity.patient_id_of(found.dataset)


def test_the_same_element_twice_is_refused(world: World) -> None:
    data = part10(dataset(world))
    at = data.index(b"\x10\x00\x20\x00LO")
    size = 8 + struct.unpack_from("<H", data, at + 6)[0]
    twice = data[: at + size] + data[at : at + size] + data[at + size :]
    assert refusal(twice) == "dicom_unreadable"


def test_private_elements_and_long_binary_values_stay_in_the_object_alone(world: World) -> None:
    made = dataset(world)
    made.private_block(0x0009, "OPTIKA", create=True).add_new(1, "LO", "Rahman")
    made.OpticalPathSequence = Sequence([Dataset()])
    made.OpticalPathSequence[0].ICCProfile = b"x" * 100_000
    made.OpticalPathSequence[0].OpticalPathIdentifier = "1"
    found = read(made)
    assert not [tag for tag in found.attributes if tag.startswith("0009")]
    assert list(found.attributes["00480105"]["Value"][0]) == ["00480106"]


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO 2022 IR 87", "GB18030", "NONSENSE", ""])
def test_odd_character_sets_are_read_or_replaced(world: World, charset: str) -> None:
    data = part10(dataset(world))
    old = data.index(b"\x08\x00\x05\x00CS")
    size = 8 + struct.unpack_from("<H", data, old + 6)[0]
    value = charset.encode().ljust(len(charset) + len(charset) % 2)
    element = b"\x08\x00\x05\x00CS" + struct.pack("<H", len(value)) + value
    odd = data[:old] + element + data[old + size :]
    found = objects.read(odd.replace(b"Rahman^Amina", b"R\xe4hm\xff\x1bn^\xc3\xa4"[:12].ljust(12)))
    assert found.sop_instance_uid


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientComments", "a\0b"),
        ("ImagedVolumeWidth", float("nan")),
        ("ImagedVolumeHeight", float("inf")),
        ("FrameOfReferenceUID", "not a uid"),
    ],
)
def test_values_that_json_cannot_hold_are_left_out(world: World, keyword: str, value: Any) -> None:
    found = read(dataset(world, **{keyword: value}))
    assert found.attributes["00100020"]["Value"] == ["N-1"]


def test_numbers_that_are_none_are_left_out(world: World) -> None:
    data = part10(dataset(world, SeriesNumber=1234))
    found = objects.read(data.replace(b"1234", b"12x4"))
    assert "00200011" not in found.attributes


def test_implicit_vr_is_walked_as_well(world: World) -> None:
    made = as_native(dataset(world), pixels_of(jpeg(1)), syntax=ImplicitVRLittleEndian)
    made.private_block(0x0009, "OPTIKA", create=True).add_new(1, "LO", "Rahman")
    assert read(made).attributes["00400560"]["Value"][0]["00400551"]["Value"] == ["N-2026-0001"]


def test_nothing_of_a_patient_is_logged(
    world: World, caplog: Any, capsys: Any, recwarn: Any
) -> None:
    made = dataset(world, PatientBirthDate="Rahman 1", PatientName="Rahman" * 40)
    pixels.picture_of(read(made))
    said = caplog.text + "".join(capsys.readouterr())
    assert "Rahman" not in said + "".join(str(w.message) for w in recwarn)
