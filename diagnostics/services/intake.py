"""Intake: from the bytes a microscope sends to a picture that is safe with us.

When `receive` returns, the file is fsynced and the rows are committed; the broker plays no part.
When it raises, there is no row.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import prefetch_related_objects

from devices.models import Device
from diagnostics.models import Analysis, ControlSlide, FieldImage, HoldReason, Specimen
from diagnostics.services import (
    bell,
    controls,
    digests,
    gate,
    holds,
    mix_ups,
    removal,
    reports,
    slides,
)
from diagnostics.services.capacity import ensure_capacity
from diagnostics.services.slides import Slide
from hospital.audit.models import Entry
from hospital.audit.services import Actor, entry, record_all
from hospital.base import files
from hospital.base.problems import Conflict, Overloaded, Refusal
from hospital.base.rows import rows_by
from hospital.base.together import Together
from ml import guarded
from ml.images import ImageFacts, ImageRefused

log = logging.getLogger(__name__)

SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/tiff": ".tif"}
# A picture whose id another request stored meanwhile is looked at once more, now as a known one.
TRIES = 8


class PictureRefused(Refusal):
    """The bytes are not a picture we can use."""

    status = 422


class NotAPicture(PictureRefused):
    """The bytes are no picture, or of a kind we do not take."""

    status = 415


@dataclass(frozen=True, slots=True)
class Sent:
    """One picture as a microscope sends it.

    Attributes:
        image_id: given by the microscope; sending the same bytes under it again is harmless.
        content_digest: the RFC 9530 header, e.g. 'sha-256=:RK/0…=:'.
        accession: of a specimen, or the label of a control slide, of the device's own clinic.
    """

    image_id: UUID
    body: bytes
    content_digest: str
    accession: str
    captured_at: datetime | None = None


# The picture's row, and whether this call created it (False: it was here already); or why not.
Answer = tuple[FieldImage, bool] | Refusal


def receive(*, device: Device, **sent: Any) -> tuple[FieldImage, bool]:
    """Store a picture for good and queue its analysis.

    Args:
        sent: the picture; see `Sent`.

    Returns:
        The picture's row, and whether this call created it (False: it was here already).

    Raises:
        digests.DigestWrong: header missing, unreadable, or not of these bytes.
        Conflict: the id is known with other bytes, another device or another specimen.
        NotFound: unknown accession number.
        Forbidden: the specimen belongs to another clinic.
        Conflict: the specimen is closed, or the control slide withdrawn.
        NotAPicture, PictureRefused: see `ml.images.ImageRefused` for the codes.
        TooManyUploads, Overloaded: try again after `retry_after` seconds.
    """
    [answer] = receive_all(device=device, pictures=[Sent(**sent)])
    if isinstance(answer, Refusal):
        raise answer
    return answer


def receive_all(*, device: Device, pictures: Sequence[Sent]) -> list[Answer]:
    """Do for each of `pictures` what `receive` does, with one pass over the disk and one commit.

    Each is judged by itself: what is wrong with one stops none of the others. Of several under
    one id the first sound one is stored and the others are judged against it.

    Returns:
        What `receive` would return or raise for each, in the order of `pictures`.
    """
    answers: dict[int, Answer] = {}
    failures = 0
    while left := [number for number in range(len(pictures)) if number not in answers]:
        judged, sound = _judge_all(device, {number: pictures[number] for number in left})
        answers |= judged
        try:
            answers |= _store(sound)
        except IntegrityError as error:
            failures += 1
            if failures == TRIES:
                answers |= dict.fromkeys(sound, not_stored(error))
    return [answers[number] for number in range(len(pictures))]


def ensure_welcome(
    *, device: Device, image_id: UUID, digest: bytes, accession: str
) -> FieldImage | None:
    """Refuse of a picture whose bytes are still to come what `receive` would refuse.

    Args:
        digest: SHA-256 of the bytes; see `digests.declared`.

    Returns:
        The picture's row when it is here already.

    Raises:
        DigestWrong, Conflict, NotFound, Forbidden, TooManyUploads, Overloaded: as `receive`.
    """
    digests.ensure_whole(digest)
    if row := _known([image_id]).get(image_id):
        return _same_again(row, device, digest.hex(), accession)
    ensure_capacity(device, beside=0)
    slides.ensure_usable(slides.shown([accession]), accession, device)
    return None


@dataclass(frozen=True, slots=True)
class _Sound:
    """A picture with which nothing is wrong; it is only to be stored."""

    sent: Sent
    device: Device
    shown: Slide
    digest: str
    facts: ImageFacts

    @property
    def key(self) -> str:
        return files.key_of(self.digest, folder="images", suffix=SUFFIXES[self.facts.media_type])

    @property
    def specimen(self) -> Specimen | None:
        """None for a control slide."""
        return self.shown if isinstance(self.shown, Specimen) else None


def _judge_all(
    device: Device, pictures: Mapping[int, Sent]
) -> tuple[dict[int, Answer], dict[int, _Sound]]:
    """Who is refused or here already, and whose picture is to be stored: one for each id."""
    known = _known({sent.image_id for sent in pictures.values()})
    shown = slides.shown({sent.accession for sent in pictures.values()})
    answers: dict[int, Answer] = {}
    sound: dict[UUID, tuple[int, _Sound]] = {}
    for number, sent in pictures.items():
        try:
            digest = digests.checked(sent.body, sent.content_digest)
            if row := known.get(sent.image_id):
                answers[number] = _same_again(row, device, digest, sent.accession), False
            elif sent.image_id not in sound:
                ensure_capacity(device, beside=len(sound))
                slide = slides.ensure_usable(shown, sent.accession, device)
                facts = _inspected(sent.body)
                sound[sent.image_id] = number, _Sound(sent, device, slide, digest, facts)
        except Refusal as refusal:
            answers[number] = refusal
    return answers, dict(sound.values())


def _store(sound: Mapping[int, _Sound]) -> dict[int, Answer]:
    """Files first, then rows: what a row speaks of is always there.

    Raises:
        IntegrityError: an id was stored by another request meanwhile; no row was written.
    """
    failed = files.put_all({picture.key: picture.sent.body for picture in sound.values()})
    answers: dict[int, Answer] = {
        number: not_stored(failed[picture.key])
        for number, picture in sound.items()
        if picture.key in failed
    }
    safe = {number: picture for number, picture in sound.items() if number not in answers}
    if not safe:
        return answers
    try:
        rows = _write_together(list(safe.values()))
    except IntegrityError:
        raise
    except (DatabaseError, OSError) as error:
        return answers | dict.fromkeys(safe, not_stored(error))
    for number, row in zip(safe, rows, strict=True):
        answers[number] = row if isinstance(row, Refusal) else (row, True)
    return answers


@transaction.atomic
def _write(batches: Sequence[Sequence[_Sound]]) -> list[list[FieldImage | Refusal]]:
    """The rows of the pictures of several requests, in one transaction.

    A refusal for those whose specimen was closed or erased since they were judged.
    """
    # In the order of their ids: two processes with the same ids must not wait for each other.
    sound = sorted((p for batch in batches for p in batch), key=lambda p: p.sent.image_id)
    mix_ups.take_turns({picture.digest for picture in sound if picture.specimen})
    late = _too_late(sound)
    rows: dict[UUID, FieldImage | Refusal] = dict.fromkeys(late, slides.closed())
    rows |= _write_rows([picture for picture in sound if picture.sent.image_id not in late])
    return [[rows[picture.sent.image_id] for picture in batch] for batch in batches]


def _too_late(sound: Sequence[_Sound]) -> set[UUID]:
    """The pictures whose specimen takes none any more; their files are to go.

    Those of the others stay, though the same bytes were to go for another's sake.
    """
    ours = [picture for picture in sound if picture.specimen]
    open_, files_go = slides.still_open({picture.sent.accession for picture in ours})
    late = [picture for picture in ours if picture.sent.accession not in open_]
    if late:
        removal.plan({picture.key for picture in late})
    if files_go:
        kept = (picture for picture in ours if picture.sent.accession in open_)
        removal.take_back({picture.key: picture.sent.body for picture in kept})
    return {picture.sent.image_id for picture in late}


def _write_rows(sound: Sequence[_Sound]) -> dict[UUID, FieldImage]:
    if not sound:
        return {}
    images = list(map(_row, sound))
    mixed = mix_ups.look(images)
    reasons = _reasons_to_hold(sound, images, mixed.new)
    for image in images:
        image.held = image.pk in reasons
    deeds = [_deed(p, i, reasons.get(i.pk, ())) for p, i in zip(sound, images, strict=True)]
    record_all(deeds, beside=[images, [Analysis(image=image) for image in images]])
    holds.place(reasons)
    mix_ups.write(mixed)
    controls.begin(images)
    # Once, however many there are: a worker that is woken drains the queue.
    transaction.on_commit(bell.ring, robust=True)
    anew = [image.specimen for image in mixed.known.values() if image.specimen]
    reports.count_in(images, anew=anew)
    return {image.pk: image for image in images}


def _reasons_to_hold(
    sound: Sequence[_Sound], images: Sequence[FieldImage], mixed: Collection[UUID]
) -> dict[UUID, list[HoldReason]]:
    """Which of the pictures do not count for now, and why. A control picture is never held."""
    gated = gate.reasons_for(picture.device for picture in sound if picture.specimen)
    reasons: dict[UUID, list[HoldReason]] = {}
    for picture, image in zip(sound, images, strict=True):
        if picture.specimen is None:
            continue
        why = [gated[picture.device.pk]] if picture.device.pk in gated else []
        if holds.came_too_early(picture.specimen, at=image.received_at):
            why.append(HoldReason.COLLECTED_LATER)
        if image.pk in mixed:
            why.append(HoldReason.SAME_PICTURE)
        if why:
            reasons[image.pk] = why
    return reasons


# Requests that arrive while one is being written share the next transaction.
_write_together = Together(_write, most=32, apart=IntegrityError)


def _row(picture: _Sound) -> FieldImage:
    return FieldImage(
        id=picture.sent.image_id,
        specimen=picture.specimen,
        control_slide=picture.shown if isinstance(picture.shown, ControlSlide) else None,
        device=picture.device,
        sha256=picture.digest,
        storage_key=picture.key,
        media_type=picture.facts.media_type,
        size=len(picture.sent.body),
        width=picture.facts.width,
        height=picture.facts.height,
        synthetic=picture.facts.synthetic,
        captured_at=picture.sent.captured_at,
    )


def _deed(picture: _Sound, image: FieldImage, held: Collection[HoldReason]) -> Entry:
    detail: dict[str, Any] = {"sha256": picture.digest}
    if held:
        detail["held"] = [reason.value for reason in held]
    return entry(
        Actor.device(picture.device),
        "image.received",
        image,
        clinic_id=picture.shown.clinic_id,
        patient_id=picture.specimen.patient_id if picture.specimen else None,
        detail=detail,
    )


def not_stored(error: Exception) -> Refusal:
    """What whoever sent a picture is told when the disk, the database or the machine fails."""
    log.error("pictures could not be stored: %s", error)
    return Overloaded(
        "The picture could not be stored just now. Keep it and send it again.",
        code="storage_unavailable",
        retry_after=10,
    )


def _same_again(known: FieldImage, device: Device, digest: str, accession: str) -> FieldImage:
    """The stored row, if this really is the same picture sent once more."""
    same = (known.device_id, known.sha256, known.label) == (
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


def _known(ids: Collection[UUID]) -> dict[UUID, FieldImage]:
    """The pictures that are here already, which is seldom one."""
    found = rows_by(FieldImage, "id", ids)
    prefetch_related_objects(found, "specimen", "control_slide")
    return {image.pk: image for image in found}


def _inspected(body: bytes) -> ImageFacts:
    try:
        return guarded.inspect(body)
    except guarded.NoGuard as error:
        raise not_stored(error) from error
    except ImageRefused as refused:
        if isinstance(refused, guarded.Died):
            log.error("a picture of %d bytes killed its decoder", len(body))
        wrong_kind = refused.code in {"not_an_image", "unsupported_type"}
        kind = NotAPicture if wrong_kind else PictureRefused
        raise kind(refused.message, code=refused.code) from refused
