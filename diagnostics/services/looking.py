"""What a reader leaves behind while looking at a case: fields seen, and calls on single cells."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from diagnostics.models import (
    Analysis,
    CellCall,
    CellLabel,
    DiagnosticReport,
    FieldImage,
    FieldSeen,
)
from diagnostics.models.report import UNSIGNED
from diagnostics.services.report_row import locked
from hospital.accounts.guards import ensure_may
from hospital.accounts.selectors import clinic_topic
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.live.services import publish


def note_fields_seen(*, user: Any, report: DiagnosticReport, images: Iterable[UUID]) -> int:
    """Remember that these of the report's pictures were on `user`'s screen; the first time counts.

    `report` has been found to be theirs to see. What is not of it is passed over. Returns how many
    of them are of the report.
    """
    own = FieldImage.objects.filter(pk__in=list(images), specimen=report.specimen_id)
    rows = [FieldSeen(image=image, user=user) for image in own.only("pk")]
    FieldSeen.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


@transaction.atomic
def call_cell(*, user: Any, analysis: Analysis, cell: int, label: str) -> CellCall:
    """Note what `user` says of one cell that the analysis found.

    Args:
        cell: its place among the analysis's outlines, from 0.
        label: a `CellLabel`.

    Raises:
        Forbidden: `user` may not do so in the picture's clinic.
        Refusal: there is no such cell or label.
        Conflict: the report is signed, and its cells stand as they were.
    """
    report = _open_report(user, analysis)
    if label not in CellLabel.values:
        raise Refusal("Choose one of the classes shown.", code="label_unknown")
    if not 0 <= cell < (analysis.cell_count or 0):
        raise Refusal("There is no such cell. Load the page again.", code="cell_unknown")
    call = CellCall.objects.create(analysis=analysis, cell=cell, label=label, by=user)
    _tell(user, "cell.called", analysis, report, cell=cell, label=label)
    return call


@transaction.atomic
def undo_call(*, user: Any, call: CellCall) -> None:
    """Take a call back: what was said of the cell before counts again.

    Raises:
        Forbidden: it is somebody else's, or `user` may not call cells here any more.
        Conflict: it is undone already, or the report is signed.
    """
    report = _open_report(user, call.analysis)
    if call.by_id != user.pk:
        raise Forbidden("Only who said it can take it back. Say otherwise instead.")
    standing = CellCall.objects.filter(pk=call.pk, undone_at=None)
    if not standing.update(undone_at=timezone.now()):
        raise Conflict("This was taken back already.", code="undone_already")
    _tell(user, "cell.call_undone", call.analysis, report, cell=call.cell, label=call.label)


def _open_report(user: Any, analysis: Analysis) -> DiagnosticReport:
    """The unsigned report of the analysis's specimen, locked against a signature meanwhile."""
    ensure_may(user, "diagnostics.add_cellcall", analysis.image.clinic_id, "name cells")
    report = locked(specimen=analysis.image.specimen_id)
    if report.status not in UNSIGNED:
        raise Conflict(
            "The report is signed; its cells stay as they were. Amend the report instead.",
            code="report_signed",
        )
    return report


def _tell(
    user: Any, action: str, analysis: Analysis, report: DiagnosticReport, **detail: Any
) -> None:
    record(
        Actor.user(user),
        action,
        analysis,
        clinic_id=report.clinic_id,
        patient_id=report.patient_id,
        **detail,
    )
    topics = [clinic_topic(report.clinic_id)]
    publish("report.looked_at", report.pk, version=report.version, topics=topics)
