"""How long a case took, stage by stage: from the microscope to whoever reads the result.

Nothing is stored for it: each moment is written where it happened, on the picture, the analysis,
the report, or in the audit trail.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from uuid import UUID

from django.db.models import Max, Min, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from diagnostics.models import Analysis, AnalysisState, DiagnosticReport, FieldImage
from diagnostics.services.reading import BY_STAFF, IN_PORTAL
from hospital.audit.models import Entry

STAGES: dict[str, str | Promise] = {
    "captured": _("Captured"),
    "uploaded": _("Uploaded"),
    "analysed": _("Analysed"),
    "opened": _("Opened"),
    "signed": _("Signed"),
    "released": _("Released"),
    "read": _("Read by the family"),
}
WEEKS = 8
# Of each week the reports signed last: medians of so many say as much as those of all.
REPORTS_A_WEEK = 200


@dataclass(frozen=True)
class Clock:
    """When each of `STAGES` was reached; None where it was not, or nobody knows.

    Captured is the first picture's moment by the microscope's clock, uploaded the arrival of the
    last one, analysed the last first reading, opened and read the first time that staff, or the
    patient's side, opened the page.
    """

    captured: datetime | None = None
    uploaded: datetime | None = None
    analysed: datetime | None = None
    opened: datetime | None = None
    signed: datetime | None = None
    released: datetime | None = None
    read: datetime | None = None

    @property
    def steps(self) -> list[dict[str, Any]]:
        """For the page: each stage's name, its moment, and the seconds since the one before.

        A stage without a moment is to come, or `unknown` where a later one was reached. The one
        before is the last that was reached; a stage that came earlier than that (a result
        released before the signature) says no span.
        """
        steps: list[dict[str, Any]] = []
        last: datetime | None = None
        for code, name in STAGES.items():
            at: datetime | None = getattr(self, code)
            took = (at - last).total_seconds() if at and last and at >= last else None
            steps.append({"code": code, "name": name, "at": at, "took": took})
            last = max(filter(None, (last, at)), default=None)
        reached = max((number for number, step in enumerate(steps) if step["at"]), default=-1)
        for number, step in enumerate(steps):
            step["unknown"] = step["at"] is None and number < reached
        return steps

    @property
    def total(self) -> float | None:
        """Seconds from the first moment that is known to the last one reached."""
        known = [step["at"] for step in self.steps if step["at"]]
        return (max(known) - min(known)).total_seconds() if len(known) > 1 else None


def clock_of(report: DiagnosticReport) -> Clock:
    """The report's clock."""
    return clocks_of([report])[report.pk]


def clocks_of(reports: Sequence[DiagnosticReport]) -> dict[UUID, Clock]:
    """The clocks of `reports` by their ids, in three queries however many they are."""
    specimens = [report.specimen_id for report in reports]
    images = FieldImage.objects.filter(specimen__in=specimens).order_by().values_list("specimen")
    sent = images.annotate(captured=Min("captured_at"), uploaded=Max("received_at"))
    pictures = {specimen: (captured, uploaded) for specimen, captured, uploaded in sent}
    analysed = _analysed(specimens)
    opened = _opened(reports)
    return {
        report.pk: Clock(
            *pictures.get(report.specimen_id, (None, None)),
            analysed=analysed.get(report.specimen_id),
            opened=opened.get((report.pk, BY_STAFF)),
            signed=report.signed_at,
            released=report.released_at,
            read=opened.get((report.pk, IN_PORTAL)),
        )
        for report in reports
    }


def _analysed(specimens: Iterable[UUID]) -> dict[UUID, datetime]:
    """When the last of each specimen's pictures was read for the first time."""
    runs = Analysis.objects.filter(
        image__specimen__in=specimens, state=AnalysisState.SUCCEEDED, speaks=True
    )
    first = runs.order_by().values_list("image__specimen", "image").annotate(at=Min("finished_at"))
    last: dict[UUID, datetime] = {}
    for specimen, _image, at in first:
        last[specimen] = max(at, last.get(specimen, at))
    return last


def _opened(reports: Sequence[DiagnosticReport]) -> dict[tuple[UUID, str], datetime]:
    entries = Entry.objects.filter(
        Q(action=BY_STAFF) | Q(action=IN_PORTAL),
        subject_type=DiagnosticReport._meta.label_lower,
        subject_id__in=[str(report.pk) for report in reports],
    )
    first = entries.order_by().values_list("subject_id", "action").annotate(at=Min("at"))
    return {(UUID(subject), action): at for subject, action, at in first}


@dataclass(frozen=True)
class Week:
    """The reports signed in a week: how many were looked at, and the median seconds by stage.

    `medians` has the seconds from the stage before, '' for a stage with no figure; `total` those
    from the first moment known to the signature.
    """

    monday: date
    reports: int
    medians: dict[str, float]
    total: float | None


def weeks_of(clinics: Sequence[UUID]) -> list[Week]:
    """The last eight weeks, the oldest first, of the clinics with these ids.

    At most `REPORTS_A_WEEK` reports of each week are looked at, those signed last.
    """
    today = timezone.localdate()
    monday = today - timedelta(days=today.weekday())
    mondays = [monday - timedelta(weeks=back) for back in reversed(range(WEEKS + 1))]
    edges = [timezone.make_aware(datetime(d.year, d.month, d.day)) for d in mondays]
    edges = [*edges[1:], edges[-1] + timedelta(weeks=1)]
    by_week = [_signed_between(clinics, *between) for between in pairwise(edges)]
    clocks = clocks_of([report for week in by_week for report in week])
    return [
        _week(day, [clocks[report.pk] for report in week])
        for day, week in zip(mondays[1:], by_week, strict=True)
    ]


def _signed_between(
    clinics: Sequence[UUID], begin: datetime, end: datetime
) -> list[DiagnosticReport]:
    """Each clinic's share by its own index: one that looks for all at once reads the archive."""
    rows = DiagnosticReport.objects.filter(
        clinic__in=clinics, signed_at__gte=begin, signed_at__lt=end
    )
    wanted = rows.only("specimen_id", "signed_at", "released_at").order_by("-signed_at")
    return list(wanted[:REPORTS_A_WEEK])


def _week(monday: date, clocks: Sequence[Clock]) -> Week:
    spans: dict[str, list[float]] = defaultdict(list)
    totals: list[float] = []
    for clock in clocks:
        for step in clock.steps:
            if step["took"] is not None:
                spans[step["code"]].append(step["took"])
        begun = clock.captured or clock.uploaded
        if begun and clock.signed:
            totals.append((clock.signed - begun).total_seconds())
    return Week(
        monday=monday,
        reports=len(clocks),
        medians={code: median(values) for code, values in spans.items()},
        total=median(totals) if totals else None,
    )
