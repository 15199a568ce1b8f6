"""Noting what ran by itself, for the doctor and for Prometheus."""

from typing import Any

from django.utils import timezone

from hospital.base.models import LastRun


def ended(chore: str, *, seconds: float, trouble: str = "", **told: Any) -> LastRun:
    """Note that a chore has ended now.

    Args:
        seconds: how long it took.
        trouble: what went wrong, in a sentence for the operator; '' when it went well.
        told: what it says of itself, nothing of anybody.
    """
    now = timezone.now()
    row = {"ended_at": now, "seconds": seconds, "trouble": trouble[:300], "told": told}
    if not trouble:
        row["succeeded_at"] = now
    return LastRun.objects.update_or_create(chore=chore, defaults=row)[0]
