"""Writing to the audit trail. Explicit calls in services, never signals."""

from collections.abc import Iterable
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Deed:
    """One entry that is to be written: see `record`."""

    actor: Actor
    action: str
    subject: models.Model
    clinic_id: Any = None
    patient_id: Any = None
    detail: dict[str, Any] = field(default_factory=dict)


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
    return record_all([Deed(actor, action, subject, clinic_id, patient_id, detail)])[0]


def record_all(deeds: Iterable[Deed]) -> list[Entry]:
    """Add many entries in one statement, in the order of `deeds`."""
    return Entry.objects.bulk_create(
        Entry(
            actor_kind=deed.actor.kind,
            actor_id=deed.actor.id,
            actor_name=deed.actor.name,
            action=deed.action,
            subject_type=deed.subject._meta.label_lower,
            subject_id=str(deed.subject.pk),
            clinic_id=deed.clinic_id,
            patient_id=deed.patient_id,
            detail=deed.detail,
        )
        for deed in deeds
    )
