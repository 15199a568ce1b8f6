"""From an object's pixels to picture bytes that intake takes, nothing of them lost.

A JPEG frame is passed on as it is: the file that the camera made. Everything else becomes a PNG.
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEGBaseline8Bit

from diagnostics.dicom.objects import DicomObject
from diagnostics.dicom.refusals import NotSupported, ObjectRefused
from ml.guarded import NoGuard, survives_foreign
from ml.images import Limits

_GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_NATIVE = _GREY | {"RGB", "YBR_FULL", "YBR_FULL_422"}
_JPEG = _GREY | {"RGB", "YBR_FULL", "YBR_FULL_422"}
_JPEG_2000 = _GREY | {"RGB", "YBR_RCT", "YBR_ICT"}


def picture_of(found: DicomObject) -> bytes:
    """The picture as the bytes of a JPEG or PNG file.

    JPEG Baseline: the frame itself. Native and JPEG 2000: a PNG of the same values; grey of 9 to
    16 bits is spread over 16, YBR is turned into RGB (to the nearest of 256 steps), MONOCHROME1
    (0 is white) is inverted. No window, no lookup table, no colour profile is applied.

    Raises:
        ObjectRefused: no pixels, several frames, or described in a way that is not taken
            (`dicom_pixels`, `dicom_multi_frame`, `too_many_pixels`).
        NoGuard: see `ml.guarded`.
    """
    dataset = found.dataset
    try:
        _judge(dataset)
        if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            return _native(dataset)
        frame = frame_of(found)
        if found.transfer_syntax_uid == JPEGBaseline8Bit:
            return _jpeg(dataset, frame)
        return _jpeg_2000(dataset, frame)
    except (ObjectRefused, MemoryError, NoGuard):
        raise
    except Exception as error:
        raise _refused("the pixels cannot be decoded") from error


def frame_of(found: DicomObject) -> bytes:
    """The one frame as it is stored: a JPEG or JPEG 2000 file, or the bare samples."""
    data = found.dataset.PixelData
    if not found.dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return bytes(data)
    frame = get_frame(data, 0, number_of_frames=1)
    # Padded to an even length, which the file that the camera made was not.
    return frame[:-1] if frame.endswith((b"\xff\xd9\0", b"\xff\xd9\xff")) else frame


def _refused(why: str) -> ObjectRefused:
    return ObjectRefused(
        f"The object's picture cannot be used: {why}. Export it as 8-bit RGB, one frame.",
        code="dicom_pixels",
    )


def _judge(dataset: Dataset) -> None:
    """Everything that can be known before a pixel is decoded."""
    if (dataset.get("NumberOfFrames") or 1) != 1:
        raise ObjectRefused(
            "The object has several frames. Send each field as an object of its own.",
            code="dicom_multi_frame",
        )
    if not dataset.get("PixelData"):
        raise _refused("it has none")
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if rows * columns > Limits().max_pixels:
        raise ObjectRefused(
            f"The picture has {columns} x {rows} pixels, too many; send one field at a lower "
            "resolution.",
            code="too_many_pixels",
        )
    samples, stored = dataset.get("SamplesPerPixel"), dataset.get("BitsStored")
    grey = dataset.get("PhotometricInterpretation") in _GREY
    if not rows or not columns or samples != (1 if grey else 3):
        raise _refused("rows, columns or samples are missing or do not fit")
    bits = range(8, 17) if grey else (8,)
    if stored not in bits or dataset.get("BitsAllocated") != (8 if stored == 8 else 16):
        raise _refused("it has another number of bits than is taken")
    if dataset.get("HighBit") != stored - 1 or dataset.get("PixelRepresentation"):
        raise _refused("its samples are signed, or not at the low end of their bytes")


def _native(dataset: Dataset) -> bytes:
    _ensure_colours(dataset, _NATIVE)
    halved = dataset.PhotometricInterpretation == "YBR_FULL_422"
    samples = 2 if halved else dataset.SamplesPerPixel
    size = dataset.Rows * dataset.Columns * samples * dataset.BitsAllocated // 8
    # Of uneven length it is padded with one byte.
    if len(dataset.PixelData) != size + size % 2:
        raise _refused("there are more or fewer pixels than it says")
    return _png(_upright(dataset, pixel_array(dataset)), dataset.BitsStored)


def _jpeg(dataset: Dataset, frame: bytes) -> bytes:
    colours = _ensure_colours(dataset, _JPEG)
    with Image.open(BytesIO(frame), formats=["JPEG"]) as picture:
        _ensure_size(dataset, picture)
        transform = picture.info.get("adobe_transform")
        if colours.startswith("YBR") and transform == 0:
            raise _refused("the JPEG says RGB and the object says YBR")
        # Without a mark of its own a JPEG is taken for YBR by everybody; the object says RGB.
        unmarked = colours == "RGB" and transform is None and "jfif" not in picture.info
        if not unmarked and colours != "MONOCHROME1":
            return frame
        survives_foreign(frame)
        if unmarked:
            picture.draft("YCbCr", picture.size)
        return _png(_upright(dataset, np.asarray(picture)), 8)


def _jpeg_2000(dataset: Dataset, frame: bytes) -> bytes:
    _ensure_colours(dataset, _JPEG_2000)
    with Image.open(BytesIO(frame), formats=["JPEG2000"]) as picture:
        _ensure_size(dataset, picture)
        if picture.mode not in {"L", "RGB"} or dataset.BitsStored != 8:
            raise NotSupported(
                "JPEG 2000 is taken with 8 bits a channel only.", code="dicom_pixels"
            )
        survives_foreign(frame)
        return _png(_upright(dataset, np.asarray(picture)), 8)


def _ensure_colours(dataset: Dataset, taken: frozenset[str]) -> str:
    colours = str(dataset.get("PhotometricInterpretation"))
    if colours not in taken:
        raise _refused("its photometric interpretation is not taken in this transfer syntax")
    return colours


def _ensure_size(dataset: Dataset, picture: Image.Image) -> None:
    """The compressed picture is the size, and of as many channels, as was judged."""
    bands = 1 if dataset.SamplesPerPixel == 1 else 3
    if picture.size != (dataset.Columns, dataset.Rows) or len(picture.getbands()) != bands:
        raise _refused("the compressed picture is not of the size that the object says")


def _upright(dataset: Dataset, pixels: NDArray[Any]) -> NDArray[Any]:
    """0 is black; what stands above the stored bits is not the picture's."""
    most = 2**dataset.BitsStored - 1
    values: NDArray[Any] = pixels.astype(np.uint8 if most == 255 else np.uint16)
    values &= most
    return most - values if dataset.PhotometricInterpretation == "MONOCHROME1" else values


def _png(values: NDArray[Any], bits: int) -> bytes:
    """(H, W) or (H, W, 3), values below 2**bits, as a PNG of 8 bits, or of 16 if 8 are too few."""
    if bits == 8:
        picture = Image.fromarray(values)
    else:
        most = 2**bits - 1
        spread = (values.astype(np.uint32) * 65535 + most // 2) // most
        picture = Image.fromarray(spread.astype(np.uint16))
    out = BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()
