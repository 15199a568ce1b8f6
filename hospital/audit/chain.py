"""What the digests of the trail cover, and how one follows from the other. Touches no database."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from hospital.audit.models import Entry, Seal

# What comes before the first entry.
START = "0" * 64


def told_by(entry: Entry, salt: str) -> str:
    """The digest of what an erasure takes away: the name of who acted, and the detail.

    With a random salt, for there are few names and codes: without it nobody can guess them back.
    """
    return _digest(salt, entry.actor_name, entry.detail)


def digest_of(entry: Entry, seal: Seal, former: str) -> str:
    """The digest that `seal` has to hold, following the digest `former`; all are hexadecimal."""
    return _digest(
        former,
        seal.position,
        _moment(seal.at),
        entry.pk,
        _moment(entry.at),
        entry.actor_kind,
        entry.actor_id,
        entry.action,
        entry.subject_type,
        entry.subject_id,
        entry.clinic_id and str(entry.clinic_id),
        entry.patient_id and str(entry.patient_id),
        seal.told,
    )


def _digest(*parts: Any) -> str:
    """SHA-256 of the parts as JSON with sorted keys and no blanks."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _moment(at: datetime | None) -> str:
    # None is what Django reads where somebody has written what is no moment.
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at else ""
