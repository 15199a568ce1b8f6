"""Large pictures: they arrive in pieces, over as many connections as it takes (tus 1.0).

An upload is a letter in the post, not a record: it counts only once it is whole and `intake` has
taken it in. Until then its pieces lie in the same storage as the pictures, one object each, and
its row says how far it is; so any web process, on any machine, can go on with any upload. The
offset moves by compare-and-swap: of two pieces for one place only one is ever kept.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from devices.models import Device, DeviceState
from diagnostics.models import Upload
from diagnostics.services import digests, intake
from diagnostics.services.capacity import TooManyUploads
from hospital.base import files
from hospital.base.problems import Conflict, NotFound, Refusal, TooLarge

log = logging.getLogger(__name__)

FOLDER = "uploads"
CHECKSUMS: dict[str, Callable[[bytes], Any]] = {
    "sha256": hashlib.sha256,
    # The one that every tus client knows. It finds damage; the whole is judged by SHA-256.
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False),
}
# How long a finished upload still tells that it is finished: for senders that lost the answer.
FINISHED_KEPT = timedelta(hours=1)
# A whole upload is left to its own request for so long before the sweep finishes it.
FINISHING = timedelta(minutes=1)
FINISHED_BY_SWEEP = 20
ORPHANS_EVERY_SECONDS = 3600.0


class WrongOffset(Conflict):
    """The piece does not begin where the bytes that are here end."""

    code = "wrong_offset"


class ChecksumMismatch(Refusal):
    """The piece is not what the sender hashed; tus has a status of its own for it."""

    status = 460
    code = "checksum_mismatch"


class ChecksumUnreadable(Refusal):
    """Upload-Checksum is not one of ours."""

    status = 400
    code = "malformed_upload"


def begin(
    *,
    device: Device,
    image_id: uuid.UUID,
    accession: str,
    content_digest: str,
    captured_at: datetime | None,
    length: int,
) -> Upload:
    """Make room for a picture, or find the room that was made: a lost answer starts nothing over.

    Of a picture that is here already the upload is complete from the start.

    Args:
        length: of the whole picture, in bytes.
        content_digest: of the whole picture, as for `intake.receive`.

    Raises:
        NotAPicture, TooLarge: nothing at all, or more than MAX_UPLOAD_BYTES.
        TooManyUploads: the microscope has MAX_OPEN_UPLOADS unfinished ones.
        Refusal: whatever `intake.receive` would say of a picture with these particulars.
    """
    _ensure_length(length)
    digest = digests.declared(content_digest)
    image = intake.ensure_welcome(
        device=device, image_id=image_id, digest=digest, accession=accession
    )
    particulars: dict[str, Any] = {
        "device": device,
        "image_id": image_id,
        "accession": accession,
        # Only the digest that counts, however the header was written.
        "content_digest": digests.header_of(digest),
        "captured_at": captured_at,
        "length": image.size if image else length,
    }
    now = timezone.now()
    known = Upload.objects.filter(**particulars, expires_at__gt=now).last()
    if image and known and not known.finished:
        # The picture came by another way meanwhile.
        _close(known)
    if known:
        return known
    if image:
        offset, expires_at = image.size, now + FINISHED_KEPT
    else:
        _ensure_few_open(device, now)
        offset, expires_at = 0, _expiry(now)
    return Upload.objects.create(**particulars, offset=offset, expires_at=expires_at)


def append(*, upload: Upload, offset: int, body: bytes, checksum: str = "") -> None:
    """Add a piece; when this returns it is stored for good and `upload.offset` has moved.

    Args:
        offset: where the sender believes the piece to begin.
        checksum: of the piece, as in the header Upload-Checksum; '' is none.

    Raises:
        WrongOffset: it begins elsewhere, or another piece was faster. Nothing was kept.
        ChecksumMismatch, ChecksumUnreadable: nothing was kept.
        TooLarge: there are more bytes than were announced. Nothing was kept.
        Overloaded: the storage failed; try again after `retry_after` seconds.
    """
    if offset != upload.offset:
        raise _wrong_offset()
    if checksum:
        _ensure_sound(body, checksum)
    if offset + len(body) > upload.length:
        raise TooLarge("These are more bytes than Upload-Length announced.")
    if not body:
        return
    # A name of its own: two pieces for the same place must not write into one another.
    key = f"{_folder(upload.pk)}/{offset}-{uuid.uuid4().hex}"
    if failed := files.put_all({key: body}):
        raise intake.not_stored(failed[key])
    moved = _move(
        upload,
        offset=offset + len(body),
        pieces=[*upload.pieces, key],
        expires_at=_expiry(timezone.now()),
    )
    if not moved:
        with suppress(OSError):  # then it goes with the upload
            files.remove(key)
        raise _wrong_offset()


def finish(upload: Upload) -> None:
    """Take the picture in if the upload is whole, else do nothing. Doing it twice is harmless.

    Raises:
        NotFound: the upload was ended meanwhile, or its pieces are lost: begin again.
        Refusal: as `intake.receive`. With `retry_after` everything is kept for the next call;
            without, the picture will never be taken, and upload and pieces are gone.
    """
    if upload.finished or upload.offset < upload.length:
        return
    body = _joined(upload)
    if body is not None:
        try:
            intake.receive(
                device=upload.device,
                image_id=upload.image_id,
                body=body,
                content_digest=upload.content_digest,
                accession=upload.accession,
                captured_at=upload.captured_at,
            )
        except Refusal as refusal:
            if refusal.retry_after is None:
                end(upload)
            raise
    _close(upload)


def end(upload: Upload) -> None:
    """Forget the upload and what came of it; a picture that was taken in stays."""
    _end(Upload.objects.filter(pk=upload.pk), upload.pk)


def sweep() -> dict[str, int]:
    """Finish what a crash left whole, and clear away what has expired or belongs to nothing.

    Returns how many uploads were finished and expired, and how many orphaned folders removed.
    """
    now = timezone.now()
    expired = Upload.objects.filter(expires_at__lte=now)
    # Each is asked once more whether it has expired: a piece may have come just now.
    ended = [_end(expired.filter(pk=pk), pk) for pk in expired.values_list("pk", flat=True)]
    return {
        "finished": sum(map(_finished, _forgotten(now))),
        "expired": sum(ended),
        "orphans": _remove_orphans_now_and_then(),
    }


def remove_orphans() -> int:
    """Remove the pieces of uploads that are not there any more; returns of how many uploads."""
    folders = files.folders_in(FOLDER)
    # After the folders: a row is always there before its folder.
    known = {str(pk) for pk in Upload.objects.values_list("pk", flat=True)}
    orphans = [name for name in folders if name not in known]
    for name in orphans:
        files.remove_folder(f"{FOLDER}/{name}")
    return len(orphans)


def _end(row: QuerySet[Upload], upload_id: uuid.UUID) -> bool:
    # The row first: who adds a piece afterwards finds it gone and takes the piece away again.
    gone, _ = row.delete()
    if gone:
        _remove_pieces(upload_id)
    return bool(gone)


def _expiry(now: datetime) -> datetime:
    return now + timedelta(hours=settings.UPLOAD_EXPIRY_HOURS)


def _folder(upload_id: uuid.UUID) -> str:
    return f"{FOLDER}/{upload_id}"


def _wrong_offset() -> WrongOffset:
    return WrongOffset("The bytes that are here end elsewhere. Ask with HEAD, go on from there.")


def _ensure_length(length: int) -> None:
    limit = settings.MAX_UPLOAD_BYTES
    if length < 1:
        raise intake.NotAPicture("An empty file is no picture.", code="not_an_image")
    if length > limit:
        raise TooLarge.than(limit)


def _ensure_few_open(device: Device, now: datetime) -> None:
    unfinished = Upload.objects.filter(device=device, offset__lt=F("length"), expires_at__gt=now)
    if unfinished.count() >= settings.MAX_OPEN_UPLOADS:
        raise TooManyUploads(
            f"{settings.MAX_OPEN_UPLOADS} uploads are unfinished. Finish or delete some first.",
            retry_after=60,
        )


def _ensure_sound(body: bytes, checksum: str) -> None:
    name, _, text = checksum.partition(" ")
    try:
        algorithm, declared = CHECKSUMS[name], base64.b64decode(text.strip(), validate=True)
    except (KeyError, ValueError, binascii.Error) as error:
        raise ChecksumUnreadable(
            f"Upload-Checksum must be one of {', '.join(CHECKSUMS)}, a space, and base64."
        ) from error
    if not hmac.compare_digest(algorithm(body).digest(), declared):
        raise ChecksumMismatch("This piece was damaged or cut short on its way. Send it again.")


def _joined(upload: Upload) -> bytes | None:
    """The whole picture; None when another request has finished the upload meanwhile."""
    try:
        return files.read_joined(upload.pieces)
    except FileNotFoundError as error:
        if Upload.objects.filter(pk=upload.pk, pieces=[]).exists():
            return None
        log.error("upload %s lost a piece, or was ended meanwhile: %s", upload.pk, error)
        end(upload)
        raise NotFound(
            "This upload is not there any more. Begin again.", code="unknown_upload"
        ) from error
    except OSError as error:
        raise intake.not_stored(error) from error


def _close(upload: Upload) -> None:
    """The picture is in: the upload only says so for a while, its pieces are not needed."""
    kept_until = timezone.now() + FINISHED_KEPT
    if _move(upload, offset=upload.length, pieces=[], expires_at=kept_until):
        _remove_pieces(upload.pk)


def _move(upload: Upload, **to: Any) -> bool:
    """Bring the upload there from its offset; False if it has been moved or ended meanwhile."""
    if not Upload.objects.filter(pk=upload.pk, offset=upload.offset).update(**to):
        return False
    for name, value in to.items():
        setattr(upload, name, value)
    return True


def _remove_pieces(upload_id: uuid.UUID) -> None:
    try:
        files.remove_folder(_folder(upload_id))
    except OSError as error:
        # Nothing depends on it: the sweep tries again.
        log.error("pieces of upload %s could not be removed: %s", upload_id, error)


def _forgotten(now: datetime) -> QuerySet[Upload]:
    """Uploads that are whole for a while and were not finished by the request that made them so.

    Those of a microscope that was stopped since wait until it may work again.
    """
    whole = Upload.objects.filter(offset=F("length"), device__state=DeviceState.ACTIVE)
    last_piece_before = _expiry(now) - FINISHING
    forgotten = whole.filter(expires_at__lt=last_piece_before).exclude(pieces=[])
    return forgotten.select_related("device")[:FINISHED_BY_SWEEP]


def _finished(upload: Upload) -> bool:
    try:
        finish(upload)
    except Refusal as refusal:
        log.warning("upload %s was not finished: %s", upload.pk, refusal)
        return False
    return True


_looked_for_orphans: float | None = None


def _remove_orphans_now_and_then() -> int:
    # Listing a store over the network costs money; pieces without a row are very rare.
    global _looked_for_orphans  # noqa: PLW0603 - one rhythm a process
    now = time.monotonic()
    if _looked_for_orphans is not None and now < _looked_for_orphans + ORPHANS_EVERY_SECONDS:
        return 0
    _looked_for_orphans = now
    return remove_orphans()
