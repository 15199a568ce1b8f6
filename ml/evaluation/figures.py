"""The paper's Figures 6 to 11 and a few it lacks, in one visual language (matplotlib).

Each function returns a figure of one narrow panel, readable on a telephone; `save` writes it as
PNG and SVG. A class keeps its colour, line and mark everywhere: colours of Okabe and Ito, which
the colour-blind tell apart, and never colour alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from ml.classes import CLASSES
from ml.evaluation import curves
from ml.evaluation.metrics import BENIGN, Answers, by_group, confusion

NAMES = ("Benign", "Early Pre-B", "Pre-B", "Pro-B")
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
MARKS = ("o", "s", "^", "D")
LINES = ("-", "--", "-.", (0, (1, 1)))

# Told apart from all other colours, so that a page can put its own in their place.
INK, SOFT, FAINT, PAPER = "#1a1c20", "#5d6470", "#d4d8df", "#fefefe"
CELL = "#0073b3"  # the first colour, but kept on dark pages too: white words stand on it
WIDTH = 4.4  # inches: at 350 pixels the letters are still 9 pixels high

STYLE: dict[Any, Any] = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",  # words stay words: they can be searched and read aloud
    "svg.hashsalt": "leukolens",  # the same figure gives the same bytes
}


@mpl.rc_context(STYLE)
def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write `name`.png (200 dpi) and `name`.svg into `folder`; returns the SVG's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    figure.savefig(path.with_suffix(".png"), dpi=200, metadata={"Software": None})
    return path


@mpl.rc_context(STYLE)
def learning(history: Sequence[Mapping[str, float]]) -> Figure:
    """Accuracy and loss over the epochs, training and validation (paper: Figures 6 to 8)."""
    held = curves.learning(history)
    figure, panels = _panel(height=1.0 + 1.7 * len(held), rows=len(held))
    for axes, (what, parts) in zip(panels, held.items(), strict=True):
        for part, values in parts.items():
            colour, line = (SOFT, "--") if part == "training" else (COLOURS[0], "-")
            axes.plot(np.arange(1, len(values) + 1), values, line, color=colour, label=part)
        axes.set_ylabel(what)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if what == "accuracy":
            axes.yaxis.set_major_formatter(_percent())
        axes.legend()
    panels[-1].set_xlabel("epoch")
    return figure


@mpl.rc_context(STYLE)
def confusion_matrix(answers: Answers) -> Figure:
    """Counts, coloured by the share of each row: the truth in rows (paper: Figure 9)."""
    table = confusion(answers)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure, (axes,) = _panel(height=3.7)
    for row, column in np.ndindex(table.shape):
        share, count = shares[row, column], table[row, column]
        # Shaded by transparency, so that the page's own ground shows through.
        cell = Rectangle((column - 0.5, row - 0.5), 1, 1, color=CELL, alpha=share, lw=0)
        axes.add_patch(cell)
        words = f"{count}\n{100 * share:.1f} %" if count else "0"
        colour = "#ffffff" if share > 0.5 else INK if count else SOFT
        axes.text(column, row, words, ha="center", va="center", color=colour)
    axes.set(xlim=(-0.5, len(NAMES) - 0.5), ylim=(len(NAMES) - 0.5, -0.5))
    axes.set(xlabel="answer of the model", ylabel="truth")
    axes.set_xticks(range(len(NAMES)), NAMES)
    axes.set_yticks(range(len(NAMES)), NAMES, rotation=90, va="center")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure


@mpl.rc_context(STYLE)
def roc(answers: Answers) -> Figure:
    """Each class against the rest, and malignant against benign."""
    figure, (axes,) = _panel(height=3.7)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    inset = _corner(axes, (0.4, 0.52, 0.58, 0.4), left=0.0)
    for label, scores, positive, look in _questions(answers):
        false, true = curves.roc(scores, positive)
        area = float(curves.Ranking.of(scores, positive).counts().area()[0])
        if np.isfinite(area):
            axes.step(false, true, where="post", label=f"{label} {_area(area)}", **look)
            inset.step(false, true, where="post", **look)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.02, 1), ylim=(0, 1.02))
    axes.legend(title="area under the curve", loc="lower right", alignment="left")
    return figure


@mpl.rc_context(STYLE)
def precision_recall(answers: Answers) -> Figure:
    """Precision against recall of each class, and of malignant against benign."""
    figure, (axes,) = _panel(height=3.7)
    inset = _corner(axes, (0.1, 0.52, 0.58, 0.4), left=0.8)
    for label, scores, positive, look in _questions(answers):
        recall, precision = curves.precision_recall(scores, positive)
        mean = float(curves.Ranking.of(scores, positive).counts().average_precision()[0])
        if np.isfinite(mean):
            recall, precision = np.append(0, recall), np.append(precision[0], precision)
            axes.step(recall, precision, where="pre", label=f"{label} {_area(mean)}", **look)
            inset.step(recall, precision, where="pre", **look)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(title="average precision", loc="lower left", alignment="left")
    return figure


@mpl.rc_context(STYLE)
def calibration(answers: Answers) -> Figure:
    """How often an answer given with some confidence is right; below, how often it is given."""
    bins = curves.reliability(answers.probabilities, answers.targets)
    figure, (axes, below) = _panel(height=4.2, rows=2, heights=(3, 1))
    middles, width = (bins.edges[:-1] + bins.edges[1:]) / 2, np.diff(bins.edges)
    filled = bins.pictures > 0
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    axes.annotate("as sure as right", (0.1, 0.12), color=SOFT, rotation=33, fontsize=8)
    axes.plot(bins.confidence[filled], bins.accuracy[filled], "-", color=COLOURS[0], linewidth=1)
    axes.scatter(
        bins.confidence[filled],
        bins.accuracy[filled],
        s=14 + 120 * np.sqrt(bins.pictures[filled] / bins.pictures.sum()),
        color=COLOURS[0],
        edgecolor=PAPER,
        zorder=3,
    )
    axes.set(ylabel="share right", xlim=(0, 1.03), ylim=(0, 1.05), xticklabels=[])
    below.bar(middles, bins.pictures, width * 0.9, color=COLOURS[0], alpha=0.55)
    below.set(xlabel="confidence", ylabel="pictures", xlim=(0, 1.03), yscale="symlog")
    below.set_yticks([tick for tick in (1, 10, 100, 1000) if tick <= bins.pictures.max()])
    below.yaxis.set_major_formatter("{x:.0f}")
    below.minorticks_off()
    return figure


@mpl.rc_context(STYLE)
def by_slide(answers: Answers) -> Figure:
    """A strip for each class: a dot a slide, as large as the slide has pictures."""
    figure, (axes,) = _panel(height=4.2)
    groups = by_group(answers)
    for position, label in enumerate(CLASSES):
        rows = sorted(
            (row["accuracy"], -row["pictures"], name)
            for name, row in groups.items()
            if row["class"] == label.value
        )
        right = np.array([row[0] for row in rows])
        sizes = np.array([-row[1] for row in rows])
        # Apart enough to be counted where many slides are equally good.
        height = position + 0.36 * np.linspace(-1, 1, len(rows)) if len(rows) > 1 else [position]
        axes.scatter(
            right,
            height if rows else [],
            s=8 + 0.7 * sizes,
            marker=MARKS[position],
            color=COLOURS[position],
            alpha=0.7,
            edgecolor=PAPER,
            linewidth=0.6,
        )
        for (share, _, name), y in zip(rows[:2], height, strict=False):
            if share < 0.9:
                axes.annotate(
                    name, (share, y), (9, 0), textcoords="offset points", va="center", fontsize=8
                )
    axes.set(xlabel="share of the slide's pictures read rightly", xlim=(-0.04, 1.06))
    axes.set_yticks(range(len(NAMES)), NAMES)
    axes.set_ylim(len(NAMES) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(_percent())
    return figure


@mpl.rc_context(STYLE)
def coverage(answers: Answers) -> Figure:
    """Accuracy among the pictures answered, when the least sure ones are left to people."""
    answered, accuracy = curves.coverage(answers.probabilities, answers.targets)
    figure, (axes,) = _panel(height=2.9)
    steady = answered >= min(0.05, answered[-1])  # of a handful of pictures no share is worth much
    axes.plot(answered[steady], accuracy[steady], color=COLOURS[0])
    axes.set(xlabel="share of pictures answered", ylabel="of these right", xlim=(0, 1.02))
    span = max(1 - float(accuracy[steady].min()), 0.01)
    axes.set_ylim(1 - 1.15 * span, 1 + 0.05 * span)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_percent())
    return figure


@mpl.rc_context(STYLE)
def comparison(rows: Sequence[tuple[str, float | None, float | None]], *, what: str) -> Figure:
    """Bars of ours beside the paper's (paper: Figures 10 and 11): (name, ours, theirs), 0..1."""
    figure, (axes,) = _panel(height=1.3 + 0.55 * len(rows))
    looks = ((1, "ours", COLOURS[0], ""), (2, "published", FAINT, "////"))
    for offset, (column, label, colour, hatch) in zip((-0.19, 0.19), looks, strict=True):
        places = [(y + offset, row[column]) for y, row in enumerate(rows)]
        there = [(y, float(share)) for y, share in places if isinstance(share, float)]
        axes.barh(
            [y for y, _ in there],
            [share for _, share in there],
            0.36,
            label=label,
            color=colour,
            hatch=hatch,
            edgecolor=SOFT,
            linewidth=0.5,
        )
        for y, share in there:
            axes.annotate(
                f"{100 * share:.2f}",
                (share, y),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
    shares = [share for row in rows for share in row[1:] if share is not None]
    # Bars are read by their length: they start at nothing unless all stand close to the top.
    start = 0.9 if min(shares, default=0) > 0.93 else 0.0
    axes.set(xlabel=f"{what}, %" + (f", from {100 * start:.0f}" if start else ""))
    axes.set_xlim(start, 1 + (1 - start) * 0.16)
    axes.set_xticks(np.linspace(start, 1, 6))
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f}")
    axes.set_yticks(range(len(rows)), [fill(row[0], 20) for row in rows])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def _panel(
    *, height: float, rows: int = 1, heights: Sequence[float] | None = None
) -> tuple[Figure, Sequence[Axes]]:
    """A figure of one column, without pyplot: nothing is kept open behind the reader's back."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(rows, 1, squeeze=False, height_ratios=heights or [1] * rows)
    return figure, list(panels[:, 0])


def _questions(
    answers: Answers,
) -> list[tuple[str, NDArray[Any], NDArray[np.bool_], dict[str, Any]]]:
    """Name, scores (N,), truth (N,) and look of each curve: four classes, then any malignant."""
    chances, targets = answers.probabilities, answers.targets
    asked = [
        (name, chances[:, k], targets == k, {"color": COLOURS[k], "linestyle": LINES[k]})
        for k, name in enumerate(NAMES)
    ]
    look = {"color": INK, "linewidth": 1.1}
    return [*asked, ("any malignant", 1 - chances[:, BENIGN], targets != BENIGN, look)]


def _area(share: float) -> str:
    """Never rounded up to perfection."""
    return "1.000" if share == 1 else f"{min(share, 0.9994):.3f}"


def _percent() -> FuncFormatter:
    return FuncFormatter(lambda share, _: f"{100 * share:g} %")


def _corner(axes: Axes, box: tuple[float, float, float, float], left: float) -> Axes:
    """A magnified corner of the unit square in `box` (shares of the panel), 0.2 wide and high:
    where all curves of a good model lie."""
    inset = axes.inset_axes(box, xlim=(left, left + 0.2), ylim=(0.8, 1.004))
    inset.set_xticks([left, left + 0.1, left + 0.2])
    inset.set_yticks([0.8, 0.9, 1.0])
    inset.tick_params(labelsize=7.5, length=2)
    axes.indicate_inset_zoom(inset, edgecolor=SOFT)
    return inset
