"""The charts and tables of the dashboard."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from devices.models import Device
from diagnostics import trends
from diagnostics.comparison import VERDICTS
from diagnostics.dashboard import Said
from diagnostics.pages import charts
from diagnostics.pages.charts import Chart
from diagnostics.turnaround import STAGES, Week

# How far back drift looks, whatever is shown.
REACH = trends.RECENT + trends.EARLIER


def mix(said: Said, days: int) -> Chart:
    """What the pictures were read as, by day. Its series are in the order of `VERDICTS`."""
    counts = said.mix()
    parts = {name: counts.get(code, {}) for code, name in VERDICTS.items()}
    shown = trends.days_until_today(days)
    return charts.stacked("mix", _("Read as, pictures a day"), shown, parts)


def confidence(said: Said, days: int) -> Chart:
    """The mean confidence by day, and whether it has moved."""
    values = said.confidence()
    drift = trends.drift_of(values)
    note = ""
    if drift and drift.is_notable:
        note = _("%(now).1f %% in the last 3 days, usually %(before).1f ± %(spread).1f %%.") % {
            "now": drift.now,
            "before": drift.before,
            "spread": drift.spread,
        }
    return charts.line(
        "confidence",
        _("Confidence, mean of the leading class"),
        trends.days_until_today(days),
        values,
        unit="%",
        digits=1,
        band=(drift.before - drift.spread, drift.before + drift.spread) if drift else None,
        note=note,
    )


def by_device(said: Said, devices: Mapping[UUID, Device]) -> list[dict[str, Any]]:
    """A row for each microscope: the last seven days beside those before."""
    rows = [
        {
            "device": devices[device],
            "now": now,
            "before": before,
            "moved": now.mean - before.mean
            if now.mean is not None and before.mean is not None
            else None,
            "abstained": [
                100 * (1 - sum(one.share(code) for code in list(VERDICTS)[:4]))
                if one.runs
                else None
                for one in (now, before)
            ],
        }
        for device, now, before in said.devices()
        if device in devices
    ]
    return sorted(rows, key=lambda row: row["device"].name)


def weeks(rows: Sequence[Week]) -> list[dict[str, Any]]:
    """The turnaround table, the newest week first: a cell for each stage but the first."""
    return [
        {
            "monday": row.monday,
            "reports": row.reports,
            "total": row.total,
            "cells": [row.medians.get(code) for code in list(STAGES)[1:]],
        }
        for row in reversed(rows)
    ]
