"""Retention at night: counted by default, applied only where the hospital has said so."""

import time

from django.conf import settings

from diagnostics.services import retention
from hospital.audit.services import Actor
from hospital.base import chores
from hospital.base.models import Chore, LastRun
from patients.models import Kept

ACTOR = Actor.system("retention at night")


def retention_run() -> LastRun:
    """Count what the rules say is due, and with RETENTION_NIGHTLY=apply let it go.

    Not when it would erase more than RETENTION_MOST_PATIENTS: a clock that runs years ahead, or a
    rule with a slip of the pen, must not empty the archive while everybody sleeps.
    """
    began = time.monotonic()
    due = retention.due()
    counts = {one.rule.kind: one.count for one in due}
    patients, most = counts.get(Kept.PATIENTS, 0), settings.RETENTION_MOST_PATIENTS
    wanted, trouble = settings.RETENTION_NIGHTLY == "apply", ""
    if wanted and patients > most:
        trouble = (
            f"{patients} patients are due, more than RETENTION_MOST_PATIENTS ({most}): nothing was "
            "erased. Look at the clock and the rules; then run manage.py retention yourself."
        )
    elif wanted:
        retention.apply(actor=ACTOR)
    applied = wanted and not trouble
    seconds = time.monotonic() - began
    return chores.ended(
        Chore.RETENTION, seconds=seconds, trouble=trouble, counts=counts, applied=applied
    )
