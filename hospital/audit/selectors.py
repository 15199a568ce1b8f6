"""Finding entries of the trail. Who may see which: `hospital.accounts.selectors`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from hospital.audit.models import Entry, Seal

CHUNK = 2000


def about(patient_id: UUID) -> Q:
    """Entries that tell of the patient, lists on which they stood included."""
    listed = Q(action__endswith=".listed", detail__patients__icontains=str(patient_id))
    return Q(patient_id=patient_id) | listed


def entries(
    *,
    patient: UUID | None = None,
    person: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[Entry]:
    """The entries that match all that is given, the oldest first.

    Args:
        person: the id of whoever acted.
        until: this moment is not included.
    """
    rows = Entry.objects.order_by("pk")
    if patient is not None:
        rows = rows.filter(about(patient))
    if person:
        rows = rows.filter(actor_id=person)
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    return rows


def seal_of(entry: Entry) -> Seal | None:
    """The entry's place in the chain; None while it is not sealed."""
    return Seal.objects.filter(pk=entry.pk).first()


def with_seals(rows: QuerySet[Entry]) -> Iterator[tuple[Entry, Seal | None]]:
    """Each entry with its seal, in pieces: of a trail of any length."""
    after = 0
    while page := list(rows.filter(pk__gt=after).order_by("pk")[:CHUNK]):
        seals = Seal.objects.in_bulk([entry.pk for entry in page])
        yield from ((entry, seals.get(entry.pk)) for entry in page)
        after = page[-1].pk


def as_data(entry: Entry, seal: Seal | None) -> dict[str, Any]:
    """An entry as plain data, with all that is needed to compute its digest again."""
    return {
        "id": entry.pk,
        "at": entry.at.isoformat(),
        "actor": {"kind": entry.actor_kind, "id": entry.actor_id, "name": entry.actor_name},
        "action": entry.action,
        "subject": {"type": entry.subject_type, "id": entry.subject_id},
        "clinic": entry.clinic_id and str(entry.clinic_id),
        "patient": entry.patient_id and str(entry.patient_id),
        "detail": entry.detail,
        "seal": seal
        and {
            "position": seal.position,
            "at": seal.at.isoformat(),
            "salt": seal.salt,
            "told": seal.told,
            "digest": seal.digest,
        },
    }
