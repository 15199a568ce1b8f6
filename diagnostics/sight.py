"""The house in numbers for whoever operates it: counts and ages, of nobody in particular.

Read from the rows, which know better than any process; each figure rests on an index and costs the
same however large the archive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Min
from django.db.models.functions import Now
from django.utils import timezone

from devices.models import Alert, AlertKind, Device, DeviceState
from diagnostics.models import Analysis, AnalysisState, Priority
from hospital.base.models import LastRun

# Nobody needs to know by how many more than this many a pile is too high.
MOST = 10_000
LATELY = timedelta(minutes=5)


@dataclass(frozen=True)
class Figure:
    """One number: its name without the product's, what it is, and its labels."""

    name: str
    meaning: str
    value: float
    labels: dict[str, str]


def figures() -> Iterator[Figure]:
    """The queue, what was read lately, the microscopes, and what runs by itself."""
    yield from _queue()
    yield from _lately()
    yield from _microscopes()
    yield from _chores()


def queue_age() -> float:
    """Seconds that the oldest live picture has waited for a worker; 0 when none waits.

    What a worker has let lie waits as well: its lease is over, and nobody took it back.
    """
    live = Analysis.objects.filter(priority=Priority.LIVE)
    waiting = live.filter(state=AnalysisState.QUEUED).order_by("queued_at")
    let_lie = live.filter(state=AnalysisState.RUNNING, lease_until__lt=Now()).order_by("queued_at")
    oldest = [
        *waiting.values_list("queued_at", flat=True)[:1],
        *let_lie.values_list("queued_at", flat=True)[:1],
    ]
    return max(0.0, (timezone.now() - min(oldest)).total_seconds()) if oldest else 0.0


def _queue() -> Iterator[Figure]:
    meaning = f"Pictures that wait for a worker; no more than {MOST} are counted."
    for priority in Priority:
        waiting = Analysis.objects.filter(state=AnalysisState.QUEUED, priority=priority)
        count = waiting.order_by()[:MOST].count()
        yield Figure("queued", meaning, count, {"priority": priority.name.lower()})
    yield Figure("queue_age_seconds", "How long the oldest live one waits.", queue_age(), {})
    running: dict[str, Any] = Analysis.objects.filter(state=AnalysisState.RUNNING).aggregate(
        n=Count("pk"), oldest=Min("started_at")
    )
    yield Figure("running", "Pictures that workers hold.", running["n"], {})


def _lately() -> Iterator[Figure]:
    since = timezone.now() - LATELY
    done = Analysis.objects.filter(state=AnalysisState.SUCCEEDED, finished_at__gte=since)
    meaning = f"Runs finished in the last {LATELY.seconds // 60} minutes, by engine."
    for engine, count in done.order_by().values_list("engine").annotate(n=Count("pk")):
        yield Figure("analysed_lately", meaning, count, {"engine": engine or "-"})
    failed = Analysis.objects.filter(state=AnalysisState.FAILED, finished_at__gte=since)
    yield Figure("failed_lately", "Runs failed in the same time.", failed.count(), {})


def _microscopes() -> Iterator[Figure]:
    devices = Device.objects.filter(clinic__probe=False)
    states = devices.order_by().values_list("state").annotate(n=Count("pk"))
    counts = dict.fromkeys(DeviceState.values, 0) | dict(states)
    for state, count in counts.items():
        yield Figure("microscopes", "By state.", count, {"state": state})
    silent = Alert.objects.filter(kind=AlertKind.SILENT, cleared_at=None, device__in=devices)
    yield Figure("microscopes_silent", "Active, and not heard lately.", silent.count(), {})


def _chores() -> Iterator[Figure]:
    for run in LastRun.objects.all():
        labels = {"chore": run.chore}
        ended, succeeded = run.ended_at.timestamp(), run.succeeded_at
        yield Figure("chore_ended_timestamp_seconds", "When it last ended.", ended, labels)
        meaning = "When it last went well; 0: never."
        went_well = succeeded.timestamp() if succeeded else 0.0
        yield Figure("chore_last_success_timestamp_seconds", meaning, went_well, labels)
        yield Figure("chore_seconds", "How long it last took.", run.seconds, labels)
        yield Figure("chore_well", "1 when it last went well.", float(not run.trouble), labels)
