"""The same picture for two patients: noticed when it arrives, held, and settled by a person.

Two pictures of blood are never the same to the byte. If two of different patients are, one of
them hangs under the wrong name, and no program can know which.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, prefetch_related_objects
from django.utils import timezone

from diagnostics.models import FieldImage, Hold, HoldReason, MixUp, Settlement, Side
from diagnostics.services import holds
from hospital.accounts.selectors import clinic_ids_where, clinic_topic
from hospital.audit.services import Actor, entry, record_all
from hospital.base.problems import Conflict, Forbidden, Refusal, ensure_fits
from hospital.base.rows import rows_by
from hospital.live.services import publish

INTAKE = Actor.system("intake")
WRONG_SPECIMEN = "wrong_specimen"


@dataclass(slots=True)
class Found:
    """Pictures of other patients that are the same as new ones.

    Attributes:
        mix_ups: rows to be written with the new pictures.
        new: ids of the new pictures that are held for it.
        known: the pictures that were here already and are held from now on, by id.
    """

    mix_ups: list[MixUp] = field(default_factory=list)
    new: set[UUID] = field(default_factory=set)
    known: dict[UUID, FieldImage] = field(default_factory=dict)


def take_turns(digests: Collection[str]) -> None:
    """Let no other transaction store a picture with one of these SHA-256 until this one ends.

    Without it two could store the same picture for two patients at the same moment, and neither
    see the other's. SQLite writes one transaction at a time anyway.
    """
    if connection.vendor != "postgresql" or not digests:
        return
    keys = sorted(int.from_bytes(bytes.fromhex(digest[:16]), signed=True) for digest in digests)
    with connection.cursor() as cursor:
        # In order, so that two of them never wait for each other.
        cursor.execute("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key", [keys])


def look(new: Sequence[FieldImage]) -> Found:
    """Which of these pictures, not stored yet, are those of other patients; see `take_turns`."""
    new = [image for image in new if image.specimen]
    found = Found()
    if not new:
        return found
    # Seldom one. What was found to be another's is nobody's rival any more.
    same = rows_by(FieldImage, "sha256", {image.sha256 for image in new})
    rivals = [i for i in same if i.specimen_id and i.rejection != WRONG_SPECIMEN]
    prefetch_related_objects(rivals, "specimen")
    here: dict[str, list[FieldImage]] = {}
    for image in sorted(rivals, key=lambda i: i.received_at):
        here.setdefault(image.sha256, []).append(image)
    for image in new:
        others = [o for o in here.get(image.sha256, []) if o.patient_id != image.patient_id]
        first_of = {other.patient_id: other for other in reversed(others)}
        found.mix_ups += [MixUp(first=first, second=image) for first in first_of.values()]
        for other in others:
            if other._state.adding:
                found.new.add(other.pk)
            else:
                found.known[other.pk] = other
        if others:
            found.new.add(image.pk)
        here.setdefault(image.sha256, []).append(image)
    return found


def write(found: Found) -> None:
    """Hold both sides and raise the mix-ups, once the new pictures are stored.

    The new pictures' own holds are placed by whoever stores them. The reports of `found.known`
    are for the caller to rebuild.
    """
    if not found.mix_ups:
        return
    known = sorted(found.known)
    list(FieldImage.objects.select_for_update().filter(pk__in=known).order_by("pk"))
    holds.place({pk: [HoldReason.SAME_PICTURE] for pk in known})
    holds.refresh(known)
    MixUp.objects.bulk_create(found.mix_ups)
    deeds = []
    for mix_up in found.mix_ups:
        # One entry in each clinic's trail, each about its own picture only.
        for image in (mix_up.first, mix_up.second):
            deeds.append(_entry(INTAKE, "mix_up.raised", mix_up, image))
        _tell(mix_up)
    record_all(deeds)


@transaction.atomic
def settle(*, user: Any, mix_up: MixUp, keep: UUID | None, comment: str) -> MixUp:
    """A person says whose picture it is; what is not theirs to say stays open.

    Speaks only for pictures of clinics where `user` may release: with both, the mix-up is
    settled; with one, that one's own picture is kept or set aside, and the other clinic settles
    its own. All copies of the picture for the same patient go the same way.

    Args:
        keep: the picture that hangs under the right name; None when none of those that `user`
            speaks for does.

    Raises:
        Forbidden: `user` may not release in either clinic.
        Refusal: no comment ('comment_missing'), or too long a one ('comment_too_long'); `keep`
            is not one of the pictures ('not_of_mix_up').
        Conflict: settled before ('mix_up_settled'), or the other clinic has kept the same picture
            as its own ('mix_up_contested').
    """
    clinics = set(clinic_ids_where(user, "diagnostics.release_hold"))
    pair = _open_ones(mix_up)
    mix_up = next((row for row in pair if row.pk == mix_up.pk), mix_up)
    own = [s for s in mix_up.sides() if s.image.clinic_id in clinics]
    if not own:
        raise Forbidden("Your role does not let you settle mix-ups in this clinic.")
    if not comment.strip():
        raise Refusal("Say in a few words how you know whose it is.", code="comment_missing")
    comment = ensure_fits(comment, holds.LONGEST_COMMENT, what="comment")
    if keep is not None and keep not in {side.image.pk for side in own}:
        raise Refusal(
            "Choose one of the pictures shown, or that it belongs to neither.",
            code="not_of_mix_up",
        )
    _ensure_open(mix_up, own, keep)
    verdicts = {side.image.patient_id: side.image.pk == keep for side in own}
    _note(pair, mix_up, verdicts, user=user, comment=comment)
    _apply(user, pair, mix_up, verdicts, comment)
    actor = Actor.user(user)
    record_all(
        _entry(actor, "mix_up.settled", mix_up, s.image, kept=s.image.pk == keep) for s in own
    )
    _tell(mix_up)
    return mix_up


def _open_ones(mix_up: MixUp) -> list[MixUp]:
    """The unsettled mix-ups of the same picture, locked; `mix_up` is among them if it is one."""
    rows = MixUp.objects.select_for_update(of=("self",)).filter(
        settled_at=None, first__sha256=mix_up.first.sha256
    )
    return list(rows.select_related("first__specimen", "second__specimen").order_by("pk"))


def _ensure_open(mix_up: MixUp, own: Sequence[Side], keep: UUID | None) -> None:
    both = len(own) == 2
    spoken = [side for side in own if side.kept is not None]
    # Who speaks for both may overrule one that was kept, never bring back one that was set aside.
    gone = any(side.image.pk == keep and side.kept is False for side in own)
    if mix_up.settled_at or gone or (spoken and not both):
        raise Conflict("This mix-up is settled already. Reload the page.", code="mix_up_settled")
    if not both and keep is not None and any(side.kept for side in mix_up.sides()):
        raise Conflict(
            "The other clinic has kept this picture as its own patient's. Speak with it; somebody "
            "who works in both clinics can settle the mix-up.",
            code="mix_up_contested",
        )


def _note(
    rows: Sequence[MixUp],
    mix_up: MixUp,
    verdicts: Mapping[UUID | None, bool],
    *,
    user: Any,
    comment: str,
) -> None:
    """Write down what was said, also in other mix-ups of the same picture that it decides."""
    people = {side.image.patient_id for side in mix_up.sides()}
    for row in rows:
        same_people = {side.image.patient_id for side in row.sides()} == people
        for name, side in zip(("first_kept", "second_kept"), row.sides(), strict=True):
            said = verdicts.get(side.image.patient_id)
            # Kept against one patient is not yet kept against a third.
            if said is False or (said and same_people):
                setattr(row, name, said)
        if None not in (row.first_kept, row.second_kept):
            row.settlement = _settlement(row)
            row.settled_at, row.settled_by, row.comment = timezone.now(), user, comment
        row.save()


def _settlement(row: MixUp) -> Settlement:
    if row.first_kept:
        return Settlement.FIRST
    return Settlement.SECOND if row.second_kept else Settlement.NEITHER


def _apply(
    user: Any,
    rows: Sequence[MixUp],
    mix_up: MixUp,
    verdicts: Mapping[UUID | None, bool],
    comment: str,
) -> None:
    """Let the kept pictures count and set the others aside, with their copies."""
    undecided = {s.image.patient_id for row in rows for s in row.sides() if s.kept is None}
    copies = FieldImage.objects.filter(sha256=mix_up.first.sha256, specimen__isnull=False)
    whose = dict(copies.order_by().values_list("pk", "specimen__patient_id"))
    lost = [pk for pk, patient in whose.items() if verdicts.get(patient) is False]
    kept = [pk for pk, p in whose.items() if verdicts.get(p) and p not in undecided]
    settled = Q(image__in=kept, reason=HoldReason.SAME_PICTURE) | Q(image__in=lost)
    holds.let_go(
        Actor.user(user),
        Hold.objects.filter(settled),
        user=user,
        comment=comment,
        rejections=dict.fromkeys(lost, WRONG_SPECIMEN),
    )


def _entry(actor: Actor, action: str, mix_up: MixUp, image: FieldImage, **detail: Any) -> Any:
    return entry(
        actor,
        action,
        mix_up,
        clinic_id=image.clinic_id,
        patient_id=image.patient_id,
        detail={"image": str(image.pk), **detail},
    )


def _tell(mix_up: MixUp) -> None:
    """The screens of both clinics; an event says nothing but that there is one."""
    topics = {clinic_topic(side.image.clinic_id) for side in mix_up.sides()}
    publish("mix_up.changed", mix_up.pk, version=1, topics=sorted(topics))
