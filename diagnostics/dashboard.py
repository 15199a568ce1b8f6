"""The house in numbers, for administrators: today, the queue, the workers, what the model says.

Every figure is of the clinics that were asked for, in a number of queries that does not grow. What
the model said comes from `DayTally`; only days not added up yet are counted from the runs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from devices.models import AlertKind
from devices.selectors import alerts_visible_to
from diagnostics.models import (
    Analysis,
    AnalysisState,
    DayTally,
    DiagnosticReport,
    FieldImage,
    ImageState,
    Priority,
    ReportStatus,
    Stage,
)
from diagnostics.services import tallies
from hospital.accounts.models import Clinic
from hospital.accounts.selectors import clinics_where

PERMISSION = "diagnostics.view_dashboard"
# Nobody needs to know by how many more than this many a pile is too high.
MOST = 10_000
FAILURE_DAYS = 30
LATEST_FAILURES = 10
# Of a microscope's readings: the days now, beside all before.
RECENT_DAYS = 7


def clinics_of(user: Any) -> list[Clinic]:
    """The clinics whose numbers `user` may see."""
    return list(clinics_where(user, PERMISSION))


@dataclass(frozen=True)
class Today:
    """Pictures and reports since midnight; held and waiting are how it stands now.

    `waiting` stops counting at `MOST`.
    """

    received: int
    analysed: int
    rejected: int
    held: int
    signed: int
    waiting: int


@dataclass(frozen=True)
class Queue:
    """What waits for a worker, and since when the oldest does."""

    live: int
    oldest: datetime | None
    behind: int


@dataclass(frozen=True)
class Worker:
    """A worker that has finished something in the last hour, or holds something now."""

    name: str
    engine: str
    package: str
    finished: int
    last: datetime | None
    holds: int


def today_in(clinics: Sequence[UUID]) -> Today:
    """Today's numbers of the clinics with these ids."""
    midnight = timezone.make_aware(datetime.combine(timezone.localdate(), time.min))
    images = FieldImage.objects.filter(specimen__clinic__in=clinics)
    came = images.filter(received_at__gte=midnight).aggregate(
        received=Count("pk"), rejected=Count("pk", filter=Q(state=ImageState.REJECTED))
    )
    reports = DiagnosticReport.objects.filter(clinic__in=clinics).order_by()
    ready = reports.filter(
        stage=Stage.REVIEW, status__in=[ReportStatus.PARTIAL, ReportStatus.PRELIMINARY]
    )
    live = Analysis.objects.filter(
        finished_at__gte=midnight,
        state=AnalysisState.SUCCEEDED,
        priority=Priority.LIVE,
        image__specimen__clinic__in=clinics,
    )
    return Today(
        **came,
        analysed=live.count(),
        held=images.filter(held=True).count(),
        signed=reports.filter(signed_at__gte=midnight).count(),
        waiting=ready[:MOST].count(),
    )


def queue_in(clinics: Sequence[UUID]) -> Queue:
    """What of the clinics waits to be analysed."""
    queued = Analysis.objects.filter(
        state=AnalysisState.QUEUED, image__specimen__clinic__in=clinics
    ).order_by()
    live = queued.filter(priority=Priority.LIVE)
    counted = live.aggregate(n=Count("pk"), oldest=Min("queued_at"))
    behind = queued.filter(priority__gt=Priority.LIVE)[:MOST].count()
    return Queue(live=counted["n"], oldest=counted["oldest"], behind=behind)


def workers_in(clinics: Sequence[UUID]) -> list[Worker]:
    """Who has read the clinics' pictures in the last hour, and who holds some now; by name."""
    ours = Analysis.objects.filter(image__specimen__clinic__in=clinics).order_by()
    lately = ours.filter(
        state=AnalysisState.SUCCEEDED, finished_at__gte=timezone.now() - timedelta(hours=1)
    )
    done = lately.values("worker", "engine", "package_name").annotate(
        finished=Count("pk"), last=Max("finished_at")
    )
    running = ours.filter(state=AnalysisState.RUNNING).values_list("worker")
    holds = dict(running.annotate(n=Count("pk")))
    workers = [
        Worker(
            name=row["worker"],
            engine=row["engine"],
            package=row["package_name"],
            finished=row["finished"],
            last=row["last"],
            holds=holds.pop(row["worker"], 0),
        )
        for row in done
    ]
    workers += [Worker(name, "", "", 0, None, n) for name, n in holds.items()]
    return sorted(workers, key=lambda worker: worker.name)


def silent_devices(user: Any, clinics: Sequence[UUID]) -> list[Any]:
    """The open alerts of microscopes of these clinics that are not heard of, the longest first."""
    silent = alerts_visible_to(user).filter(
        kind=AlertKind.SILENT, cleared_at=None, device__clinic__in=clinics
    )
    return list(silent.select_related("device__clinic").order_by("raised_at"))


def failures_in(clinics: Sequence[UUID]) -> tuple[list[tuple[str, int]], list[Analysis]]:
    """Of the last 30 days and not tried again: how many failed for what, and the latest of them."""
    failed = Analysis.objects.filter(
        state=AnalysisState.FAILED,
        finished_at__gte=timezone.now() - timedelta(days=FAILURE_DAYS),
        image__specimen__clinic__in=clinics,
    )
    reasons = failed.order_by().values_list("failure").annotate(n=Count("pk"))
    latest = failed.select_related("image__specimen__report", "image__device")
    by_frequency = sorted(reasons, key=lambda reason: (-reason[1], reason[0]))
    return by_frequency, list(latest.order_by("-finished_at")[:LATEST_FAILURES])


# --- what the model says ----------------------------------------------------------------------


@dataclass(frozen=True)
class Tally:
    """So many readings of one verdict, by one package, of one microscope's pictures, on one day."""

    day: date
    device: UUID
    package: str
    verdict: str
    runs: int
    confidence: float | None


@dataclass
class Said:
    """What the model said in the days asked for."""

    tallies: Sequence[Tally]
    names: dict[str, str]  # of packages, by digest

    @property
    def packages(self) -> list[str]:
        """The digests of those that read anything, the busiest first."""
        runs: Counter[str] = Counter()
        for tally in self.tallies:
            runs[tally.package] += tally.runs
        return [digest for digest, _ in runs.most_common()]

    def of(self, *, package: str = "", device: UUID | None = None) -> "Said":
        """What one package said, or what was said of one microscope's pictures."""
        kept = [
            tally
            for tally in self.tallies
            if package in {"", tally.package} and device in {None, tally.device}
        ]
        return Said(kept, self.names)

    def mix(self) -> dict[str, dict[date, int]]:
        """Counts by verdict and day."""
        counts: dict[str, Counter[date]] = defaultdict(Counter)
        for tally in self.tallies:
            counts[tally.verdict][tally.day] += tally.runs
        return {verdict: dict(days) for verdict, days in counts.items()}

    def confidence(self) -> dict[date, float]:
        """The mean probability of the leading class by day, in per cent, of what has a class."""
        by_day: dict[date, list[Tally]] = defaultdict(list)
        for tally in self.tallies:
            by_day[tally.day].append(tally)
        means = {day: mean_confidence(tallies) for day, tallies in by_day.items()}
        return {day: mean for day, mean in means.items() if mean is not None}

    def devices(self) -> list[tuple[UUID, "Said", "Said"]]:
        """For each microscope: what was said in the last seven days, and before."""
        border = timezone.localdate() - timedelta(days=RECENT_DAYS - 1)
        rows: dict[UUID, tuple[list[Tally], list[Tally]]] = defaultdict(lambda: ([], []))
        for tally in self.tallies:
            rows[tally.device][tally.day < border].append(tally)
        return [
            (device, Said(now, self.names), Said(before, self.names))
            for device, (now, before) in rows.items()
        ]

    @property
    def runs(self) -> int:
        """How many readings."""
        return sum(tally.runs for tally in self.tallies)

    @property
    def mean(self) -> float | None:
        """The mean confidence over all of it, in per cent."""
        return mean_confidence(self.tallies)

    def share(self, verdict: str) -> float:
        """The share of `verdict` among all readings, 0 to 1; 0 without any."""
        return sum(t.runs for t in self.tallies if t.verdict == verdict) / (self.runs or 1)


def mean_confidence(rows: Iterable[Tally]) -> float | None:
    """In per cent, over the readings that came to a class; None without any."""
    classified = [row for row in rows if row.confidence is not None]
    runs = sum(row.runs for row in classified)
    return 100 * sum(row.confidence or 0 for row in classified) / runs if runs else None


def said_in(clinics: Sequence[UUID], *, days: int) -> Said:
    """What the model said of new pictures in the last `days` days, today included."""
    first = timezone.localdate() - timedelta(days=days - 1)
    open_since = max(first, tallies.first_open_day())
    columns = ("day", "device_id", "package_digest", "verdict", "runs", "confidence")
    kept = DayTally.objects.filter(clinic__in=clinics, day__gte=first, day__lt=open_since)
    rows: list[dict[str, Any]] = [
        *kept.order_by().values("package_name", *columns),
        *tallies.counted(open_since, clinics=clinics),
    ]
    return Said(
        tallies=[Tally(*(row[column] for column in columns)) for row in rows],
        names={row["package_digest"]: row["package_name"] for row in rows},
    )
