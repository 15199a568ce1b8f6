"""Writing to the audit trail. Explicit calls in services, never signals."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import models

from hospital.audit.models import ActorKind, Entry


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


def record_all(entries: Iterable[Entry]) -> None:
    """Add many entries, each made by `entry`, in the caller's transaction and one statement."""
    Entry.objects.bulk_create(entries)


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
