"""Storing what the model found: a batch in one transaction, each result at most once."""

import logging
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from diagnostics.models import (
    Analysis,
    AnalysisState,
    DiagnosticReport,
    FieldImage,
    FoundCells,
    ImageState,
    Outcome,
    Priority,
)
from diagnostics.models.image import SET_ASIDE
from diagnostics.models.report import UNSIGNED
from diagnostics.services import controls, holds, packages
from diagnostics.services.reports import PIPELINE
from hospital.audit.services import entry, record_all
from hospital.base.logs import following
from hospital.base.meters import ANALYSES, STAGES
from hospital.live.services import published_together

log = logging.getLogger(__name__)

# What these runs found is a reason to reject the picture.
REJECTING = frozenset({Outcome.NOT_A_SMEAR, Outcome.UNUSABLE})

RESULT_COLUMNS = (
    "package_name",
    "package_digest",
    "engine",
    "preprocessing",
    "label",
    "probabilities",
    "familiarity",
    "quality",
    "cell_count",
    "area_share",
    "segmented_key",
    "overlay_key",
    "thumbnail_key",
)
_WRITTEN = ("state", "lease", "lease_until", "finished_at", "speaks", "outcome", *RESULT_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the model found in one run.

    `result` holds values of `RESULT_COLUMNS`; `rejection` is the quality gate's code, '' when the
    picture is good enough; `outlines` are the cells as `ml.outlines` packs them, b'' for none.
    """

    analysis: Analysis
    outcome: str
    rejection: str
    result: dict[str, Any]
    outlines: bytes = b""


@transaction.atomic
def succeed_all(batch: Sequence[Found]) -> int:
    """Store the results of a batch: all of them, except those whose lease was lost meanwhile.

    A run that another worker holds or has finished is left alone: a result counts once. Each
    specimen's report is rebuilt once, however many of its pictures are in the batch. Returns how
    many results were stored; raises with nothing stored when any of them cannot be.
    """
    held = _still_held(batch)
    kept = [one for one in batch if (one.analysis.pk, one.analysis.lease) in held]
    if not kept:
        return 0
    silent = _silent(kept)
    rows = [_finished(one, speaks=one.analysis.pk not in silent) for one in kept]
    # An upsert of rows that exist and are locked: an UPDATE with other values for each row.
    Analysis.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["id"], update_fields=_WRITTEN
    )
    FoundCells.objects.bulk_create(
        FoundCells(analysis_id=one.analysis.pk, outlines=one.outlines)
        for one in kept
        if one.outlines
    )
    speaking = [one for one in kept if one.analysis.pk not in silent]
    _judge(speaking)
    record_all([_entry(one) for one in kept])
    packages.queue_shadows(rows)
    transaction.on_commit(partial(_tell, rows), robust=True)
    with published_together():
        freed = controls.decide_all([row for row in rows if row.image.control_slide_id])
        holds.rebuild_all([*(one.analysis.image for one in speaking), *freed])
    return len(kept)


def _tell(rows: Sequence[Analysis]) -> None:
    """Count what was stored, and say of each picture that it was read."""
    for row in rows:
        ANALYSES.labels(row.engine, row.outcome).inc()
        if row.started_at and row.finished_at:
            STAGES.labels("waiting").observe((row.started_at - row.queued_at).total_seconds())
            STAGES.labels("reading").observe((row.finished_at - row.started_at).total_seconds())
        with following(row.image_id):
            log.info("read by %s: %s", row.engine, row.outcome)


def _specimen_id(one: Found) -> UUID | None:
    """None for the picture of a control slide."""
    return one.analysis.image.specimen_id


def _still_held(batch: Sequence[Found]) -> set[tuple[UUID, UUID | None]]:
    """Run and lease of those still ours, locked until the transaction ends.

    Their pictures are locked with them, in the order in which `holds` locks pictures.
    """
    leases = {one.analysis.lease for one in batch}
    rows = Analysis.objects.select_for_update(of=("self", "image"), no_key=True).filter(
        state=AnalysisState.RUNNING,
        lease__in=leases,
        pk__in=[one.analysis.pk for one in batch],
    )
    rows = rows.select_related("image").only("lease", "image__id").order_by("image_id", "pk")
    return {(row.pk, row.lease) for row in rows}


def _silent(kept: Sequence[Found]) -> set[UUID]:
    """The runs that have no say: those of a package that reads along, and background runs about
    a specimen whose report is signed or withdrawn."""
    told = {one.analysis.pk for one in kept if one.analysis.priority == Priority.SHADOW}
    background = {
        specimen
        for one in kept
        if one.analysis.priority == Priority.BACKGROUND and (specimen := _specimen_id(one))
    }
    if not background:
        return told
    # Locked, so that nobody signs between this look and the rebuilding.
    locked = DiagnosticReport.objects.select_for_update().filter(specimen__in=background)
    standing = locked.order_by("specimen_id").values_list("specimen_id", "status")
    closed = {specimen for specimen, status in standing if status not in UNSIGNED}
    return told | {
        one.analysis.pk
        for one in kept
        if one.analysis.priority == Priority.BACKGROUND and _specimen_id(one) in closed
    }


def _finished(one: Found, *, speaks: bool) -> Analysis:
    """A copy of the run's row as it shall be stored; the original keeps its lease."""
    row = copy(one.analysis)
    row.state = AnalysisState.SUCCEEDED
    row.lease = row.lease_until = None
    row.finished_at = timezone.now()
    row.outcome = one.outcome
    row.speaks = speaks
    for column in RESULT_COLUMNS:
        if column in one.result:
            setattr(row, column, one.result[column])
    return row


def _judge(speaking: Sequence[Found]) -> None:
    """Move the pictures to accepted or rejected, those that do not stand there already."""
    by_reason: dict[str, list[UUID]] = {}
    for one in speaking:
        by_reason.setdefault(one.rejection, []).append(one.analysis.image_id)
    for reason, images in by_reason.items():
        to = ImageState.REJECTED if reason else ImageState.ACCEPTED
        origins = [state for state, steps in FieldImage.TRANSITIONS.items() if to in steps]
        movable = FieldImage.objects.filter(pk__in=images, state__in=origins)
        movable = movable.exclude(rejection__in=SET_ASIDE)
        movable.update(state=to, rejection=reason)


def _entry(one: Found) -> Any:
    image = one.analysis.image
    return entry(
        PIPELINE,
        "analysis.succeeded",
        one.analysis,
        clinic_id=image.clinic_id,
        patient_id=image.patient_id,
        detail={"outcome": one.outcome, "package": one.result["package_digest"]},
    )
