"""The life of an analysis: queued, claimed under a lease, finished once, retried on request.

The row is the truth. The broker's message only says 'look'; it may come twice or never.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta
from itertools import takewhile
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from diagnostics.models import Analysis, AnalysisState, Priority
from diagnostics.models.analysis import OPEN
from diagnostics.services import bell, controls, guards, holds, reports
from diagnostics.services.reports import PIPELINE
from hospital.accounts.guards import ensure_may
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict
from hospital.base.states import advance

log = logging.getLogger(__name__)

LOST_WORKER = "worker_lost"

# What a technician reads when a run failed; the code is stored, the sentence is not.
FAILURES = {
    LOST_WORKER: "The analysis stopped each time it was tried. "
    "Look at the picture, then try once more or take it again.",
    "file_missing": "The stored picture could not be read. Send it again from the microscope.",
    "undecodable": "The stored picture could not be decoded. Take it again.",
    "internal": "The analysis failed inside the model. Try again; if it recurs, tell support.",
}


def claim(
    *,
    worker: str,
    limit: int,
    package: str = "",
    background: int = 0,
    live: bool = True,
    alone: bool = True,
) -> list[Analysis]:
    """Take queued runs, oldest first, under one fresh lease.

    Live pictures go first: only when none waits are background runs taken, those that want the
    package of digest `package` or name none.

    Args:
        limit: at most so many live runs.
        background: at most so many background runs; few, because a live picture that arrives
            meanwhile waits for them.
        live: whether live runs are taken at all.
        alone: whether the worker has nothing else in hand. Only then is it given a run that a
            worker has died with, and nothing beside it: it may be what kills workers, and must
            not take others with it.

    Two workers may look at the same rows; the database gives each row to one of them.
    """
    waiting = Analysis.objects.filter(state=AnalysisState.QUEUED)
    taken: list[Analysis] | None = None
    if live and limit:
        urgent = waiting.filter(priority=Priority.LIVE)
        taken = _take(urgent, worker=worker, limit=limit, alone=alone)
    if taken is None and background:
        wanted = waiting.filter(priority__gt=Priority.LIVE, package_wanted__in=["", package])
        taken = _take(wanted, worker=worker, limit=background, alone=alone)
    return taken or []


@transaction.atomic
def _take(
    waiting: QuerySet[Analysis], *, worker: str, limit: int, alone: bool
) -> list[Analysis] | None:
    """Put the oldest `limit` of `waiting` under one lease; None when nothing waits."""
    # PostgreSQL passes over what another worker is just taking. SQLite has no row locks and needs
    # none: its transactions are immediate. Elsewhere the compare-and-swap below decides.
    unlocked = waiting.select_for_update(skip_locked=True, of=("self",))
    rows = list(unlocked.select_related("image__specimen").order_by("queued_at")[:limit])
    if not rows:
        return None
    if not (rows := _together(rows, alone=alone)):
        return []
    lease = uuid.uuid4()
    changes = {
        "state": AnalysisState.RUNNING,
        "lease": lease,
        "worker": worker[:120],
        "started_at": timezone.now(),
    }
    still = Analysis.objects.filter(pk__in=[row.pk for row in rows], state=AnalysisState.QUEUED)
    counted = {"lease_until": lease_end(), "attempts": F("attempts") + 1}
    if still.update(**changes, **counted) != len(rows):
        got = set(Analysis.objects.filter(lease=lease).values_list("pk", flat=True))
        rows = [row for row in rows if row.pk in got]
    for row in rows:
        row.attempts += 1
        for name, value in changes.items():
            setattr(row, name, value)
    return rows


def _together(rows: Sequence[Analysis], *, alone: bool) -> list[Analysis]:
    """The first of `rows` that one worker may have in hand at once."""
    if rows[0].attempts:
        return list(rows[:1]) if alone else []
    return list(takewhile(lambda row: not row.attempts, rows))


def lease_end() -> Any:
    """When a lease given now ends. By the database's clock, which all workers share."""
    return Now() + timedelta(seconds=settings.ANALYSIS_LEASE_SECONDS)


def give_back(held: Sequence[Analysis]) -> int:
    """Queue runs again that were claimed and not begun, as if nobody had claimed them.

    Returns how many were still held.
    """
    return _give_back(held)


def postpone(held: Sequence[Analysis]) -> int:
    """Queue runs again, behind all others, that no picture is to blame for: the store is away.

    Returns how many were still held.
    """
    return _give_back(held, queued_at=timezone.now())


def _give_back(held: Sequence[Analysis], **changes: Any) -> int:
    return _held(held).update(
        **changes,
        state=AnalysisState.QUEUED,
        lease=None,
        lease_until=None,
        worker="",
        started_at=None,
        attempts=F("attempts") - 1,
    )


def renew(held: Sequence[Analysis]) -> int:
    """Prolong the leases of runs still in hand; returns how many were still held."""
    return _held(held).update(lease_until=lease_end())


def _held(runs: Sequence[Analysis]) -> QuerySet[Analysis]:
    """Those of `runs` whose lease has not been lost."""
    return Analysis.objects.filter(
        state=AnalysisState.RUNNING,
        pk__in=[run.pk for run in runs],
        lease__in={run.lease for run in runs},
    )


@transaction.atomic
def fail(analysis: Analysis, *, code: str) -> bool:
    """Note that a run cannot succeed, and why; see FAILURES. False when the lease was lost."""
    ended = {"state": AnalysisState.FAILED, "failure": code, "finished_at": timezone.now()}
    if not _held([analysis]).update(**ended, lease=None, lease_until=None):
        return False
    analysis.refresh_from_db(from_queryset=Analysis.objects.select_related("image__specimen"))
    image = analysis.image
    record(
        PIPELINE,
        "analysis.failed",
        analysis,
        clinic_id=image.clinic_id,
        patient_id=image.patient_id,
        code=code,
    )
    if analysis.speaks and image.specimen:
        reports.rebuild(image.specimen)
    if image.control_slide_id:
        holds.rebuild_all(controls.decide_all([analysis]))
    return True


@transaction.atomic
def retry(*, user: Any, analysis: Analysis) -> None:
    """Queue a failed run again, with a fresh count of attempts.

    Raises:
        Forbidden: `user` may not do so in the picture's clinic.
        hospital.base.states.IllegalTransition: it has not failed.
        Conflict: another run of the same picture is under way, it is of a control slide, or its
            patient is erased.
    """
    image = analysis.image
    ensure_may(user, "diagnostics.retry_analysis", image.clinic_id, "restart analyses")
    if image.control_slide_id:
        raise Conflict(
            "A control that failed is not tried again: take another picture of the slide.",
            code="control_decided",
        )
    guards.ensure_not_erased(image)
    if image.analyses.filter(state__in=OPEN).exists():
        raise Conflict("This picture is being analysed already.", code="analysis_open")
    advance(analysis, AnalysisState.QUEUED, failure="", attempts=0, queued_at=timezone.now())
    record(
        Actor.user(user),
        "analysis.retried",
        analysis,
        clinic_id=image.clinic_id,
        patient_id=image.patient_id,
    )
    if analysis.speaks and image.specimen:
        reports.rebuild(image.specimen)
    transaction.on_commit(bell.ring, robust=True)


def sweep() -> dict[str, int]:
    """Requeue what dead workers left, give up on what kills them, nudge what nobody heard of.

    Returns how many rows were requeued, failed and nudged.
    """
    counts = {"requeued": 0, "failed": 0, "nudged": 0}
    expired = Analysis.objects.filter(state=AnalysisState.RUNNING, lease_until__lt=Now())
    for analysis in expired.select_related("image__specimen"):
        if not _take_back(analysis):
            continue
        if analysis.attempts >= settings.ANALYSIS_MAX_ATTEMPTS:
            counts["failed"] += fail(analysis, code=LOST_WORKER)
        else:
            counts["requeued"] += _requeue(analysis)
    counts["nudged"] = _nudge_forgotten()
    return counts


def _take_back(analysis: Analysis) -> bool:
    """Take an expired lease over, unless its worker renewed it since the sweep looked."""
    lease = uuid.uuid4()
    expired = Analysis.objects.filter(
        pk=analysis.pk,
        state=AnalysisState.RUNNING,
        lease=analysis.lease,
        lease_until=analysis.lease_until,
    )
    if not expired.update(lease=lease):
        return False
    analysis.lease = lease
    return True


def _requeue(analysis: Analysis) -> bool:
    # Under the lease just taken over: a worker that finished in between keeps its result. Behind
    # all others: what may kill the next worker, too, must not keep them waiting.
    back = {"state": AnalysisState.QUEUED, "queued_at": timezone.now()}
    if not _held([analysis]).update(**back, lease=None, lease_until=None):
        return False
    log.warning("analysis %s taken back from %s", analysis.pk, analysis.worker)
    bell.ring()
    return True


def _nudge_forgotten() -> int:
    before = timezone.now() - timedelta(seconds=settings.ANALYSIS_NUDGE_SECONDS)
    forgotten = Analysis.objects.filter(state=AnalysisState.QUEUED, nudged_at__lt=before)
    # However many there are, one ring: a worker that finds more than its fill wakes the next.
    ids = list(forgotten.order_by("priority", "queued_at").values_list("pk", flat=True)[:8])
    Analysis.objects.filter(pk__in=ids).update(nudged_at=timezone.now())
    if ids:
        bell.ring()
    return len(ids)
