"""The report's words and tables as HTML. No figure in it is typed by hand."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ml.classes import CLASSES
from ml.evaluation import intervals
from ml.evaluation.figures import COLOURS, FAINT, INK, NAMES, PAPER, SOFT
from ml.evaluation.metrics import SPECIFICITY
from ml.evaluation.sections import Section, Study

Measured = Mapping[str, Any]

HEADLINES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "malignant_sensitivity": "Malignant found (sensitivity)",
    "malignant_specificity": "Benign left in peace (specificity)",
    "malignant_sensitivity_at_specificity": f"Sensitivity at {SPECIFICITY:.0%} specificity",
    "calibration_error": "Calibration error",
}
REST = {
    "slide_accuracy": "Accuracy, every slide counting alike",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall (sensitivity)",
    "macro_specificity": "Macro specificity",
    "malignant_auroc": "Malignant against benign: area under ROC",
    "macro_auroc": "Macro area under ROC",
    "macro_average_precision": "Macro average precision",
    "brier": "Brier score (0 to 2, lower is better)",
    "log_loss": "Log loss (lower is better)",
}
NOT_SHARES = {
    *("calibration_error", "brier", "log_loss", "auroc", "average_precision"),
    *("malignant_auroc", "macro_auroc", "macro_average_precision"),
}
COLUMNS = {
    "precision": "Precision",
    "recall": "Recall (sensitivity)",
    "specificity": "Specificity",
    "f1": "F1",
    "auroc": "AUROC",
    "average_precision": "Average precision",
}
PUBLISHED = {
    "accuracy": "accuracy",
    "precision": "macro_precision",
    "recall": "macro_recall",
    "specificity": "macro_specificity",
    "f1": "macro_f1",
}
SPREADS = ("Slides like the seen ones", "95 % interval", "A new batch would fall")
FOLD_COLUMNS = ("Accuracy", "Macro F1", "Malignant found", "Benign left in peace")
CAUTIONS = (
    "This is no diagnosis and no medical device. All pictures come from one hospital; how the "
    "model does elsewhere is not known.",
    "Slides and sittings were inferred from the pictures, not recorded. Some leakage between "
    "neighbouring slides of one patient cannot be excluded, even where slides are kept apart.",
    "Pictures of one slide are alike: what counts is the number of slides, and it is small. Read "
    "the intervals before the figures.",
)
INDEX = Path(__file__).with_name("report.html")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure on the page: where its SVG is and what stands below it."""

    path: Path
    caption: str


def whole(
    study: Study,
    measured: Mapping[str, Measured],
    beside: Sequence[Drawing],
    chapters: Sequence[str],
) -> str:
    """The page."""
    honest = [figured for figured in measured.values() if figured["new_batch"]]
    first = next(iter(honest or measured.values()))
    return Template(INDEX.read_text(encoding="utf-8")).substitute(
        title=escape(study.title),
        about=f"<p>{escape(study.about)}</p>" if study.about else "",
        cautions=_cautions(study),
        headline=_headline(study, measured),
        beside=_beside(study, measured, beside),
        contents="".join(
            f'<li><a href="#{one.name}">{escape(one.title)}</a></li>' for one in study.sections
        ),
        chapters="".join(chapters),
        seen_only=escape(first["seen_only"]["method"]),
        interval=escape(first["interval"]),
        new_batch=escape(first["new_batch"]["method"] if honest else "not to be said here"),
        operating_point=escape(first["operating_point"]["how"]),
        method=_paragraphs(intervals.__doc__ or ""),
    )


def chapter(section: Section, figured: Measured, drawings: Sequence[Drawing]) -> str:
    """One protocol: what it means, its tables, its figures."""
    leak = f'<p class="warn"><b>Leaks.</b> {escape(section.leaks)}</p>' if section.leaks else ""
    size = f"{figured['pictures']:,} pictures of {figured['groups']} slides"
    return f"""
<section id="{section.name}">
<h2>{escape(section.title)} {_badge(section)}</h2>
<p>{escape(section.explanation)} <span class="soft">{size}.</span></p>
{leak}
<h3>All figures</h3>
{_all_figures(figured)}
<h3>Class by class</h3>
{_classes(figured)}
{_gate(figured["gate"])}
<div class="figures">{"".join(map(_figure, drawings))}</div>
{_folds(section, figured)}
{_slides(figured)}
</section>"""


def _cautions(study: Study) -> str:
    leaks = [
        f"<b>{escape(one.title)}</b>: {escape(one.leaks)}" for one in study.sections if one.leaks
    ]
    return "".join(f"<li>{words}</li>" for words in [*leaks, *map(escape, CAUTIONS)])


def _headline(study: Study, measured: Mapping[str, Measured]) -> str:
    rows = []
    for one in study.sections:
        figured = measured[one.name]
        name = f'<a href="#{one.name}">{escape(one.title)}</a> {_badge(one)}'
        cells = [_cell(label, _full(figured, key)) for key, label in HEADLINES.items()]
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return _table(["Judged", *HEADLINES.values()], rows)


def _beside(study: Study, measured: Mapping[str, Measured], drawings: Sequence[Drawing]) -> str:
    rows = []
    for one in study.sections:
        if not one.paper:
            continue
        figured, cells = measured[one.name], []
        for key, ours in PUBLISHED.items():
            theirs = one.paper.get(key)
            pair = f"{_share(_row(figured, ours)['value'])} <small>{_beside_one(theirs)}</small>"
            cells.append(_cell(key.capitalize() if key != "f1" else "F1", pair))
        name = f"{escape(one.title)}<small>{escape(one.paper_source)}</small>"
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    if not rows and not drawings:
        return ""
    heads = ["Ours, and below it the published", *(k.capitalize() for k in PUBLISHED)]
    table = _table(heads, rows) if rows else ""
    figures = f'<div class="figures">{"".join(map(_figure, drawings))}</div>'
    return f'<section id="beside"><h2>Beside the paper</h2>{table}{figures}</section>'


def _all_figures(figured: Measured) -> str:
    rows, batch = [], figured["new_batch"]
    for key, label in {**HEADLINES, **REST}.items():
        row = _row(figured, key)
        cells = [_cell("Value", _number(key, row["value"]))]
        cells.append(_cell(SPREADS[0], _range(key, figured["seen_only"]["figures"][key])))
        if batch:
            cells.append(_cell(SPREADS[1], _range(key, row)))
            cells.append(_cell(SPREADS[2], _range(key, batch["figures"][key])))
        rows.append(f'<tr><th scope="row">{label}</th>{"".join(cells)}</tr>')
    return _table(["Figure", "Value", *SPREADS[: 3 if batch else 1]], rows, kind="pairs")


def _classes(figured: Measured) -> str:
    rows = []
    for label, name in zip(CLASSES, NAMES, strict=True):
        row = figured["classes"][label.value]
        cells = [_cell("Pictures / slides", f"{row['pictures']} / {row['slides']}")]
        for key, head in COLUMNS.items():
            ends = _range(key, row["intervals"][key])
            cells.append(_cell(head, f"{_number(key, row[key])}<small>{ends}</small>"))
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return _table(["Class", "Pictures / slides", *COLUMNS.values()], rows)


def _folds(section: Section, figured: Measured) -> str:
    folds = figured["folds"]
    if len(folds) < 2:
        return ""
    keys = ("accuracy", "macro_f1", "malignant_sensitivity", "malignant_specificity")
    rows = []
    for name, row in folds.items():
        cells = [_cell("Pictures / slides", f"{row['pictures']} / {row['slides']}")]
        cells += [_cell(h, _share(row[k])) for h, k in zip(FOLD_COLUMNS, keys, strict=True)]
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    means = [_cell("", "")]
    for head, key in zip(FOLD_COLUMNS, keys, strict=True):
        held = [row[key] for row in folds.values() if row[key] is not None]
        spread = f"{100 * np.mean(held):.2f} ± {100 * np.std(held, ddof=1):.2f} %"
        means.append(_cell(head, spread if len(held) > 1 else _share(held[0] if held else None)))
    rows.append(f'<tr><th scope="row">mean ± deviation</th>{"".join(means)}</tr>')
    word = escape(section.fold_word)
    table = _table([word.capitalize(), "Pictures / slides", *FOLD_COLUMNS], rows)
    return f"<details><summary>{word.capitalize()} by {word}</summary>{table}</details>"


def _slides(figured: Measured) -> str:
    worst = sorted(figured["by_group"].items(), key=lambda item: item[1]["accuracy"])
    names = dict(zip((label.value for label in CLASSES), NAMES, strict=True))
    rows = [
        f'<tr><th scope="row">{escape(slide)}</th>{_cell("Class", names[row["class"]])}'
        f"{_cell('Pictures', str(row['pictures']))}{_cell('Right', _share(row['accuracy']))}</tr>"
        for slide, row in worst
    ]
    table = _table(["Slide", "Class", "Pictures", "Right"], rows)
    return f"<details><summary>Slide by slide, the worst first</summary>{table}</details>"


def _gate(gate: Mapping[str, Any] | None) -> str:
    if gate is None:
        return ""
    through, stopped = gate["let_through"], gate["stopped"]
    every = through["pictures"] + stopped["pictures"]
    right = f" Of these {_share(stopped['accuracy'])} would have been read rightly."
    return (
        f"<p>The gate called {stopped['pictures']:,} of {every:,} pictures unfamiliar and would "
        f"have given them no label ({_share(stopped['pictures'] / every)})."
        f"{right if stopped['pictures'] else ''} Accuracy on those let through: "
        f"{_share(through['accuracy'])}.</p>"
    )


def _figure(drawing: Drawing) -> str:
    caption = escape(drawing.caption)
    return (
        f'<figure role="group" aria-label="{caption}">{inline(drawing.path)}'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def inline(path: Path) -> str:
    """The SVG as it can stand in a page: without its size, in the page's own ink and ground."""
    svg = path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # names would be given twice on one page
    inks = {INK: "--ink", SOFT: "--soft", FAINT: "--line", PAPER: "--surface"}
    inks[COLOURS[0].lower()] = "--bar"
    for colour, name in inks.items():
        svg = svg.replace(colour, f"var({name})")
    return svg


def _table(heads: Iterable[str], rows: Iterable[str], *, kind: str = "cells") -> str:
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(rows)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(label: str, content: str) -> str:
    """On a telephone every cell stands on a line of its own, with its column's name."""
    return f'<td data-label="{escape(label)}"><div>{content}</div></td>'


def _badge(section: Section) -> str:
    return '<span class="badge">leaks</span>' if section.leaks else ""


def _row(figured: Measured, key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = {**figured["headline"], **figured["further"]}[key]
    return found


def _full(figured: Measured, key: str) -> str:
    row = _row(figured, key)
    return f"<b>{_number(key, row['value'])}</b><small>{_range(key, row)}</small>"


def _number(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key not in NOT_SHARES:
        return _share(value)
    # Never rounded up to perfection.
    return f"{min(value, 0.9994) if value < 1 else value:.3f}"


def _range(key: str, row: Mapping[str, float | None]) -> str:
    if row["low"] is None or row["high"] is None:
        return "–"
    ends = (row["low"], row["high"])
    return " to ".join(
        _number(key, end) if key in NOT_SHARES else f"{100 * end:.1f}" for end in ends
    )


def _share(share: float | None) -> str:
    """In per cent, with the decimals that 2,778 pictures can carry."""
    return "–" if share is None else f"{100 * share:.2f} %"


def _beside_one(theirs: float | None) -> str:
    return "–" if theirs is None else f"{100 * theirs:.2f} %"


def _paragraphs(text: str) -> str:
    """A docstring's paragraphs and lists."""
    blocks = []
    for block in text.strip().split("\n\n"):
        if block.startswith("- "):
            items = re.split(r"(?:^|\n)- ", block)[1:]
            listed = "".join(f"<li>{_marked(item)}</li>" for item in items)
            blocks.append(f"<ul>{listed}</ul>")
        else:
            blocks.append(f"<p>{_marked(block)}</p>")
    return "".join(blocks)


def _marked(words: str) -> str:
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", escape(words))
