"""Heat maps: asked for by a reader, drawn by a worker, kept. The row is the truth, as everywhere.

The map shows where the model looked. It does not show where the disease is, nor whether the answer
is right.
"""

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from diagnostics.models import Analysis, DiagnosticReport, HeatMap, HeatMapState
from diagnostics.services import bell, guards, own_call
from diagnostics.services.analyses import lease_end
from hospital.accounts.guards import ensure_may
from hospital.accounts.selectors import clinic_topic
from hospital.audit.services import Actor, record
from hospital.base import files
from hospital.base.problems import Conflict
from hospital.base.states import StaleState, advance
from hospital.live.services import publish

log = logging.getLogger(__name__)

# Why there is none, as a reader sees it; the code is stored, the sentence is not.
FAILURES = {
    "file_missing": "The stored picture could not be read.",
    "other_package": "The model that read this field is not in use any more.",
    "worker_lost": "Drawing it stopped each time it was tried.",
    "internal": "It could not be drawn.",
}


@transaction.atomic
def ask(*, user: Any, analysis: Analysis) -> HeatMap:
    """Have the analysis's heat map drawn, unless it is or will be; returns where it stands.

    Raises:
        Forbidden: `user` may not look at analyses in the picture's clinic.
        Conflict: the model was not shown this picture, so there is nothing to explain; or its
            word is hidden from `user`; or the patient is erased.
    """
    image = analysis.image
    ensure_may(user, "diagnostics.view_analysis", image.clinic_id, "look at analyses")
    guards.ensure_not_erased(image)
    report = DiagnosticReport.objects.filter(specimen=image.specimen_id).first()
    if report is not None:
        own_call.ensure_called(user, report)
    if analysis.probabilities is None:
        raise Conflict(
            "The model was not shown this field, so it looked nowhere in it.",
            code="nothing_to_explain",
        )
    heat, new = HeatMap.objects.get_or_create(analysis=analysis, defaults={"asked_by": user})
    if not new and heat.state == HeatMapState.FAILED:
        now = timezone.now()
        again = {"failure": "", "attempts": 0, "asked_by": user, "asked_at": now, "nudged_at": now}
        advance(heat, HeatMapState.WANTED, **again)
        new = True
    if new:
        record(
            Actor.user(user),
            "heat_map.asked",
            analysis,
            clinic_id=image.clinic_id,
            patient_id=image.patient_id,
        )
        transaction.on_commit(bell.ring)
    return heat


def waiting() -> bool:
    """Whether any map waits for a worker."""
    return _free().exists()


def claim() -> HeatMap | None:
    """Take the map asked for first, with one attempt more, under a lease; None when none waits.

    Several workers may look at the same row; the database gives it to one of them, and to another
    only when the lease has run out.
    """
    while heat := _free().select_related("analysis__image__specimen").first():
        if _free().filter(pk=heat.pk).update(lease_until=lease_end(), attempts=F("attempts") + 1):
            heat.attempts += 1
            return heat
    return None


def _free() -> QuerySet[HeatMap]:
    """The wanted maps that no worker draws, oldest wish first."""
    unclaimed = Q(lease_until=None) | Q(lease_until__lt=Now())
    return HeatMap.objects.filter(unclaimed, state=HeatMapState.WANTED).order_by("asked_at")


def exhausted(heat: HeatMap) -> bool:
    """Whether it has been begun so often that it is to be given up."""
    return bool(heat.attempts > settings.ANALYSIS_MAX_ATTEMPTS)


@transaction.atomic
def drawn(heat: HeatMap, png: bytes) -> bool:
    """Store the map, a PNG to be laid over the picture.

    False, with nothing stored, when another worker was first or the patient is erased.

    Raises:
        OSError: it could not be stored; the row is as it was.
    """
    key = f"derived/{heat.pk}/heat.png"
    # First, which holds the row: whose patient was erased meanwhile has none, and gets no file.
    if not _settle(heat, HeatMapState.DRAWN, storage_key=key):
        return False
    files.put(key, png)
    return True


@transaction.atomic
def fail(heat: HeatMap, code: str) -> bool:
    """Note why there will be none, one of `FAILURES`. False when it is settled already."""
    return _settle(heat, HeatMapState.FAILED, failure=code)


def nudge_forgotten() -> int:
    """Ring for maps that nobody has drawn for long: the message may have been lost."""
    before = timezone.now() - timedelta(seconds=settings.ANALYSIS_NUDGE_SECONDS)
    count = _free().filter(nudged_at__lt=before).update(nudged_at=timezone.now())
    if count:
        bell.ring()
    return count


def _settle(heat: HeatMap, to: str, **changes: Any) -> bool:
    try:
        advance(heat, to, lease_until=None, **changes)
    except StaleState:
        return False
    report = DiagnosticReport.objects.filter(specimen=heat.analysis.image.specimen_id).first()
    if report is not None:
        topics = [clinic_topic(report.clinic_id)]
        publish("report.looked_at", report.pk, version=report.version, topics=topics)
    return True
