"""Which charts a microscope's page shows, and what they say."""

from collections import Counter
from collections.abc import Mapping
from datetime import date

from devices.models import Device
from diagnostics import trends, wording
from diagnostics.pages import charts
from diagnostics.pages.charts import Chart

# More reasons than this in one chart are told apart by nobody.
REASONS = 5


def pictures(device: Device, days: int) -> list[Chart]:
    """Focus, stain and exposure, how many pictures came, and why some were rejected."""
    shown = trends.days_until_today(days)
    # At least as far back as drift looks.
    reach = max(days, trends.RECENT + trends.EARLIER)
    quality = trends.quality_by_day(device, reach)
    counts = trends.pictures_by_day(device, days)
    return [
        *(_measure(name, shown, quality[name]) for name in trends.MEASURES),
        _throughput(shown, counts),
        _reasons(shown, counts),
    ]


def _measure(name: str, shown: list[date], values: trends.Days) -> Chart:
    title, digits = wording.measure_in_words(name)
    drift = trends.drift_of(values)
    note = wording.drift_in_words(name, drift) if drift and drift.is_notable else ""
    return charts.line(
        name,
        title,
        shown,
        values,
        digits=digits,
        band=(drift.before - drift.spread, drift.before + drift.spread) if drift else None,
        note=note,
    )


def _throughput(shown: list[date], counts: Mapping[date, Counter[str]]) -> Chart:
    rejected = {day: n.total() - n[""] for day, n in counts.items()}
    taken = {day: n[""] for day, n in counts.items()}
    parts = {"Good or waiting": taken, "Rejected": rejected}
    return charts.stacked("throughput", "Pictures a day", shown, parts)


def _reasons(shown: list[date], counts: Mapping[date, Counter[str]]) -> Chart:
    totals: Counter[str] = Counter()
    for day in shown:
        totals.update(counts.get(day, Counter()))
    del totals[""]
    frequent = [code for code, _ in totals.most_common(REASONS)]
    parts = {
        wording.rejection_in_words(code).capitalize(): {day: n[code] for day, n in counts.items()}
        for code in frequent
    }
    if len(totals) > REASONS:
        parts["Other"] = {
            day: sum(n[code] for code in n if code and code not in frequent)
            for day, n in counts.items()
        }
    return charts.stacked("reasons", "Rejected, and why", shown, parts)


def heartbeats(device: Device, days: int) -> list[Chart]:
    """What it said of its queue, its clock, its disk and its radio."""
    shown = trends.days_until_today(days)
    said = trends.heartbeats_by_day(device, days)
    minutes = {day: value / 60 for day, value in said["oldest"].items()}
    gigabytes = {day: value / 1e9 for day, value in said["free"].items()}
    return [
        charts.line("queue", "Waiting, at most", shown, said["queue"], unit="pictures"),
        charts.line("oldest", "Longest wait", shown, minutes, unit="min", digits=1),
        charts.line("offset", "Clock, ahead of ours", shown, said["offset"], unit="s", digits=1),
        charts.line("free", "Free disk, at least", shown, gigabytes, unit="GB", digits=1),
        charts.line("signal", "Radio signal", shown, said["signal"], unit="dBm"),
    ]
