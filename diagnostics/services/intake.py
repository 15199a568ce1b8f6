"""Intake: from the bytes a microscope sends to a picture that is safe with us.

When `receive` returns, the file is fsynced and the rows are committed; the broker plays no part.
When it raises, there is no row.
"""

import base64
import binascii
import hashlib
import hmac
import re
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from devices.models import Device
from diagnostics.models import Analysis, AnalysisState, FieldImage, Priority, Specimen
from diagnostics.services import analyses, reports
from hospital.audit.services import Actor, record
from hospital.base import files
from hospital.base.problems import Conflict, Forbidden, NotFound, Overloaded, Refusal
from ml.images import ImageFacts, ImageRefused, inspect

SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/tiff": ".tif"}
_SHA256_FIELD = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]+):")


class PictureRefused(Refusal):
    """The bytes are not a picture we can use."""

    status = 422


class NotAPicture(PictureRefused):
    """The bytes are no picture, or of a kind we do not take."""

    status = 415


class DigestWrong(Refusal):
    """The bytes are not those the sender hashed."""

    status = 422
    code = "digest_mismatch"


class TooManyUploads(Refusal):
    """One microscope sends faster than it may."""

    status = 429
    code = "too_many_uploads"


def receive(
    *,
    device: Device,
    image_id: UUID,
    body: bytes,
    content_digest: str,
    accession: str,
    captured_at: datetime | None = None,
) -> tuple[FieldImage, bool]:
    """Store a picture for good and queue its analysis.

    Args:
        image_id: given by the microscope; sending the same bytes under it again is harmless.
        content_digest: the RFC 9530 header, e.g. 'sha-256=:RK/0…=:'.
        accession: of a specimen of the device's own clinic.

    Returns:
        The picture's row, and whether this call created it (False: it was here already).

    Raises:
        DigestWrong: header missing, unreadable, or not of these bytes.
        Conflict: the id is known with other bytes, another device or another specimen.
        NotFound: unknown accession number.
        Forbidden: the specimen belongs to another clinic.
        NotAPicture, PictureRefused: see `ml.images.ImageRefused` for the codes.
        TooManyUploads, Overloaded: try again after `retry_after` seconds.
    """
    digest = _checked_digest(body, content_digest)
    if known := FieldImage.objects.select_related("specimen").filter(pk=image_id).first():
        return _same_again(known, device=device, digest=digest, accession=accession), False
    _ensure_capacity(device)
    specimen = _specimen_for(device, accession)
    facts = _inspected(body)
    try:
        key = files.keep(body, folder="images", suffix=SUFFIXES[facts.media_type])
        return _store(image_id, device, specimen, digest, key, len(body), facts, captured_at), True
    except IntegrityError:
        # The same id arrived twice at once and the other copy was first.
        known = FieldImage.objects.select_related("specimen").get(pk=image_id)
        return _same_again(known, device=device, digest=digest, accession=accession), False
    except (OSError, DatabaseError) as error:
        raise Overloaded(
            "The picture could not be stored just now. Keep it and send it again.",
            code="storage_unavailable",
            retry_after=30,
        ) from error


@transaction.atomic
def _store(
    image_id: UUID,
    device: Device,
    specimen: Specimen,
    digest: str,
    key: str,
    size: int,
    facts: ImageFacts,
    captured_at: datetime | None,
) -> FieldImage:
    image = FieldImage.objects.create(
        id=image_id,
        specimen=specimen,
        device=device,
        sha256=digest,
        storage_key=key,
        media_type=facts.media_type,
        size=size,
        width=facts.width,
        height=facts.height,
        synthetic=facts.synthetic,
        captured_at=captured_at,
    )
    record(
        Actor.device(device),
        "image.received",
        image,
        clinic_id=specimen.clinic_id,
        patient_id=specimen.patient_id,
        sha256=digest,
    )
    analyses.queue(image)
    reports.rebuild(specimen)
    return image


def _checked_digest(body: bytes, header: str) -> str:
    """The body's SHA-256 in hexadecimal, after comparing it with the header's."""
    match = _SHA256_FIELD.search(header)
    if match is None:
        raise DigestWrong(
            "Send the header 'Content-Digest: sha-256=:…:' with the base64 SHA-256 of the body.",
            code="digest_missing",
        )
    digest = hashlib.sha256(body)
    try:
        declared = base64.b64decode(match.group(1), validate=True)
    except binascii.Error:
        declared = b""
    if not hmac.compare_digest(declared, digest.digest()):
        raise DigestWrong(
            "The picture was damaged on its way: the bytes do not match Content-Digest. "
            "Send it again."
        )
    return digest.hexdigest()


def _same_again(known: FieldImage, *, device: Device, digest: str, accession: str) -> FieldImage:
    """The stored row, if this really is the same picture sent once more."""
    same = (known.device_id, known.sha256, known.specimen.accession) == (
        device.pk,
        digest,
        accession,
    )
    if not same:
        raise Conflict(
            "This image id was used before for another picture. Give each picture its own id.",
            code="image_id_taken",
        )
    return known


def _ensure_capacity(device: Device) -> None:
    minute_ago = timezone.now() - timedelta(minutes=1)
    recent = FieldImage.objects.filter(device=device, received_at__gt=minute_ago).count()
    if recent >= settings.UPLOADS_PER_MINUTE:
        raise TooManyUploads(
            f"More than {settings.UPLOADS_PER_MINUTE} pictures in a minute. Wait, then send again.",
            retry_after=20,
        )
    waiting = Analysis.objects.filter(state=AnalysisState.QUEUED, priority=Priority.LIVE)
    if waiting[: settings.MAX_QUEUED_ANALYSES].count() >= settings.MAX_QUEUED_ANALYSES:
        raise Overloaded(
            "Too many pictures are waiting for analysis. Keep this one and send it again.",
            retry_after=30,
        )


def _specimen_for(device: Device, accession: str) -> Specimen:
    if not accession:
        raise NotFound(
            "Say which specimen this is: send the header 'Accession-Number'.",
            code="accession_missing",
        )
    specimen = Specimen.objects.filter(accession=accession).first()
    if specimen is None:
        raise NotFound(
            "No specimen has this accession number. Check the label, or register the specimen "
            "first and send the picture again.",
            code="unknown_accession",
        )
    if specimen.clinic_id != device.clinic_id:
        raise Forbidden(
            "This specimen belongs to another clinic than the microscope.",
            code="other_clinic",
        )
    return specimen


def _inspected(body: bytes) -> ImageFacts:
    try:
        return inspect(body)
    except ImageRefused as refused:
        wrong_kind = refused.code in {"not_an_image", "unsupported_type"}
        kind = NotAPicture if wrong_kind else PictureRefused
        raise kind(refused.message, code=refused.code) from refused
