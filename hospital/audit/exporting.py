"""Giving parts of the trail away, as JSON lines; that somebody did is an entry itself."""

import json
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from hospital.audit import selectors
from hospital.audit.services import Actor, note


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
    rows = selectors.entries(patient=patient, person=person, since=since, until=until)
    asked = {"patient": patient, "person": person, "since": since, "until": until}
    given = {name: str(value) for name, value in asked.items() if value}
    note(actor, "audit.exported", "audit.entry", **given)
    for entry, seal in selectors.with_seals(rows):
        yield json.dumps(selectors.as_data(entry, seal), ensure_ascii=False)
