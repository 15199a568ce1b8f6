"""Promises about the picture in an object: the camera's file untouched, or its very values."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from diagnostics.dicom import objects, pixels
from diagnostics.dicom.refusals import ObjectRefused
from ml import images
from tests.dicom_objects import as_jpeg, as_jpeg_2000, as_native, dataset, part10, pixels_of
from tests.world import World, jpeg


def picture(made: Any) -> bytes:
    return pixels.picture_of(objects.read(part10(made)))


@pytest.fixture
def rgb() -> np.ndarray:
    return pixels_of(jpeg(3))[:101, :99]


def test_a_jpeg_frame_is_passed_on_untouched(world: World) -> None:
    for seed in range(4):  # of even and of uneven length
        assert picture(dataset(world, seed)) == jpeg(seed)


def test_a_frame_in_several_fragments_is_put_together(world: World) -> None:
    body = jpeg(1)
    body += b"\0" * (len(body) % 2)
    made = dataset(world)
    made.PixelData = encapsulate([body], fragments_per_frame=3)
    assert picture(made) == jpeg(1)


def test_a_jpeg_that_only_the_object_calls_rgb_keeps_its_colours(world: World) -> None:
    values = pixels_of(jpeg(3))
    out = io.BytesIO()
    # The three channels stored as they are, with no mark in the file that says so.
    Image.fromarray(values, "YCbCr").save(out, "JPEG", quality=95, subsampling=0)
    plain = out.getvalue()
    jfif = plain.index(b"\xff\xe0")
    body = plain[:jfif] + plain[jfif + 2 + int.from_bytes(plain[jfif + 2 : jfif + 4]) :]
    shown = images.decode(picture(as_jpeg(dataset(world), body, "RGB")))
    assert np.abs(shown.astype(int) - values).mean() < 3
    assert np.abs(pixels_of(body).astype(int) - values).mean() > 10  # how others would read it


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("planar", [0, 1])
def test_uncompressed_rgb_becomes_the_same_values(
    world: World, rgb: np.ndarray, syntax: str, planar: int
) -> None:
    values = rgb if planar == 0 else np.ascontiguousarray(rgb.transpose(2, 0, 1))
    made = as_native(dataset(world), rgb, syntax=syntax)
    made.PixelData = values.tobytes() + b"\0" * (values.size % 2)
    made.PlanarConfiguration = planar
    assert np.array_equal(images.decode(picture(made)), rgb)


@pytest.mark.parametrize(("colours", "sign"), [("MONOCHROME2", 1), ("MONOCHROME1", -1)])
def test_grey_is_grey_and_zero_is_black(
    world: World, rgb: np.ndarray, colours: str, sign: int
) -> None:
    grey = np.ascontiguousarray(rgb[:, :, 0])
    shown = images.decode(picture(as_native(dataset(world), grey, colours)))[:, :, 0]
    assert np.array_equal(shown, grey if sign == 1 else 255 - grey)


def test_twelve_bits_are_all_kept(world: World) -> None:
    ramp = np.tile(np.arange(4096, dtype=np.uint16), (64, 1))
    made = as_native(dataset(world), ramp, "MONOCHROME2")
    made.BitsStored, made.HighBit = 12, 11
    deep = np.asarray(Image.open(io.BytesIO(picture(made))))
    assert len(np.unique(deep)) == 4096
    assert (deep.min(), deep.max()) == (0, 65535)


def test_ybr_becomes_rgb(world: World, rgb: np.ndarray) -> None:
    ybr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    shown = images.decode(picture(as_native(dataset(world), ybr, "YBR_FULL")))
    assert np.abs(shown.astype(int) - rgb).max() <= 3


def test_jpeg_2000_becomes_the_same_values(world: World, rgb: np.ndarray) -> None:
    assert np.array_equal(images.decode(picture(as_jpeg_2000(dataset(world), rgb))), rgb)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"NumberOfFrames": 2}, "dicom_multi_frame"),
        ({"NumberOfFrames": 0}, None),
        ({"PixelData": None}, "dicom_pixels"),
        ({"Rows": None}, "dicom_pixels"),
        ({"Rows": 0}, "dicom_pixels"),
        ({"Rows": 65535, "Columns": 65535}, "too_many_pixels"),
        ({"Rows": 225}, "dicom_pixels"),
        ({"BitsStored": 7}, "dicom_pixels"),
        ({"BitsAllocated": 16}, "dicom_pixels"),
        ({"HighBit": 0}, "dicom_pixels"),
        ({"PixelRepresentation": 1}, "dicom_pixels"),
        ({"SamplesPerPixel": 1}, "dicom_pixels"),
        ({"SamplesPerPixel": None}, "dicom_pixels"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "dicom_pixels"),
        ({"PhotometricInterpretation": None}, "dicom_pixels"),
    ],
)
@pytest.mark.parametrize("native", [True, False])
def test_pixels_described_otherwise_are_refused(
    world: World, rgb: np.ndarray, change: dict[str, Any], code: str | None, native: bool
) -> None:
    made = dataset(world)
    if native:
        as_native(made, pixels_of(jpeg(3)))
    for keyword, value in change.items():
        delattr(made, keyword) if value is None else setattr(made, keyword, value)
    if code is None:
        assert picture(made)
        return
    with pytest.raises(ObjectRefused) as refused:
        picture(made)
    assert refused.value.code == code


@pytest.mark.parametrize("body", [b"", b"\xff\xd8\xff\xd9", b"I am a text.", jpeg(1)[:300]])
def test_a_frame_that_is_no_picture_is_refused(world: World, body: bytes) -> None:
    made = dataset(world)
    made.PixelData = encapsulate([body or b"\0\0"])
    with pytest.raises((ObjectRefused, images.ImageRefused)):
        # A JPEG that is only cut short is passed on: intake, which decodes it, refuses it.
        images.inspect(picture(made))


def test_a_huge_picture_in_a_small_object_is_not_decoded(world: World) -> None:
    out = io.BytesIO()
    Image.new("RGB", (12000, 12000)).save(out, "JPEG2000", no_jp2=True)
    made = as_jpeg_2000(dataset(world), pixels_of(jpeg(1)))
    made.PixelData = encapsulate([out.getvalue()])
    with pytest.raises(ObjectRefused) as refused:
        picture(made)
    assert refused.value.code == "dicom_pixels"
