"""One DICOM object: read from bytes that may be anything, and told in the DICOM JSON model."""

import json
import logging
import uuid
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pydicom
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    VLMicroscopicImageStorage,
    VLSlideCoordinatesMicroscopicImageStorage,
)

from diagnostics.dicom import walk
from diagnostics.dicom.refusals import NotSupported, ObjectRefused
from diagnostics.dicom.walk import unreadable

SOP_CLASSES = (VLMicroscopicImageStorage, VLSlideCoordinatesMicroscopicImageStorage)
# No RLE: its one decoder here is plain Python, slow and without a bound. No lossless JPEG and no
# JPEG-LS: there is no decoder. Never deflated: a few bytes could become any number.
TRANSFER_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEG2000Lossless,
    JPEG2000,
)
# Of a value that is not text, what is more than this is left out of the JSON.
MOST_INLINE = 4096
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"})
_LONGEST_UID = 64
# What pydicom raises for a value that is not of its kind.
_UNTELLABLE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    BytesLengthException,
)

# pydicom quotes the values that it complains of, and they are a patient's.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"(pydicom|diagnostics\.dicom)\b")
config.settings.reading_validation_mode = config.IGNORE
# What is called unknown stays bytes: the walk has not looked inside.
config.replace_un_with_known_vr = False


@dataclass(frozen=True, slots=True)
class DicomObject:
    """An object that is whole and of a kind that is taken.

    Attributes:
        data: the Part-10 file as it came.
        attributes: all but pixels, private elements and long binary values, in DICOM JSON.
    """

    data: bytes
    dataset: Dataset
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax_uid: str
    attributes: dict[str, Any]

    @property
    def image_id(self) -> uuid.UUID:
        """The picture's id: made from the SOP Instance UID, so that a repetition has the same."""
        return uuid.uuid5(uuid.NAMESPACE_OID, self.sop_instance_uid)


def read(data: bytes) -> DicomObject:
    """The object in the Part-10 file `data`.

    Raises:
        NotSupported: another SOP class or transfer syntax than docs/dicom.md lists.
        ObjectRefused: broken or cut short, UIDs missing or invalid; for whatever the bytes are.
    """
    announced, start = walk.file_meta(data)
    syntax = announced.get(walk.TRANSFER_SYNTAX, "")
    if syntax not in TRANSFER_SYNTAXES:
        raise NotSupported(
            "The object is encoded in a transfer syntax that is not taken. Send it as JPEG "
            "Baseline or uncompressed, little endian.",
            code="dicom_transfer_syntax",
        )
    walk.ensure_whole(data, start, implicit=syntax == ImplicitVRLittleEndian)
    try:
        dataset = pydicom.dcmread(BytesIO(data))
        return _judged(data, dataset, syntax)
    except (ObjectRefused, MemoryError):
        raise
    except Exception as error:
        # pydicom reports a broken object with whatever broke first; its words quote values.
        raise unreadable("it cannot be parsed") from error


def announced(data: bytes) -> tuple[str, str]:
    """The SOP class and instance that a file says it holds, '' where it says none readably."""
    try:
        told, _ = walk.file_meta(data)
    except ObjectRefused:
        return "", ""
    said = [told.get(tag, "") for tag in (walk.SOP_CLASS, walk.SOP_INSTANCE)]
    sop_class, sop_instance = (uid if _is_uid(uid) else "" for uid in said)
    return sop_class, sop_instance


def _judged(data: bytes, dataset: Dataset, syntax: str) -> DicomObject:
    sop_class = _uid(dataset, "SOPClassUID")
    if sop_class not in SOP_CLASSES:
        raise NotSupported(
            "Only VL Microscopic and VL Slide-Coordinates Microscopic images are taken.",
            code="dicom_sop_class",
        )
    sop_instance = _uid(dataset, "SOPInstanceUID")
    meta = dataset.file_meta
    announced = (meta.get("MediaStorageSOPClassUID"), meta.get("MediaStorageSOPInstanceUID"))
    if announced != (sop_class, sop_instance):
        raise ObjectRefused(
            "The SOP class or instance in the object is not the one it was announced under. "
            "Export it from the microscope again.",
            code="dicom_not_as_announced",
        )
    return DicomObject(
        data=data,
        dataset=dataset,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        study_uid=_uid(dataset, "StudyInstanceUID"),
        series_uid=_uid(dataset, "SeriesInstanceUID"),
        transfer_syntax_uid=syntax,
        attributes=in_json(dataset),
    )


def text(dataset: Dataset, keyword: str) -> str:
    """The value of an element as text, '' when it is missing or empty.

    Raises:
        ObjectRefused: it is there and cannot be read.
    """
    value = _value(dataset, keyword)
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return "" if value is None else str(value).strip("\0 ")


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence, none when it is missing or empty.

    Raises:
        ObjectRefused: it is there and is no sequence.
    """
    value = _value(dataset, keyword)
    if not isinstance(value, Sequence | None):
        raise unreadable("a sequence is none")
    return list(value or [])


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except Exception as error:
        raise unreadable("an element that is needed cannot be read") from error


def _uid(dataset: Dataset, keyword: str) -> str:
    value = text(dataset, keyword)
    if not _is_uid(value):
        raise ObjectRefused(
            f"The object's {keyword} is missing or no UID. Export it from the microscope again.",
            code="dicom_bad_uid",
        )
    return value


def _is_uid(value: str) -> bool:
    return len(value) <= _LONGEST_UID and UID(value).is_valid


def in_json(dataset: Dataset) -> dict[str, Any]:
    """The dataset in the DICOM JSON model, without pixels, private elements, long binary values.

    What cannot be told in JSON (not a number, a number that is no number, half a character) is
    left out; the object itself keeps it.
    """
    told: dict[str, Any] = {}
    for tag in sorted(dataset.keys()):
        if tag.is_private or tag.group == 0x7FE0:
            continue
        try:
            if (element := _element(dataset, tag)) is not None:
                told[f"{tag:08X}"] = element
        except _UNTELLABLE:
            continue
    return told


def _element(dataset: Dataset, tag: Any) -> dict[str, Any] | None:
    element = dataset[tag]
    if element.VR == "SQ":
        return {"vr": "SQ", "Value": [in_json(item) for item in element.value]}
    if element.VR in _BINARY and len(element.value or b"") > MOST_INLINE:
        return None
    plain = element.to_json_dict(None, 0)
    # As strict as the strictest database: no NaN, no half characters, no NUL.
    words = json.dumps(plain, ensure_ascii=False, allow_nan=False)
    words.encode()
    return None if "\\u0000" in words else json.loads(words)
