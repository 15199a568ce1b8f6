"""Which specimen a picture is of: whoever says something must agree, or a person is asked."""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pytest
import segno
import zxingcpp
from PIL import Image

from devices.agent.labels import Labels, Note, Unclear, note_beside
from tests.world import jpeg

NOWHERE = np.full((64, 64), 220, dtype=np.uint8)


def with_barcode(text, kind):
    """A smear, grey, with a label in its corner."""
    ground = np.array(Image.open(BytesIO(jpeg(3, side=800))).convert("L"))
    if kind == "QRCode":
        buffer = BytesIO()
        segno.make(text, error="m", micro=False).save(buffer, kind="png", scale=4, border=4)
        code = np.array(Image.open(buffer).convert("L"))
    else:
        made = zxingcpp.create_barcode(text, zxingcpp.barcode_format_from_str(kind))
        code = np.array(made.to_image(scale=3))
    code = np.pad(code, 12, constant_values=255)
    ground[: code.shape[0], : code.shape[1]] = code
    return ground


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "smear.jpg"
    path.write_bytes(jpeg(1))
    return path


def accession(path, note=None, grey=NOWHERE, **options):
    return Labels(**options).accession_of(path, note or Note(), grey)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("N-2026-0001.jpg", "N-2026-0001"),
        ("N-2026-0001_field 3.jpg", "N-2026-0001"),
        ("N-2026-0001 (2).jpg", "N-2026-0001"),
        ("S-1T9XK2-07.tiff", "S-1T9XK2-07"),
    ],
)
def test_the_name_may_say_it(tmp_path, name, number):
    assert accession(tmp_path / name) == number


@pytest.mark.parametrize(
    "name", ["smear.jpg", "IMG-20260301-0001.jpg", "N-2026-00012-3.jpg", "n-2026-0001.jpg"]
)
def test_what_only_looks_a_little_like_a_number_is_none(tmp_path, name):
    with pytest.raises(Unclear) as caught:
        accession(tmp_path / name)
    assert caught.value.code == "accession_missing"


def test_the_name_may_follow_another_pattern(tmp_path):
    name = re.compile(r"slide (?P<accession>\d{6})-\d")
    assert accession(tmp_path / "slide 123456-2.png", name=name) == "123456"


@pytest.mark.parametrize("kind", ["Code128", "DataMatrix", "QRCode"])
def test_a_barcode_in_the_picture_may_say_it(picture, kind):
    assert accession(picture, grey=with_barcode("N-2026-0042", kind)) == "N-2026-0042"


def test_a_barcode_of_something_else_says_nothing(picture):
    with pytest.raises(Unclear, match="No accession number"):
        accession(picture, grey=with_barcode("https://lens.example/40x", "QRCode"))


def test_barcodes_need_not_be_looked_for(picture):
    with pytest.raises(Unclear):
        accession(picture, grey=with_barcode("N-2026-0042", "QRCode"), barcode=None)


def test_a_note_may_say_it_and_when(picture):
    told = {"accession": "anything at all", "captured_at": "2026-03-01T09:30:00+02:00"}
    picture.with_name("smear.jpg.json").write_text(json.dumps(told))
    note = note_beside(picture)
    assert accession(picture, note) == "anything at all"
    assert note.captured_at == datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
    # As the microscope said it, its zone included.
    assert note.captured_at.utcoffset() == timedelta(hours=2)


def test_a_note_may_be_plain_text(picture):
    picture.with_name("smear.jpg.txt").write_text("\ufeff\n  N-2026-0001 \r\nslide 2\n", "utf-8")
    assert note_beside(picture) == Note("N-2026-0001")


def test_all_may_say_the_same(tmp_path):
    path = tmp_path / "N-2026-0042_1.jpg"
    note = Note("N-2026-0042")
    assert accession(path, note, with_barcode("N-2026-0042", "Code128")) == "N-2026-0042"


@pytest.mark.parametrize(
    ("name", "note", "barcode"),
    [
        ("N-2026-0001.jpg", "N-2026-0002", None),
        ("N-2026-0001.jpg", "", "N-2026-0002"),
        ("smear.jpg", "N-2026-0001", "N-2026-0002"),
    ],
)
def test_disagreement_is_never_settled_by_guessing(tmp_path, name, note, barcode):
    grey = with_barcode(barcode, "QRCode") if barcode else NOWHERE
    with pytest.raises(Unclear) as caught:
        accession(tmp_path / name, Note(note), grey)
    assert caught.value.code == "accession_unclear"
    assert "N-2026-0001" in caught.value.detail and "N-2026-0002" in caught.value.detail


def test_two_labels_in_one_picture_are_unclear(picture):
    grey = np.hstack([with_barcode(text, "QRCode") for text in ("N-2026-0001", "N-2026-0002")])
    with pytest.raises(Unclear, match="a barcode in it says N-2026-0001 and N-2026-0002"):
        accession(picture, grey=grey)


def test_two_notes_that_disagree_are_unclear(picture):
    picture.with_name("smear.jpg.json").write_text('{"accession": "N-2026-0001"}')
    picture.with_name("smear.jpg.txt").write_text("N-2026-0002")
    with pytest.raises(Unclear, match="N-2026-0001 and N-2026-0002"):
        note_beside(picture)


@pytest.mark.parametrize(
    "text",
    ['{"accession": "N-2026', '["N-2026-0001"]', '{"accession": 7}', '{"captured_at": "noon"}'],
)
def test_a_note_that_cannot_be_understood_is_not_passed_over(picture, text):
    picture.with_name("smear.jpg.json").write_text(text)
    with pytest.raises(Unclear) as caught:
        note_beside(picture)
    assert caught.value.code == "accession_unclear"


def test_a_note_that_came_long_after_may_be_meant_for_the_next_picture(picture):
    note = picture.with_name("smear.jpg.txt")
    note.write_text("N-2026-0001")
    late = picture.stat().st_mtime + 60
    os.utime(note, (late, late))
    with pytest.raises(Unclear, match="younger"):
        note_beside(picture)


@pytest.mark.parametrize("number", ["N" * 41, "N-1\nBearer: x"])
def test_what_cannot_be_a_number_is_not_sent(picture, number):
    with pytest.raises(Unclear, match="cannot be"):
        accession(picture, Note(number))
