"""The audit as one HTML page: findings in words first, then the pictures that show them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TypeVar

import numpy as np

from ml.classes import CLASSES, Class
from ml.data.audit import Audit
from ml.data.drawings import NAMES, bar, corner_of, pair, percent, ribbon, spread
from ml.data.findings import findings
from ml.data.groups import in_file_order
from ml.data.leakage import Leakage
from ml.data.marks import Mark
from ml.data.shortcuts import guessing
from ml.data.twins import Kind, Twins

T = TypeVar("T")
PAGE = Path(__file__).with_name("audit.html")
SHOWN = 6  # pairs of each kind
GLASS_TINT = 3  # times: the glass is nearly white everywhere
CORNERS = 3  # corners of each look in each class
TAGS = {"bad": "serious", "warn": "take care", "fine": "fine"}


def render(audit: Audit) -> str:
    """The whole page; reads the few pictures again that it shows."""
    examples = audit.examples
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        name=escape(audit.name),
        pictures=f"{len(examples):,}",
        classes=len({e.label for e in examples}),
        slides=len({e.group for e in examples}),
        sittings=len({e.session for e in examples}),
        findings="".join(
            f'<li class="{f.tone}"><span class="tag">{TAGS[f.tone]}</span>'
            f"<strong>{escape(f.headline)}</strong>{escape(f.detail)}</li>"
            for f in findings(audit)
        ),
        origin=_origin(audit),
        inventory=_inventory(audit),
        twins=_twins(audit),
        leaks=_leaks(audit.leaks),
        marks=_marks(audit),
        ribbons=_ribbons(audit),
        spreads=_spreads(audit),
        guess=percent(guessing(examples)),
        shortcuts=_shortcuts(audit),
        seed=audit.seed,
    )


def _origin(audit: Audit) -> str:
    if not audit.inferred:
        return "Slides and sittings are those of the groups file."
    return (
        "No groups file was given: slides and sittings were inferred from the order of the files, "
        "the glass, the stain, the scale bars and overlapping fields. On the Taleqani pictures "
        "this agrees with the slides on record by an adjusted Rand index of 0.60 (0.71 once those, "
        "too, are joined where they show the same field), and with the sittings by 0.77; "
        "1 would be equal, 0 chance."
    )


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    cells = "".join(
        f'<th class="n">{name[1:]}</th>' if name.startswith("#") else f"<th>{name}</th>"
        for name in head
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _present(audit: Audit) -> list[Class]:
    held = {example.label for example in audit.examples}
    return [label for label in CLASSES if label in held]


def _inventory(audit: Audit) -> str:
    rows = []
    for label in _present(audit):
        held = [example for example in audit.examples if example.label == label]
        sizes = sorted(Counter(e.group for e in held).values())
        sittings = len({e.session for e in held})
        rows.append(
            f"<tr><td>{NAMES[label]}</td><td class=n>{len(held):,}</td>"
            f"<td class=n>{sum(e.segmented is not None for e in held):,}</td>"
            f"<td class=n>{len(sizes)}</td><td class=n>{sizes[0]} to {sizes[-1]}</td>"
            f"<td class=n>{sittings}</td></tr>"
        )
    head = (
        "Class",
        "#Pictures",
        "#With segmented twin",
        "#Slides",
        "#Pictures a slide",
        "#Sittings",
    )
    return _table(head, rows)


def _twins(audit: Audit) -> str:
    told = {
        Kind.EXACT: ("Exact copies", "The same file under two names."),
        Kind.NEAR: ("Near copies", "The same field, photographed or saved a second time."),
        Kind.OVERLAP: (
            "Overlapping fields",
            "The stage was moved a little; many cells are in both.",
        ),
    }
    sections = []
    for kind, (title, words) in told.items():
        found = [twins for twins in audit.twins if twins.kind is kind]
        sections.append(_gallery(audit, f"{title}: {len(found)} pairs", words, found))
    if audit.strangers:
        words = "One field, but the slides on record differ: a split by slide would let it through."
        title = f"Kept apart by the slides on record: {len(audit.strangers)} pairs"
        sections.append(_gallery(audit, title, words, audit.strangers))
    if audit.crossing:
        words = "One field under two classes: one of the two labels must be wrong."
        title = f"Labelled differently: {len(audit.crossing)} pairs"
        sections.append(_gallery(audit, title, words, audit.crossing))
    return "".join(sections)


def _gallery(audit: Audit, title: str, words: str, found: Sequence[Twins]) -> str:
    if not found:
        return f"<h3>{escape(title)}</h3>"
    chosen = _spaced(found, SHOWN)
    shown = "".join(pair(audit.examples, twins) for twins in chosen)
    more = f" {len(chosen)} of {len(found)} are shown." if len(found) > len(chosen) else ""
    return f'<h3>{escape(title)}</h3><p>{escape(words)}{more}</p><div class="pairs">{shown}</div>'


def _spaced(found: Sequence[T], count: int) -> list[T]:
    """At most `count` of them, evenly spaced."""
    if not found:
        return []
    return [found[at] for at in np.unique(np.linspace(0, len(found) - 1, count).astype(int))]


def _leaks(leaks: dict[str, Leakage]) -> str:
    def cell(share: float, harmful: bool = True) -> str:
        tone = ("bad" if share else "fine") if harmful else ""
        return f'<td class="n {tone}">{percent(share)}</td>'

    rows = (
        f"<tr><td>{escape(words)}</td>{cell(leak.exact)}{cell(leak.near)}{cell(leak.overlap)}"
        f"{cell(leak.field)}{cell(leak.group)}{cell(leak.session, harmful=False)}</tr>"
        for words, leak in leaks.items()
    )
    head = (
        "Split",
        "#Exact copy",
        "#Near copy",
        "#Overlap",
        "#Any of these",
        "#Same slide",
        "#Same sitting",
    )
    return _table(head, rows)


def _marks(audit: Audit) -> str:
    looks = [mark for mark in Mark if mark in audit.seen.marks]
    rows = []
    for label in _present(audit):
        cells = []
        for look in looks:
            held = [
                example
                for example, mark in zip(audit.examples, audit.seen.marks, strict=True)
                if example.label == label and mark == look
            ]
            corners = "".join(corner_of(example) for example in _spaced(held, CORNERS))
            cells.append(f'<td>{len(held):,}<div class="corners">{corners}</div></td>')
        rows.append(f"<tr><td>{NAMES[label]}</td>{''.join(cells)}</tr>")
    return _table(["Class", *(look.value.capitalize() for look in looks)], rows)


def _ribbons(audit: Audit) -> str:
    seen, shown = audit.seen, []
    for label in _present(audit):
        held = in_file_order(audit.examples, label)
        rows = "".join(
            f"<span>{name}</span>{ribbon(colours[held], f'{name} of {NAMES[label]}')}"
            for name, colours in (
                ("Glass", 255 - GLASS_TINT * (255 - seen.glass)),
                ("Red cells", seen.red_cells),
                ("Nuclei", seen.nuclei),
            )
        )
        shown.append(f'<h3>{NAMES[label]}</h3><div class="ribbons">{rows}</div>')
    return "".join(shown)


def _spreads(audit: Audit) -> str:
    seen = audit.seen
    measures = (
        ("Brightness of the glass", seen.glass.mean(axis=1), "darker", "brighter"),
        ("Yellowness of the glass", seen.glass[:, 0] - seen.glass[:, 2], "bluish", "yellowish"),
        ("Darkness of the nuclei", 255 - seen.nuclei.mean(axis=1), "pale", "dark"),
        ("Share of the field that is stained", seen.cell_share, "none", "much"),
    )
    where = {
        label: [at for at, one in enumerate(audit.examples) if one.label == label]
        for label in _present(audit)
    }
    shown = []
    for title, values, least, most in measures:
        low, high = np.nanpercentile(values, (0.5, 99.5)) if np.isfinite(values).any() else (0, 1)
        rows = spread(
            {NAMES[label]: values[held] for label, held in where.items()},
            float(low),
            float(max(high, low + 1e-3)),
        )
        ends = f'<small class="ends"><span>{least}</span><span>{most}</span></small>'
        shown.append(f"<div><h3>{title}</h3>{rows}{ends}</div>")
    return "".join(shown)


def _shortcuts(audit: Audit) -> str:
    said = {"image": "by picture", "group": "by slide", "session": "by sitting"}
    kinds = [by for by in said if any(one.by == by for one in audit.shortcuts)]
    rows = []
    for what, words in (("corner", "Corner alone"), ("background", "Background alone")):
        reached = {one.by: one.accuracy for one in audit.shortcuts if one.what == what}
        cells = "".join(
            f'<td class="graph">{bar(reached[by])}</td>' for by in kinds if by in reached
        )
        rows.append(f"<tr><td>{words}</td>{cells}</tr>")
    return _table(["Taught on", *(f"Tested {said[by]}" for by in kinds)], rows)
