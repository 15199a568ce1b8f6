"""Charts drawn by the server as SVG: places and paths, no colours, no script.

The colours are the style sheet's, by class; the template (`diagnostics/fleet/chart.html`) puts a
title and a summary into each drawing and its figures into a table below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import floor, inf, log10
from typing import ClassVar

from django.utils.formats import date_format

from diagnostics.trends import Days

WIDTH, HEIGHT = 400, 170
LEFT, RIGHT, TOP, BOTTOM = 50, 384, 12, 146
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in the drawing's units, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class Bar:
    """An upright bar of the series that `css` names."""

    x: float
    y: float
    width: float
    height: float
    css: str


@dataclass(frozen=True)
class Chart:
    """Everything that the template draws and writes about one figure over some days.

    `note` is set where the figure drifts.
    """

    name: str
    title: str
    unit: str
    summary: str
    columns: Sequence[str]
    rows: Sequence[tuple[date, Sequence[str]]]
    across: Sequence[Tick] = ()
    up: Sequence[Tick] = ()
    path: str = ""
    dots: Sequence[tuple[float, float]] = ()
    bars: Sequence[Bar] = ()
    band: tuple[float, float] | None = None
    legend: Sequence[tuple[str, str]] = ()
    note: str = ""
    # The drawing's own measures, for the template.
    size: ClassVar[tuple[int, int]] = (WIDTH, HEIGHT)
    left: ClassVar[int] = LEFT
    right: ClassVar[int] = RIGHT
    breadth: ClassVar[int] = RIGHT - LEFT

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.rows


class Scale:
    """From a range of values to heights in the drawing, with round marks between.

    No two marks are nearer than `finest`, and all are multiples of it: half a picture is none. The
    room above a single value ends at `ceiling`, which no value can pass.
    """

    def __init__(self, least: float, most: float, finest: float, ceiling: float = inf) -> None:
        if most - least < 1e-9 * max(abs(most), 1e-9):
            least, most = least - abs(least) * 0.1, min(ceiling, most + abs(most) * 0.1)
        self.step = _round_step((most - least) / 3, finest)
        self.least = floor(least / self.step) * self.step
        count = -floor(-(most - self.least) / self.step)
        self.most = self.least + max(count, 1) * self.step
        self.count = round((self.most - self.least) / self.step)

    def y(self, value: float) -> float:
        """The height of `value`, at most the drawing's."""
        share = (value - self.least) / (self.most - self.least)
        return round(BOTTOM - min(max(share, 0.0), 1.0) * (BOTTOM - TOP), 1)

    def ticks(self) -> list[Tick]:
        """The round values."""
        values = [self.least + number * self.step for number in range(self.count + 1)]
        return [Tick(self.y(value), _short(value, self.step)) for value in values]


def _round_step(rough: float, finest: float) -> float:
    rough = max(rough, finest)
    size: float = 10.0 ** floor(log10(rough) + 1e-9)
    steps = [step * size for step in STEPS if step * size >= rough * 0.999]
    return next(step for step in steps if abs(step / finest - round(step / finest)) < 1e-6)


def _short(value: float, step: float) -> str:
    digits = max(0, -floor(log10(step) + 1e-9))
    if abs(step * 10**digits - round(step * 10**digits)) > 1e-6:  # 2.5 needs one digit more
        digits += 1
    return f"{value:,.{digits}f}"


def _x(index: int, count: int) -> float:
    """The middle of day `index` of `count`."""
    return round(LEFT + (index + 0.5) * (RIGHT - LEFT) / count, 1)


def _days_across(days: Sequence[date]) -> list[Tick]:
    """Some of the days' names: as many as there is room for, the last always."""
    every = max(1, -(-len(days) // 5))
    chosen = range(len(days) - 1, -1, -every)
    return [Tick(_x(i, len(days)), date_format(days[i], "j M")) for i in reversed(chosen)]


def line(
    name: str,
    title: str,
    days: Sequence[date],
    values: Days,
    *,
    unit: str = "",
    digits: int = 0,
    band: tuple[float, float] | None = None,
    note: str = "",
) -> Chart:
    """A line over `days`, broken where a day has no value.

    `band` is what is usual, from least to most; `note` says that the last days are not.
    """
    known = [(index, day) for index, day in enumerate(days) if day in values]
    if not known:
        return Chart(name, title, unit, "No figures in this time.", [], [], note=note)
    figures = [values[day] for _, day in known]
    edges = [*figures, *(band or ())]
    ceiling = 100.0 if unit == "%" and max(figures) <= 100 else inf
    scale = Scale(min(edges), min(max(edges), ceiling), 10.0**-digits, ceiling)
    points = [(_x(index, len(days)), scale.y(values[day])) for index, day in known]
    steps = [
        f"{'L' if number and known[number - 1][0] == index - 1 else 'M'}{x} {y}"
        for number, ((index, _), (x, y)) in enumerate(zip(known, points, strict=True))
    ]
    last = known[-1][1]
    return Chart(
        name=name,
        title=title,
        unit=unit,
        summary=(
            f"Between {min(figures):,.{digits}f} and {max(figures):,.{digits}f}{_after(unit)}; "
            f"{values[last]:,.{digits}f} on {date_format(last, 'j F')}. {note}"
        ).strip(),
        columns=[unit or title],
        rows=[(day, [f"{values[day]:,.{digits}f}"]) for _, day in reversed(known)],
        across=_days_across(days),
        up=scale.ticks(),
        path=" ".join(steps),
        dots=points if len(days) <= 31 else points[-1:],
        band=(scale.y(band[1]), round(scale.y(band[0]) - scale.y(band[1]), 1)) if band else None,
        note=note,
    )


def _after(unit: str) -> str:
    return f" {unit}" if unit else ""


def stacked(
    name: str,
    title: str,
    days: Sequence[date],
    parts: Mapping[str, Mapping[date, int]],
    *,
    unit: str = "",
) -> Chart:
    """Bars over `days`, one on the other, in the order of `parts` (names and counts a day)."""
    totals = {day: sum(part.get(day, 0) for part in parts.values()) for day in days}
    known = [day for day in days if totals[day]]
    if not known:
        return Chart(name, title, unit, "None in this time.", [], [])
    scale = Scale(0, max(totals.values()), 1)
    width = round(0.72 * (RIGHT - LEFT) / len(days), 1)
    bars = []
    for index, day in enumerate(days):
        below = 0
        for number, part in enumerate(parts.values(), start=1):
            n = part.get(day, 0)
            y, foot = scale.y(below + n), scale.y(below)
            x = round(_x(index, len(days)) - width / 2, 1)
            if n:
                bars.append(Bar(x, y, width, round(foot - y, 1), f"series-{number}"))
            below += n
    total = sum(totals.values())
    each = ", ".join(f"{label.lower()} {sum(part.values())}" for label, part in parts.items())
    return Chart(
        name=name,
        title=title,
        unit=unit,
        summary=f"{total} in all, at most {max(totals.values())} a day: {each}.",
        columns=list(parts),
        rows=[(day, [str(part.get(day, 0)) for part in parts.values()]) for day in reversed(known)],
        across=_days_across(days),
        up=scale.ticks(),
        bars=bars,
        legend=[(f"series-{number}", label) for number, label in enumerate(parts, start=1)],
    )
