"""Giving parts of the trail away, as JSON lines; that somebody did is an entry itself."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from hospital.audit import selectors
from hospital.audit.models import Entry
from hospital.audit.services import Actor


def export(
    *,
    actor: Actor,
    patient: UUID | None = None,
    person: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[str]:
    """The lines of the entries that match, the oldest first. Noted before the first is given.

    The arguments are those of `selectors.entries`.
    """
    asked: dict[str, Any] = {"person": person, "since": since, "until": until}
    rows = selectors.entries(patient=patient, person=person, since=since, until=until)
    Entry.objects.create(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        action="audit.exported",
        subject_type="audit.entry",
        subject_id="",
        patient_id=patient,
        detail={name: str(value) for name, value in asked.items() if value},
    )
    for entry, seal in selectors.with_seals(rows):
        yield json.dumps(selectors.as_data(entry, seal), ensure_ascii=False)
