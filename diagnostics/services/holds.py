"""Pictures kept out of their report until somebody has looked: held, released, set aside.

Whoever changes what holds a picture locks the picture first: so `FieldImage.held` is always what
its holds say.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from devices.models import Device
from diagnostics.models import (
    ControlRun,
    ControlState,
    DiagnosticReport,
    FieldImage,
    Hold,
    HoldReason,
    ImageState,
    Specimen,
)
from diagnostics.services import reports
from hospital.accounts.guards import ensure_may
from hospital.audit.services import Actor, entry, record_all
from hospital.base.problems import Conflict, Refusal, ensure_fits

GATE = Actor.system("control slides")
# A microscope bench and a ward may keep slightly different time.
CLOCK_TOLERANCE = timedelta(minutes=10)
REPLACED = "replaced"
LONGEST_COMMENT = 400
_CONTROL = (HoldReason.CONTROL_FAILED, HoldReason.CONTROL_OVERDUE)


def place(reasons: Mapping[UUID, Collection[HoldReason]]) -> None:
    """Hold pictures, by their ids, for these reasons; the caller marks the pictures' rows."""
    rows = [Hold(image_id=pk, reason=reason) for pk, why in reasons.items() for reason in why]
    if rows:
        # A picture that is held for that reason already stays held as it was.
        Hold.objects.bulk_create(rows, ignore_conflicts=True)


def came_too_early(specimen: Specimen, *, at: Any) -> bool:
    """Whether a picture that arrived `at` came before its specimen is said to be collected."""
    return bool(specimen.collected_at > at + CLOCK_TOLERANCE)


@transaction.atomic
def release(*, user: Any, image: FieldImage, comment: str) -> int:
    """A person vouches for one picture: from now on it counts.

    Returns how many reasons were settled.

    Raises:
        Forbidden: `user` may not release in the picture's clinic.
        Refusal: no comment ('comment_missing'), or too long a one ('comment_too_long').
        Conflict: nothing holds it that a release could settle ('not_held', 'mix_up_open').
    """
    _ensure_may(user, image.clinic_id)
    comment = _ensure_comment(comment)
    return _release(user, Hold.objects.filter(image=image), comment)


@transaction.atomic
def release_report(*, user: Any, report: DiagnosticReport, comment: str) -> int:
    """Do what `release` does for all of a report's pictures that are held."""
    _ensure_may(user, report.clinic_id)
    comment = _ensure_comment(comment)
    return _release(user, Hold.objects.filter(image__specimen=report.specimen_id), comment)


@transaction.atomic
def release_device(*, user: Any, device: Device, comment: str) -> int:
    """Release what was held of a microscope since its last failed control, or as overdue.

    What was held after an earlier failure was another decision; it stays with its cases.
    """
    _ensure_may(user, device.clinic_id)
    comment = _ensure_comment(comment)
    return _release(user, held_since_failure(device), comment)


def held_since_failure(device: Device) -> QuerySet[Hold]:
    """What the gate has held of `device` since its last failed control (ever, without one)."""
    rows = Hold.objects.filter(image__device=device, reason__in=_CONTROL, released_at=None)
    failed = ControlRun.objects.filter(device=device, state=ControlState.FAILED).order_by("-at")
    if last := failed.first():
        rows = rows.filter(held_at__gte=last.at)
    return rows.filter(image__held=True)


@transaction.atomic
def set_aside(*, user: Any, image: FieldImage, comment: str) -> None:
    """The held picture was repeated, or is not worth keeping: it will never count.

    Raises:
        Forbidden, Refusal, Conflict: as for `release`.
    """
    _ensure_may(user, image.clinic_id)
    comment = _ensure_comment(comment)
    _release(user, Hold.objects.filter(image=image), comment, rejection=REPLACED)


@transaction.atomic
def lift_overdue(device: Device) -> list[FieldImage]:
    """A control has passed: what was held only because it was overdue counts from now on.

    Returns:
        The pictures, whose reports the caller rebuilds together with others that it holds.
    """
    overdue = Hold.objects.filter(image__device=device, reason=HoldReason.CONTROL_OVERDUE)
    _, images = _settle(GATE, overdue, comment="A control slide has passed.")
    return images


@transaction.atomic
def release_overdue(device: Device) -> int:
    """Lift what is overdue and rebuild the reports concerned; returns how many pictures."""
    images = lift_overdue(device)
    rebuild_all(images)
    return len(images)


@transaction.atomic
def release_collected(*, actor: Actor, specimen: Specimen) -> int:
    """The time of collection was corrected: pictures that came after it count from now on."""
    early = Hold.objects.filter(
        image__specimen=specimen, reason=HoldReason.COLLECTED_LATER, released_at=None
    ).select_related("image")
    right = [h.pk for h in early if not came_too_early(specimen, at=h.image.received_at)]
    comment = "The time of collection was corrected."
    return len(let_go(actor, Hold.objects.filter(pk__in=right), comment=comment)) if right else 0


def let_go(
    actor: Actor,
    rows: QuerySet[Hold],
    *,
    user: Any = None,
    comment: str = "",
    rejections: Mapping[UUID, str] | None = None,
) -> list[Hold]:
    """Settle those of `rows` that are open, and rebuild the reports concerned.

    Args:
        rejections: pictures, by id, that are set aside for good, each with its code.

    Returns:
        What was settled. Belongs inside a transaction.
    """
    settled, images = _settle(actor, rows, user=user, comment=comment, rejections=rejections)
    rebuild_all(images)
    return settled


def _settle(
    actor: Actor,
    rows: QuerySet[Hold],
    *,
    user: Any = None,
    comment: str = "",
    rejections: Mapping[UUID, str] | None = None,
) -> tuple[list[Hold], list[FieldImage]]:
    """Do what `let_go` does but for the reports; also gives the pictures concerned."""
    wanted = set(rows.filter(released_at=None).order_by().values_list("image_id", flat=True))
    rejections = rejections or {}
    images = _locked(wanted | set(rejections))
    settled = list(rows.filter(released_at=None, image_id__in=images).order_by("image_id"))
    Hold.objects.filter(pk__in=[hold.pk for hold in settled]).update(
        released_at=timezone.now(), released_by=user, comment=comment
    )
    for code in set(rejections.values()):
        lost = [pk for pk, why in rejections.items() if why == code]
        FieldImage.objects.filter(pk__in=lost).update(state=ImageState.REJECTED, rejection=code)
    refresh(images)
    record_all(_deeds(actor, images, settled, rejections))
    return settled, list(images.values())


def refresh(images: Iterable[UUID]) -> None:
    """Let `held` of these pictures, locked by the caller, say what their holds say."""
    open_ = Hold.objects.filter(image=OuterRef("pk"), released_at=None)
    FieldImage.objects.filter(pk__in=list(images)).update(held=Exists(open_))


def rebuild_all(images: Iterable[FieldImage]) -> None:
    """Rebuild the reports of these pictures, each once, in one order everywhere."""
    # Each is followed under one of the pictures that changed it.
    causes = {image.specimen: image.pk for image in images if image.specimen}
    reports.rebuild_all(causes)


def devices_with_overdue_holds() -> list[UUID]:
    """The microscopes of which pictures are held as overdue."""
    held = FieldImage.objects.filter(
        held=True, holds__reason=HoldReason.CONTROL_OVERDUE, holds__released_at=None
    )
    return list(held.order_by().values_list("device_id", flat=True).distinct())


def reasons_of(image: FieldImage) -> list[str]:
    """Why a picture is held, as codes; asks the database only when it is."""
    if not image.held:
        return []
    rows = image.holds.filter(released_at=None).order_by("held_at", "reason")
    return list(rows.values_list("reason", flat=True))


def _release(user: Any, rows: QuerySet[Hold], comment: str, *, rejection: str = "") -> int:
    """Settle what a person may settle by vouching; whose picture it is, is settled elsewhere."""
    open_ = rows.filter(released_at=None)
    ours = open_.exclude(reason=HoldReason.SAME_PICTURE)
    mixed = FieldImage.objects.filter(
        holds__in=open_.filter(reason=HoldReason.SAME_PICTURE)
    ).values_list("pk", flat=True)
    if rejection and mixed:
        raise _mixed_up()
    pictures = set(ours.values_list("image_id", flat=True))
    if not pictures:
        if mixed:
            raise _mixed_up()
        raise Conflict("No picture is held here any more. Reload the page.", code="not_held")
    rejections = dict.fromkeys(pictures, rejection) if rejection else {}
    actor = Actor.user(user)
    return len(let_go(actor, ours, user=user, comment=comment, rejections=rejections))


def _mixed_up() -> Conflict:
    return Conflict(
        "The same picture came for two patients. Settle the mix-up: it says whose picture it is.",
        code="mix_up_open",
    )


def _locked(ids: Collection[UUID]) -> dict[UUID, FieldImage]:
    rows = FieldImage.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk")
    return {image.pk: image for image in rows.select_related("specimen", "control_slide")}


def _deeds(
    actor: Actor,
    images: Mapping[UUID, FieldImage],
    settled: Sequence[Hold],
    rejections: Mapping[UUID, str],
) -> Iterable[Any]:
    for pk, image in images.items():
        why = [hold.reason for hold in settled if hold.image_id == pk]
        code = rejections.get(pk, "")
        yield entry(
            actor,
            "image.set_aside" if code else "image.released",
            image,
            clinic_id=image.clinic_id,
            patient_id=image.patient_id,
            detail={"held": why} | ({"code": code} if code else {}),
        )


def _ensure_may(user: Any, clinic_id: Any) -> None:
    ensure_may(user, "diagnostics.release_hold", clinic_id, "release pictures")


def _ensure_comment(comment: str) -> str:
    if not comment.strip():
        raise Refusal("Say in a few words why the picture may count.", code="comment_missing")
    return ensure_fits(comment, LONGEST_COMMENT, what="comment")
