"""Reference cells: one field's of each case signed lately, measured for comparison.

The housekeeping worker collects them a little at a time, so that no reader waits. Few are kept:
`KEEP` reports of each conclusion and clinic, the newest.
"""

import logging
from datetime import timedelta
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from diagnostics.models import Analysis, Conclusion, DiagnosticReport, Outcome, ReferenceField
from diagnostics.models.report import SIGNED
from diagnostics.services import drawing
from hospital.accounts.models import Clinic

log = logging.getLogger(__name__)

KEEP = 200
A_RUN = 10  # reports of a clinic measured at a time
FIRST = timedelta(days=30)  # how far back the first run looks
COMPARED = [conclusion for conclusion in Conclusion if conclusion != Conclusion.UNDETERMINED]


def collect() -> int:
    """Measure cells of reports signed since the last time; returns of how many reports."""
    return sum(_collect(clinic) for clinic in Clinic.objects.values_list("pk", flat=True))


def _collect(clinic: UUID) -> int:
    newest = ReferenceField.objects.filter(clinic=clinic).order_by("-signed_at").first()
    since = newest.signed_at if newest else timezone.now() - FIRST
    signed = DiagnosticReport.objects.filter(
        clinic=clinic, signed_at__gte=since, status__in=SIGNED, conclusion__in=COMPARED
    )
    reports = list(signed.filter(reference=None).order_by("signed_at")[:A_RUN])
    rows = [_of(report) for report in reports]
    # Of two workers at it the second writes nothing.
    ReferenceField.objects.bulk_create(rows, ignore_conflicts=True)
    if rows:
        _forget_old(clinic)
    return len(rows)


def _of(report: DiagnosticReport) -> ReferenceField:
    """With empty measures where there is nothing to measure, so that nobody tries again."""
    analysis, measures = _field_of(report), b""
    if analysis is not None:
        try:
            measures = drawing.measures(analysis).astype("<f2").tobytes()
        except FileNotFoundError:
            log.warning("no cells to measure in %s", analysis.pk)
    return ReferenceField(
        report=report,
        clinic_id=report.clinic_id,
        signed_at=report.signed_at or timezone.now(),
        analysis=analysis,
        measures=measures,
    )


def _field_of(report: DiagnosticReport) -> Analysis | None:
    """A field that the model reads as the reader concluded, with the most cells; else any."""
    read = Analysis.objects.filter(
        image__specimen=report.specimen_id,
        image__held=False,
        image__rejection="",
        image__synthetic=False,
        speaks=True,
        outcome=Outcome.CLASSIFIED,
    )
    order = F("cell_count").desc(nulls_last=True)
    agreeing = read.filter(label=report.conclusion).order_by(order).first()
    return agreeing or read.order_by(order).first()


def _forget_old(clinic: UUID) -> None:
    for conclusion in COMPARED:
        kept = ReferenceField.objects.filter(clinic=clinic, report__conclusion=conclusion)
        old = kept.order_by("-signed_at").values_list("pk", flat=True)[KEEP:]
        ReferenceField.objects.filter(pk__in=list(old)).delete()
