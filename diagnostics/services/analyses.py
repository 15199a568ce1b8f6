"""The life of an analysis: queued, claimed under a lease, finished once, retried on request.

The row is the truth. The broker's message only says 'look'; it may come twice or never.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from diagnostics.models import Analysis, AnalysisState, FieldImage, ImageState, Outcome
from diagnostics.models.analysis import OPEN
from diagnostics.services import reports
from hospital.accounts.selectors import may
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Forbidden
from hospital.base.states import advance

log = logging.getLogger(__name__)

PIPELINE = Actor.system("pipeline")
LOST_WORKER = "worker_lost"

# What a technician reads when a run failed; the code is stored, the sentence is not.
FAILURES = {
    LOST_WORKER: "The analysis stopped each time it was tried. "
    "Look at the picture, then try once more or take it again.",
    "file_missing": "The stored picture could not be read. Send it again from the microscope.",
    "undecodable": "The stored picture could not be decoded. Take it again.",
    "internal": "The analysis failed inside the model. Try again; if it recurs, tell support.",
}


def queue(image: FieldImage) -> Analysis:
    """Put a run for `image` on the queue, in the caller's transaction; nudge after commit."""
    analysis = Analysis.objects.create(image=image)
    transaction.on_commit(lambda: nudge(analysis.pk), robust=True)
    return analysis


def nudge(analysis_id: UUID) -> None:
    """Tell the broker that there is work. Failing is harmless: the sweep nudges again."""
    try:
        # By name: the web process has no business importing the pipeline.
        current_app.send_task("diagnostics.tasks.analyse", args=[str(analysis_id)])
    except Exception as error:
        log.warning("broker not reached (%s); the sweep will queue %s again", error, analysis_id)


def claim(*, worker: str, limit: int) -> list[Analysis]:
    """Take up to `limit` queued runs, oldest first, each under a fresh lease.

    Two workers may look at the same rows; the compare-and-swap gives each row to one of them.
    """
    waiting = Analysis.objects.filter(state=AnalysisState.QUEUED).order_by("queued_at")
    taken = []
    for pk in list(waiting.values_list("pk", flat=True)[:limit]):
        lease = uuid.uuid4()
        now = timezone.now()
        row = Analysis.objects.filter(pk=pk, state=AnalysisState.QUEUED)
        if row.update(
            state=AnalysisState.RUNNING,
            lease=lease,
            lease_until=now + timedelta(seconds=settings.ANALYSIS_LEASE_SECONDS),
            worker=worker[:120],
            started_at=now,
            attempts=F("attempts") + 1,
        ):
            taken.append(pk)
    rows = Analysis.objects.filter(pk__in=taken, worker=worker[:120])
    return list(rows.select_related("image__specimen").order_by("queued_at"))


def renew(held: Sequence[Analysis]) -> int:
    """Prolong the leases of runs still in hand; returns how many were still held."""
    until = timezone.now() + timedelta(seconds=settings.ANALYSIS_LEASE_SECONDS)
    leases = [analysis.lease for analysis in held]
    running = Analysis.objects.filter(state=AnalysisState.RUNNING, lease__in=leases)
    return running.update(lease_until=until)


@transaction.atomic
def succeed(analysis: Analysis, *, outcome: str, result: dict[str, Any], rejection: str) -> bool:
    """Store what the model found, unless the lease was lost meanwhile.

    `rejection` is the quality gate's code, '' when the picture is good enough. Returns False, with
    nothing written, when another worker holds or has finished the run: a result counts once.
    """
    if not _finish(analysis, AnalysisState.SUCCEEDED, outcome=outcome, **result):
        return False
    image = analysis.image
    _judge(image, rejection=rejection)
    record(
        PIPELINE,
        "analysis.succeeded",
        analysis,
        clinic_id=image.specimen.clinic_id,
        patient_id=image.specimen.patient_id,
        outcome=outcome,
        package=analysis.package_digest,
    )
    reports.rebuild(image.specimen)
    return True


@transaction.atomic
def fail(analysis: Analysis, *, code: str) -> bool:
    """Note that a run cannot succeed, and why; see FAILURES. False when the lease was lost."""
    if not _finish(analysis, AnalysisState.FAILED, failure=code):
        return False
    specimen = analysis.image.specimen
    record(
        PIPELINE,
        "analysis.failed",
        analysis,
        clinic_id=specimen.clinic_id,
        patient_id=specimen.patient_id,
        code=code,
    )
    reports.rebuild(specimen)
    return True


@transaction.atomic
def retry(*, user: Any, analysis: Analysis) -> None:
    """Queue a failed run again, with a fresh count of attempts.

    Raises:
        Forbidden: `user` may not do so in the picture's clinic.
        hospital.base.states.IllegalTransition: it has not failed.
        Conflict: another run of the same picture is under way.
    """
    specimen = analysis.image.specimen
    if not may(user, "diagnostics.retry_analysis", specimen.clinic_id):
        raise Forbidden("Your role does not let you restart analyses in this clinic.")
    if analysis.image.analyses.filter(state__in=OPEN).exists():
        raise Conflict("This picture is being analysed already.", code="analysis_open")
    advance(analysis, AnalysisState.QUEUED, failure="", attempts=0, queued_at=timezone.now())
    record(
        Actor.user(user),
        "analysis.retried",
        analysis,
        clinic_id=specimen.clinic_id,
        patient_id=specimen.patient_id,
    )
    reports.rebuild(specimen)
    transaction.on_commit(lambda: nudge(analysis.pk), robust=True)


def sweep() -> dict[str, int]:
    """Requeue what dead workers left, give up on what kills them, nudge what nobody heard of.

    Returns how many rows were requeued, failed and nudged.
    """
    counts = {"requeued": 0, "failed": 0, "nudged": 0}
    now = timezone.now()
    expired = Analysis.objects.filter(state=AnalysisState.RUNNING, lease_until__lt=now)
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
    # Under the lease just taken over: a worker that finished in between keeps its result.
    held = Analysis.objects.filter(
        pk=analysis.pk, state=AnalysisState.RUNNING, lease=analysis.lease
    )
    if not held.update(state=AnalysisState.QUEUED, lease=None, lease_until=None):
        return False
    log.warning("analysis %s taken back from %s", analysis.pk, analysis.worker)
    nudge(analysis.pk)
    return True


def _nudge_forgotten() -> int:
    before = timezone.now() - timedelta(seconds=settings.ANALYSIS_NUDGE_SECONDS)
    forgotten = Analysis.objects.filter(state=AnalysisState.QUEUED, nudged_at__lt=before)
    # One nudge makes a worker drain the whole queue; a few serve several idle workers.
    ids = list(forgotten.order_by("queued_at").values_list("pk", flat=True)[:8])
    Analysis.objects.filter(pk__in=ids).update(nudged_at=timezone.now())
    for pk in ids:
        nudge(pk)
    return len(ids)


def _finish(analysis: Analysis, state: str, **changes: Any) -> bool:
    held = Analysis.objects.filter(
        pk=analysis.pk, state=AnalysisState.RUNNING, lease=analysis.lease
    )
    finished = held.update(
        state=state, lease=None, lease_until=None, finished_at=timezone.now(), **changes
    )
    if finished:
        analysis.refresh_from_db(from_queryset=Analysis.objects.select_related("image__specimen"))
    return bool(finished)


def _judge(image: FieldImage, *, rejection: str) -> None:
    """Move the picture to accepted or rejected, if that is not where it stands already."""
    to = ImageState.REJECTED if rejection else ImageState.ACCEPTED
    if image.state != to:
        advance(image, to, rejection=rejection)


REJECTING = frozenset({Outcome.NOT_A_SMEAR, Outcome.UNUSABLE})
