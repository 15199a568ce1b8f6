"""Writing to the audit trail. Explicit calls in services, never signals."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from hospital.audit.models import ActorKind, Entry
from hospital.base.rows import insert

# A list that refreshes itself is one look at those who stand on it, not hundreds.
ONE_LOOK = timedelta(minutes=15)


@dataclass(frozen=True)
class Actor:
    """Whoever is acting: a person, a microscope, or the system itself."""

    kind: str
    id: str
    name: str

    @classmethod
    def user(cls, user: Any) -> "Actor":
        """The person signed in as `user`."""
        return cls(ActorKind.USER, str(user.pk), str(user))

    @classmethod
    def device(cls, device: Any) -> "Actor":
        """A microscope acting by its key."""
        return cls(ActorKind.DEVICE, str(device.pk), str(device))

    @classmethod
    def system(cls, name: str) -> "Actor":
        """A part of the system: 'pipeline', 'sweeper', 'demo'."""
        return cls(ActorKind.SYSTEM, "", name)


def record(
    actor: Actor,
    action: str,
    subject: models.Model,
    *,
    clinic_id: Any = None,
    patient_id: Any = None,
    **detail: Any,
) -> Entry:
    """Add one entry, in the caller's transaction: the deed and its trace land together.

    `action` is 'noun.verb-in-past-tense'. `detail` holds no names and no images: ids, codes,
    counts, old and new values of coded fields.
    """
    made = entry(actor, action, subject, clinic_id=clinic_id, patient_id=patient_id, detail=detail)
    made.save(force_insert=True)
    return made


def note(actor: Actor, action: str, subject_type: str, **detail: Any) -> Entry:
    """Add an entry about no row in particular: the trail itself, a backup."""
    return Entry.objects.create(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        action=action,
        subject_type=subject_type,
        detail=detail,
    )


def record_all(entries: Iterable[Entry], *, beside: Sequence[Sequence[models.Model]] = ()) -> None:
    """Add many entries, each made by `entry`, in the caller's transaction and one journey.

    Args:
        beside: the new rows that they speak of, added just before; see `hospital.base.rows.insert`.
    """
    insert(*beside, list(entries))


def entry(
    actor: Actor,
    action: str,
    subject: models.Model,
    *,
    clinic_id: Any,
    patient_id: Any,
    detail: dict[str, Any],
) -> Entry:
    """An entry for `record_all`, not yet in the trail; the arguments are those of `record`."""
    return Entry(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        action=action,
        subject_type=subject._meta.label_lower,
        subject_id=str(subject.pk),
        clinic_id=clinic_id,
        patient_id=patient_id,
        detail=detail,
    )


def record_listed(actor: Actor, action: str, listed: Iterable[tuple[Any, Any]]) -> None:
    """Note that a list showed the actor these patients: one entry for each clinic, with their ids.

    Whoever stood on such a list that the actor saw within `ONE_LOOK` is not named again, so that
    pages which refresh themselves write nothing.

    Args:
        action: '….listed'.
        listed: (clinic's id, patient's id) of each row; a patient may come several times.
    """
    by_clinic: dict[Any, set[str]] = defaultdict(set)
    for clinic_id, patient_id in listed:
        if patient_id is not None:
            by_clinic[clinic_id].add(str(patient_id))
    if not by_clinic:
        return
    recent = Entry.objects.filter(
        actor_id=actor.id, action=action, at__gt=timezone.now() - ONE_LOOK
    ).values_list("detail", flat=True)
    known = {one for detail in recent for one in detail.get("patients", ())}
    looked = [
        Entry(
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            action=action,
            subject_type="accounts.clinic",
            subject_id=str(clinic_id),
            clinic_id=clinic_id,
            detail={"patients": new},
        )
        for clinic_id, patients in by_clinic.items()
        if (new := sorted(patients - known))
    ]
    if looked:
        record_all(looked)
