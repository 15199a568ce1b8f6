"""How a microscope has been, day by day, and whether it drifts.

The database adds up the days; here stand at most as many rows as there are days.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import Any

from django.db.models import Avg, Count, FloatField, Max, Min
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, TruncDate
from django.utils import timezone

from devices.models import Device, Heartbeat
from diagnostics.models import Analysis, AnalysisState, FieldImage

# Drift: the days now, the days before with which they are compared, and how far off is too far.
RECENT, EARLIER = 3, 27
FEWEST_DAYS = 7
MADS = 3.0
# Of the median: days that are all alike would make every next one a drift.
LEAST_SPREAD = 0.01

MEASURES = ("focus", "stain", "brightness")

Days = dict[date, float]


def days_until_today(count: int) -> list[date]:
    """The last `count` days, today included, oldest first."""
    today = timezone.localdate()
    return [today - timedelta(days=back) for back in reversed(range(count))]


def quality_by_day(device: Device, days: int) -> dict[str, Days]:
    """The mean of each of `MEASURES` over the pictures of a day, as the quality gate measured."""
    runs = Analysis.objects.filter(
        image__device=device,
        image__received_at__gte=_begin(days),
        state=AnalysisState.SUCCEEDED,
        speaks=True,
    )
    means = {
        name: Avg(Cast(KT(f"quality__metrics__{name}"), FloatField()))  # type: ignore[no-untyped-call]
        for name in MEASURES
    }
    by_day: Any = runs.order_by().annotate(day=TruncDate("image__received_at")).values("day")
    figures: dict[str, Days] = {name: {} for name in MEASURES}
    for row in by_day.annotate(**means):
        for name in MEASURES:
            if row[name] is not None:
                figures[name][row["day"]] = row[name]
    return figures


def pictures_by_day(device: Device, days: int) -> dict[date, Counter[str]]:
    """How many pictures came on each day, by the code they were rejected for; '' for the others."""
    pictures = FieldImage.objects.filter(device=device, received_at__gte=_begin(days))
    by_day = pictures.order_by().annotate(day=TruncDate("received_at"))
    figures: dict[date, Counter[str]] = defaultdict(Counter)
    for day, rejection, n in by_day.values_list("day", "rejection").annotate(n=Count("pk")):
        figures[day][rejection] = n
    return figures


def heartbeats_by_day(device: Device, days: int) -> dict[str, Days]:
    """What it said of itself on each day: the worst of the queue and the disk, else the mean."""
    figures: dict[str, Any] = {
        "queue": Max("queue_length"),
        "oldest": Max("oldest_unsent_seconds"),
        "offset": Avg("clock_offset_seconds"),
        "free": Min("free_bytes"),
        "signal": Avg("wifi_dbm"),
    }
    beats = Heartbeat.objects.filter(device=device, received_at__gte=_begin(days))
    by_day: Any = beats.order_by().annotate(day=TruncDate("received_at")).values("day")
    rows = list(by_day.annotate(**figures))
    return {
        name: {row["day"]: float(row[name]) for row in rows if row[name] is not None}
        for name in figures
    }


def _begin(days: int) -> datetime:
    """Midnight at which the first of the last `days` days began."""
    first = timezone.localdate() - timedelta(days=days - 1)
    return timezone.make_aware(datetime.combine(first, time.min))


@dataclass(frozen=True)
class Drift:
    """The last days beside those before: `now` and `before` are medians of daily means.

    `spread` is how far from `before` is still usual: three times the median of the absolute
    deviations of the earlier days from their median.
    """

    now: float
    before: float
    spread: float

    @property
    def is_notable(self) -> bool:
        """Whether the last days lie outside what was usual."""
        return abs(self.now - self.before) > self.spread


def drifts_of(device: Device) -> dict[str, Drift]:
    """What of the microscope's pictures has moved in the last days, by measure."""
    quality = quality_by_day(device, RECENT + EARLIER)
    drifts = {name: drift_of(days) for name, days in quality.items()}
    return {name: drift for name, drift in drifts.items() if drift and drift.is_notable}


def drift_of(days: Days) -> Drift | None:
    """The last three days against the 27 before; None where there is too little to compare."""
    today = timezone.localdate()
    recent = [value for day, value in days.items() if 0 <= (today - day).days < RECENT]
    earlier = [
        value for day, value in days.items() if RECENT <= (today - day).days < RECENT + EARLIER
    ]
    if not recent or len(earlier) < FEWEST_DAYS:
        return None
    before = median(earlier)
    deviation = median(abs(value - before) for value in earlier)
    spread = max(MADS * deviation, LEAST_SPREAD * abs(before))
    return Drift(now=median(recent), before=before, spread=spread)
