"""Adding up what the model said, a day at a time, when the day is over."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, CharField, Count, F, FloatField, Max, Sum, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, TruncDate
from django.utils import timezone

from diagnostics.models import Analysis, AnalysisState, DayTally, Outcome, Priority
from ml.classes import Class

DAYS = 90
# A result that was stored on the stroke of midnight may be committed a little later.
SETTLED = timedelta(hours=1)

# The class where there is one, else what the run came to.
VERDICT = Case(
    When(outcome=Outcome.CLASSIFIED, then=F("label")),
    default=F("outcome"),
    output_field=CharField(),
)
_CONFIDENCE = Case(
    *(
        When(
            outcome=Outcome.CLASSIFIED,
            label=name.value,
            then=Cast(KT(f"probabilities__{name.value}"), FloatField()),  # type: ignore[no-untyped-call]
        )
        for name in Class
    ),
    default=Value(None),
    output_field=FloatField(),
)


def tally() -> int:
    """Write the tallies of the days that are over and have none. Returns how many rows.

    Of two at the same time, the second writes nothing.
    """
    begin, end = first_open_day(), timezone.localdate(timezone.now() - SETTLED)
    if begin >= end:
        return 0
    rows = [DayTally(**row) for row in counted(begin, end)]
    DayTally.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    return len(rows)


def first_open_day() -> date:
    """The first day of the last `DAYS` that is not added up yet."""
    oldest = timezone.localdate() - timedelta(days=DAYS - 1)
    last = DayTally.objects.aggregate(last=Max("day"))["last"]
    return max(oldest, last + timedelta(days=1)) if last else oldest


def counted(
    begin: date, end: date | None = None, *, clinics: Sequence[UUID] | None = None
) -> list[dict[str, Any]]:
    """The columns of `DayTally`, counted now from the runs that finished from `begin` on.

    Args:
        end: exclusive; None is until now.
        clinics: only pictures of these; None is all.

    New pictures only: those of control slides and of an archive that is read again would say
    nothing about today's patients.
    """
    runs = Analysis.objects.filter(
        finished_at__gte=_midnight(begin),
        state=AnalysisState.SUCCEEDED,
        priority__in=[Priority.LIVE, Priority.SHADOW],
        image__specimen__isnull=False,
    )
    if end:
        runs = runs.filter(finished_at__lt=_midnight(end))
    if clinics is not None:
        runs = runs.filter(image__specimen__clinic__in=clinics)
    by: dict[str, Any] = {
        "day": TruncDate("finished_at"),
        "clinic_id": F("image__specimen__clinic"),
        "device_id": F("image__device"),
        "verdict": VERDICT,
    }
    groups: Any = runs.order_by().values("package_name", "package_digest", **by)
    return list(groups.annotate(runs=Count("pk"), confidence=Sum(_CONFIDENCE)))


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
