"""One picture of a run: the engines against the machine's floor, waiting times, throughput."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

Results = Mapping[str, Any]
INK, QUIET, MARK, SECOND = "#1b1e26", "#5b6172", "#6d3fa8", "#b9a3d6"
FLOOR = "#b3261e"


def draw(results: Results, files: Sequence[Path]) -> list[Path]:
    """Write the picture into each of the files, PNG or SVG; a panel for each subject that was
    measured. Returns the files; none where there is nothing to draw."""
    panels = drawable(results)
    if not panels:
        return []
    # The same figures give the same file.
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "leukolens", "text.color": INK}):
        figure, axes = plt.subplots(len(panels), 1, squeeze=False, layout="constrained")
        bars = []
        for panel, ax in zip(panels, axes[:, 0], strict=True):
            panel(results, ax)
            ax.invert_yaxis()
            ax.spines[["top", "right"]].set_visible(False)
            bars.append(4 + len(ax.get_yticks()))
        axes[0, 0].get_gridspec().set_height_ratios(bars)
        figure.set_size_inches(8, 0.2 * sum(bars))
        for file in files:
            kind = file.suffix.removeprefix(".")
            figure.savefig(file, dpi=150, metadata={"Date": None} if kind == "svg" else None)
        plt.close(figure)
    return list(files)


def drawable(results: Results) -> list["Panel"]:
    """The panels for which there are figures."""
    return [panel for wanted, panel in PANELS if any(_there(results, name) for name in wanted)]


def _engines(results: Results, ax: Axes) -> None:
    rows = [row for row in results["engines"]["rows"] if row["how"] != "prepare"]
    rows.sort(key=lambda row: row["ms"]["median"], reverse=True)
    names = [f"{row['engine']}, {row['how']}, batch {row['batch']}" for row in rows]
    medians = [row["ms"]["median"] for row in rows]
    errors = [
        [row["ms"]["median"] - row["ms"]["low"] for row in rows],
        [row["ms"]["high"] - row["ms"]["median"] for row in rows],
    ]
    colours = [SECOND if row["how"] == "bare" else MARK for row in rows]
    ax.barh(names, medians, xerr=errors, color=colours, ecolor=QUIET)
    for name, value in zip(names, medians, strict=True):
        ax.annotate(f" {value:.1f}", (value, name), va="center", fontsize=8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("{x:g}")
    ax.tick_params(axis="x", which="both", labelsize=8)
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel("milliseconds a picture (log scale)")
    ax.set_title("The network, by engine; dashed: the machine's own limit")
    for precision, one in results.get("limits", {}).get("floors", {}).items():
        ax.axvline(one["floor_ms"], color=FLOOR, ls="--", lw=0.8)
        ax.text(
            one["floor_ms"], 0.01, precision, color=FLOOR, fontsize=8, ha="right", va="bottom",
            rotation=90, transform=ax.get_xaxis_transform(),
        )  # fmt: skip


def _latencies(results: Results, ax: Axes) -> None:
    bars: dict[str, tuple[float, float]] = {}
    for name in _pipelines(results):
        held, kind = results[name], name.split()[1]
        rate = held["load"]["offered_per_second"]
        bars[f"{kind}, idle"] = held["idle"]["p50_ms"], held["idle"]["p95_ms"]
        bars[f"{kind}, {rate:.0f} a second"] = held["load"]["p50_ms"], held["load"]["p95_ms"]
    ax.barh(list(bars), [p95 for _, p95 in bars.values()], color=SECOND, label="p95")
    ax.barh(list(bars), [p50 for p50, _ in bars.values()], color=MARK, label="p50")
    ax.set_xlabel("milliseconds")
    ax.set_title("From the accepted upload to the event on the socket")
    ax.legend(loc="upper right")


def _throughput(results: Results, ax: Axes) -> None:
    bars: dict[str, float] = {}
    for name in _pipelines(results):
        held, kind = results[name], name.split()[1]
        alone = max(one["median"] for one in held["engine_alone"].values())
        bars[f"engine alone ({kind} run)"] = alone
        bars[f"pipeline, {kind}"] = held["sustained"]["median"]
    intake = results.get("intake", {})
    for database, runs in intake.items():
        for run in runs if isinstance(runs, list) else []:
            bulk = f", {run['bulk']} at once" if run["bulk"] > 1 else ""
            bars[f"uploads, {database}, {run['clients']} clients{bulk}"] = run["per_second"]
    ax.barh(list(bars), list(bars.values()), color=MARK)
    for name, value in bars.items():
        ax.annotate(f" {value:.0f}", (value, name), va="center", fontsize=8)
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel("a second")
    ax.set_title("Pictures analysed, and pictures made safe, a second")


def _pipelines(results: Results) -> list[str]:
    return [n for n in ("pipeline embedded", "pipeline hospital") if _there(results, n)]


def _there(results: Results, name: str) -> bool:
    return name in results and "failed" not in results[name]


Panel = Callable[[Results, Axes], None]
PANELS: list[tuple[tuple[str, ...], Panel]] = [
    (("engines",), _engines),
    (("pipeline embedded", "pipeline hospital"), _latencies),
    (("pipeline embedded", "pipeline hospital", "intake"), _throughput),
]
