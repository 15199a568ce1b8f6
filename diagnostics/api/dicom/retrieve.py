"""WADO-RS: objects, their attributes, frames and pictures are given back."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit
from rest_framework.request import Request

from diagnostics.api.dicom.door import (
    DICOM_JSON,
    DicomView,
    NotAcceptable,
    answer,
    asks_for,
    in_dicom_json,
    reader_of,
    visible,
)
from diagnostics.api.dicom.store import stored
from diagnostics.dicom import objects, pixels
from diagnostics.dicom.multipart import put_together
from diagnostics.models import DicomInstance
from diagnostics.services import dicom
from hospital.base import files
from hospital.base.problems import NotFound, Refusal
from ml import images

_FRAME_TYPES: dict[str, str] = {
    JPEGBaseline8Bit: "image/jpeg",
    JPEG2000Lossless: "image/jp2",
    JPEG2000: "image/jp2",
}
_RAW = "application/octet-stream"
MOST_OBJECTS = 1000


class TooMuch(Refusal):
    """More than is put together in one answer."""

    status = 413
    code = "dicom_too_much"


class ObjectsView(DicomView):
    """A study, a series or an instance: the objects as they came."""

    def get(self, request: Request, **uids: str) -> HttpResponse:
        """The objects, each a part of multipart/related."""
        if not asks_for(request, "application/dicom"):
            raise NotAcceptable('Ask for multipart/related; type="application/dicom".')
        rows = asked_for(request, uids)
        _ensure_syntax(request, rows)
        if sum(row.size for row in rows) > settings.DICOM_MAX_RETRIEVE_BYTES:
            raise _too_much()
        dicom.note_retrieved(reader=reader_of(request), instances=rows)
        kind = "application/dicom"
        parts = [
            (f"{kind}; transfer-syntax={row.transfer_syntax_uid}", files.read(row.storage_key))
            for row in rows
        ]
        return answer(*put_together(parts, media_type=kind))


class StudyView(ObjectsView):
    """A study: retrieved, or added to."""

    def post(self, request: Request, **uids: str) -> HttpResponse:
        """Store objects, which must all be of this study."""
        return stored(request, study_uid=uids["study"])


class MetadataView(DicomView):
    """The attributes of a study's, a series' or an instance's objects."""

    def get(self, request: Request, **uids: str) -> HttpResponse:
        """All but pixels, private elements and long binary values."""
        if not (asks_for(request, DICOM_JSON) or asks_for(request, "application/json")):
            raise NotAcceptable(f"There is {DICOM_JSON} only.")
        rows = asked_for(request, uids)
        dicom.note_retrieved(reader=reader_of(request), instances=rows)
        return in_dicom_json([row.attributes for row in rows])


class FramesView(DicomView):
    """The one frame of an instance, as it is stored."""

    def get(self, request: Request, *, frames: str, **uids: str) -> HttpResponse:
        """The frame, a part of multipart/related."""
        [row] = asked_for(request, uids)
        if set(frames.split(",")) != {"1"}:
            raise NotFound("Every object here has one frame, number 1.", code="dicom_no_frame")
        media_type = _FRAME_TYPES.get(row.transfer_syntax_uid, _RAW)
        if not asks_for(request, media_type):
            raise NotAcceptable(
                f"The frame is stored as {media_type}: ask for that, or for the instance's "
                "'rendered' picture."
            )
        dicom.note_retrieved(reader=reader_of(request), instances=[row])
        frame = pixels.frame_of(objects.read(files.read(row.storage_key)))
        kind = f"{media_type}; transfer-syntax={row.transfer_syntax_uid}"
        return answer(*put_together([(kind, frame)], media_type=media_type))


class RenderedView(DicomView):
    """An instance as a picture that any program shows."""

    def get(self, request: Request, **uids: str) -> HttpResponse:
        """The picture that intake took from the object; encoded anew only if asked for otherwise.

        Viewport, window and quality are not heeded: there is the whole picture.
        """
        [row] = asked_for(request, uids)
        kinds = [row.image.media_type, "image/jpeg", "image/png"]
        kind = next((kind for kind in kinds if asks_for(request, kind)), None)
        if kind is None:
            raise NotAcceptable("A picture is rendered as image/jpeg or image/png.")
        dicom.note_retrieved(reader=reader_of(request), instances=[row])
        picture = files.read(row.image.storage_key)
        if kind != row.image.media_type:
            encode = images.encode_jpeg if kind == "image/jpeg" else images.encode_png
            picture = encode(images.decode(picture))
        return answer(picture, kind)


def asked_for(request: Request, uids: dict[str, str]) -> list[DicomInstance]:
    """The objects that the address names, of those that whoever asks may see, in lasting order.

    Raises:
        NotFound: none; whether there are others is not told.
        TooMuch: more than `MOST_OBJECTS`.
    """
    names = {"study": "study_uid", "series": "series_uid", "instance": "sop_instance_uid"}
    wanted: dict[str, Any] = {names[name]: uid for name, uid in uids.items()}
    named = visible(request).filter(**wanted).order_by("series_uid", "sop_instance_uid")
    rows = list(named[: MOST_OBJECTS + 1])
    if len(rows) > MOST_OBJECTS:
        raise _too_much()
    if not rows:
        raise NotFound("No such object, or none that you may see.", code="dicom_unknown")
    return rows


def _too_much() -> TooMuch:
    return TooMuch("More than one answer holds. Retrieve series or instances one by one.")


def _ensure_syntax(request: Request, rows: list[DicomInstance]) -> None:
    """Objects are given back as they came: nothing is encoded anew.

    Raises:
        NotAcceptable: another transfer syntax is insisted on.
    """
    header = request.headers.get("Accept", "")
    if "transfer-syntax=" not in header or "transfer-syntax=*" in header:
        return
    there = {row.transfer_syntax_uid for row in rows}
    if not all(f"transfer-syntax={syntax}" in header.replace('"', "") for syntax in there):
        raise NotAcceptable("Objects are given back in the transfer syntax they came in: ask for *")
