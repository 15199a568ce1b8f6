"""Small charts of control slides, as figures for an SVG: one figure over time with its range."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from diagnostics.models import ControlRun, ControlState
from diagnostics.services.controls import FIGURES, PROPOSED

WIDTH, HEIGHT, EDGE = 320, 110, 10


@dataclass(frozen=True)
class Point:
    """One control: where it stands in the chart, and what a mouse over it says."""

    x: float
    y: float
    failed: bool
    words: str


@dataclass(frozen=True)
class Chart:
    """One figure over the controls of one slide, the oldest at the left."""

    name: str
    slide: str
    last: str
    points: Sequence[Point]
    line: str  # of an SVG polyline
    top: float | None  # of the range's band, None when the slide has no range for it
    height: float
    width: int = WIDTH
    full: int = HEIGHT


def charts_of(runs: Sequence[ControlRun]) -> list[Chart]:
    """For each slide among `runs` (the newest first) each figure that is watched."""
    by_slide: dict[str, list[ControlRun]] = {}
    for run in reversed(runs):
        if run.state != ControlState.PENDING:
            by_slide.setdefault(run.slide.label, []).append(run)
    charts = []
    for of in by_slide.values():
        for name in dict.fromkeys([*PROPOSED, *of[-1].slide.ranges]):
            measured = [
                (run, run.measured["figures"][name])
                for run in of
                if name in run.measured.get("figures", {})
            ]
            if len(measured) > 1:
                charts.append(_chart(name, measured))
    return charts


def _chart(name: str, measured: Sequence[tuple[ControlRun, float]]) -> Chart:
    slide = measured[-1][0].slide
    bounds: list[float] = slide.ranges.get(name, [])
    values = [value for _, value in measured] + list(bounds)
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) or 1.0

    def down(value: float) -> float:
        return float(round(EDGE + (HEIGHT - 2 * EDGE) * (high - value) / spread, 1))

    step = (WIDTH - 2 * EDGE) / (len(measured) - 1)
    points = [
        Point(
            round(EDGE + step * number, 1),
            down(value),
            run.state == ControlState.FAILED,
            f"{_day(run.at)}: {value:.3g}, {run.get_state_display().lower()}",
        )
        for number, (run, value) in enumerate(measured)
    ]
    top = down(bounds[1]) if bounds else None
    return Chart(
        name=FIGURES[name],
        slide=slide.label,
        last=f"{measured[-1][1]:.3g}",
        points=points,
        line=" ".join(f"{point.x},{point.y}" for point in points),
        top=top,
        height=round(down(bounds[0]) - down(bounds[1]), 1) if bounds else 0,
    )


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
