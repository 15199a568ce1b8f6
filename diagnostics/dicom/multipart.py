"""multipart/related as DICOMweb uses it: taken apart, put together."""

import secrets
from collections.abc import Iterable
from email.message import Message

from hospital.base.problems import Refusal


class MalformedMultipart(Refusal):
    """The body is not multipart/related, or not whole."""

    status = 400
    code = "malformed_multipart"


class WrongMediaType(Refusal):
    """The body, or a part of it, is of a type that is not taken."""

    status = 415
    code = "dicom_media_type"


class TooManyParts(Refusal):
    """More objects in a request than are taken."""

    status = 413
    code = "too_many_pictures"


def parts_of(body: bytes, content_type: str, *, most: int) -> list[bytes]:
    """The application/dicom parts of a multipart/related body, in their order.

    Raises:
        TooManyParts: there are more than `most`.
        WrongMediaType: not multipart/related, or a part is not application/dicom.
        MalformedMultipart: no boundary, or the last one is missing.
    """
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() != "multipart/related":
        raise WrongMediaType(
            'Send multipart/related; type="application/dicom", each object as a part.'
        )
    boundary = header.get_boundary()
    if not boundary or not boundary.isascii():
        raise MalformedMultipart("The Content-Type has no usable boundary.")
    mark = b"\r\n--" + boundary.encode()
    # Counted before they are cut out: a few bytes a part would become hundreds.
    if body.count(mark) > most:
        raise TooManyParts(f"At most {most} objects in a request. Send the rest in others.")
    _, *rest = (b"\r\n" + body).split(mark)
    if not rest or rest[-1][:2] != b"--":
        raise MalformedMultipart("The body ends before its last boundary. Send it again.")
    return [_part(piece) for piece in rest[:-1]]


def _part(piece: bytes) -> bytes:
    head, blank, content = piece.partition(b"\r\n\r\n")
    if not blank:
        raise MalformedMultipart("A part has no blank line between its header and its content.")
    lines = head.decode("latin-1").split("\r\n")
    named = dict(line.lower().split(":", 1) for line in lines if ":" in line)
    media_type = named.get("content-type", "application/dicom").partition(";")[0].strip()
    if media_type != "application/dicom":
        raise WrongMediaType("Each part must be a DICOM file, application/dicom.")
    return content


def put_together(parts: Iterable[tuple[str, bytes]], *, media_type: str) -> tuple[bytes, str]:
    """The body and its Content-Type.

    Args:
        parts: each with its own Content-Type.
        media_type: of the parts, for the whole's `type` parameter.
    """
    boundary = secrets.token_hex(16)
    pieces: list[bytes] = []
    for content_type, content in parts:
        pieces += [f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()]
        pieces += [content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    kind = f'multipart/related; type="{media_type}"; boundary={boundary}'
    return b"".join(pieces), kind
