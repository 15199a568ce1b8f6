"""Retention at night: counted by default, applied only where the hospital has said so."""

import logging
import time
from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from diagnostics.services import removal, retention
from hospital.audit.services import Actor
from hospital.base import chores
from hospital.base.models import Chore, LastRun
from patients.models import Kept

log = logging.getLogger(__name__)

ACTOR = Actor.system("retention at night")


def retention_run() -> LastRun:
    """Count what the rules say is due, and with RETENTION_NIGHTLY=apply let it go.

    Not when it would erase more than RETENTION_MOST_PATIENTS: a clock that runs years ahead, or a
    rule with a slip of the pen, must not empty the archive while everybody sleeps. However it ends,
    the doctor is told.
    """
    began = time.monotonic()
    counts: dict[str, int] = {}
    applied = False
    try:
        counts = {one.rule.kind: one.count for one in retention.due()}
        trouble = _too_many(counts)
        if settings.RETENTION_NIGHTLY == "apply" and not trouble:
            trouble = _applied(counts)
            applied = True
        trouble = trouble or _left()
    except Exception as error:
        log.exception("retention broke off")
        trouble = f"It broke off ({type(error).__name__}): the log of housekeeping says where."
    seconds = time.monotonic() - began
    return chores.ended(
        Chore.RETENTION, seconds=seconds, trouble=trouble, counts=counts, applied=applied
    )


def _too_many(counts: Mapping[str, int]) -> str:
    patients, most = counts.get(Kept.PATIENTS, 0), settings.RETENTION_MOST_PATIENTS
    if settings.RETENTION_NIGHTLY != "apply" or patients <= most:
        return ""
    return (
        f"{patients} patients are due, more than RETENTION_MOST_PATIENTS ({most}): nothing was "
        "erased. Look at the clock and the rules; then run manage.py retention yourself."
    )


def _applied(counts: dict[str, int]) -> str:
    """Let it go; `counts` becomes what really went. What went wrong, if anything."""
    done = retention.apply(actor=ACTOR)
    counts |= {one.rule.kind: one.count for one in done}
    failed = sum(one.failed for one in done)
    if not failed:
        return ""
    return f"{failed} patients could not be erased: the log says why; the next night tries again."


def _left() -> str:
    """Whether the storage has kept what was to go for more than an hour."""
    files = removal.overdue(timezone.now() - timedelta(hours=1))
    return f"The storage still has {files} files that were to go: is it there?" if files else ""
