"""Why an object is not taken, and how DICOM says so."""

from hospital.base.problems import Conflict, Refusal


class ObjectRefused(Refusal):
    """The object, as it is, cannot be taken; `code` says why."""

    status = 422
    code = "dicom_unreadable"


class NotSupported(ObjectRefused):
    """A kind of object, or a way to encode it, that is not taken here."""

    status = 415


class Contradiction(Conflict):
    """The object says two things that cannot both be true, or not what is known already."""


SUCCESS = 0x0000
NOT_AUTHORISED = 0x0124
TRY_AGAIN = 0xA700
NOT_AS_ANNOUNCED = 0xA900
CANNOT_UNDERSTAND = 0xC000
CANNOT_USE = 0xC001
UNKNOWN_SPECIMEN = 0xC002
CONTRADICTS = 0xC003

_BY_HTTP_STATUS = {
    401: NOT_AUTHORISED,
    403: NOT_AUTHORISED,
    404: UNKNOWN_SPECIMEN,
    409: CONTRADICTS,
    413: CANNOT_USE,
    415: CANNOT_USE,
    422: CANNOT_USE,
    429: TRY_AGAIN,
    503: TRY_AGAIN,
}


def status_of(refusal: Refusal) -> int:
    """The DIMSE status, and the Failure Reason in STOW-RS, of a refusal; see docs/dicom.md."""
    if refusal.code == "dicom_not_as_announced":
        return NOT_AS_ANNOUNCED
    if refusal.retry_after is not None:
        return TRY_AGAIN
    return _BY_HTTP_STATUS.get(refusal.status, CANNOT_UNDERSTAND)


def comment_of(refusal: Refusal) -> str:
    """Error Comment: the code, and as much of the sentence as its 64 characters hold."""
    words = f"{refusal.code}: {refusal.detail}".encode("ascii", "replace").decode()
    return words.replace("\\", "/")[:64].rstrip()
