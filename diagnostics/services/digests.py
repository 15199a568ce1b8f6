"""The Content-Digest header (RFC 9530), by which a sender and we are sure of the same bytes."""

import base64
import binascii
import hashlib
import hmac
import re

from hospital.base.problems import Refusal

_SHA256_FIELD = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]+):")


class DigestWrong(Refusal):
    """The bytes are not those the sender hashed."""

    status = 422
    code = "digest_mismatch"


def header_of(digest: bytes) -> str:
    """The header that tells of this SHA-256."""
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


def declared(header: str) -> bytes:
    """The SHA-256 in the header; of any length, for who says nonsense is wrong too.

    Raises:
        DigestWrong: there is none.
    """
    match = _SHA256_FIELD.search(header)
    if match is None:
        raise DigestWrong(
            "Send the header 'Content-Digest: sha-256=:…:' with the base64 SHA-256 of the body.",
            code="digest_missing",
        )
    try:
        return base64.b64decode(match.group(1), validate=True)
    except binascii.Error:
        return b""


def ensure_whole(digest: bytes) -> None:
    """Pass what can be a SHA-256.

    Raises:
        DigestWrong: it cannot; the bytes would be found damaged.
    """
    if len(digest) != hashlib.sha256().digest_size:
        raise _damaged()


def checked(body: bytes, header: str) -> str:
    """The body's SHA-256 in hexadecimal, after comparing it with the header's.

    Raises:
        DigestWrong: they differ, or the header has none.
    """
    told, digest = declared(header), hashlib.sha256(body)
    if not hmac.compare_digest(told, digest.digest()):
        raise _damaged()
    return digest.hexdigest()


def _damaged() -> DigestWrong:
    return DigestWrong(
        "The picture was damaged on its way: the bytes do not match Content-Digest. Send it again."
    )
