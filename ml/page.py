"""A page in one file: no script, nothing fetched, light and dark, from a telephone up.

The pieces return HTML; every text given to them is escaped.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO

from PIL import Image

from ml.preprocessing import Picture

STYLE = """
:root { color-scheme: light dark; --ink: #1b1e26; --quiet: #5b6172; --line: #dcdfe7;
  --paper: #fff; --well: #f5f6f9; --mark: #6d3fa8; --bad: #b3261e; --good: #1c6e3d }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e9ee; --quiet: #a2a8b8; --line: #363b48;
  --paper: #15171d; --well: #1e212a; --mark: #c3a3ef; --bad: #ff9a90; --good: #7fd6a0 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem }
p { max-width: 46rem; margin: .5rem 0 } .quiet { color: var(--quiet) }
.warning { border-left: 4px solid var(--bad); background: var(--well); padding: .6rem .9rem;
  max-width: 60rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem }
th, td { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap }
th { font-weight: 600; color: var(--quiet); vertical-align: bottom; white-space: normal }
th:first-child, td:first-child, .words td, .words th { text-align: left }
.better { color: var(--good) } .worse { color: var(--bad) }
.row { display: grid; grid-template-columns: repeat(4, 1fr); gap: .6rem; margin: 0 0 1.6rem }
.row p { grid-column: 1 / -1; margin: 0; max-width: none }
@media (max-width: 40rem) { .row { grid-template-columns: repeat(2, 1fr) } }
figure { margin: 0 } figcaption { color: var(--quiet); font-size: .85rem }
img { width: 100%; height: auto; display: block; border-radius: 4px; background: #000 }
"""


def page(title: str, *parts: str) -> str:
    """The whole document; `parts` are HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<main><h1>{escape(title)}</h1>{''.join(parts)}</main></body></html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    """A heading of `level` 2 or 3."""
    return f"<h{level}>{escape(text)}</h{level}>"


def words(text: str, kind: str = "") -> str:
    """A paragraph; `kind` may be "quiet" or "warning"."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "") -> str:
    """A table; figures to the right, or all to the left with `kind` "words"."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{escape(head[0])}" tabindex="0">'
        f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def row(caption: str, pictures: Iterable[tuple[str, Picture]]) -> str:
    """Pictures under one caption, four side by side, each (what it is, (H, W, 3) uint8)."""
    figures = "".join(
        f'<figure><img src="{inline(rgb)}" alt="{escape(what)}, {escape(caption)}" '
        f'width="{rgb.shape[1]}" height="{rgb.shape[0]}">'
        f"<figcaption>{escape(what)}</figcaption></figure>"
        for what, rgb in pictures
    )
    return f'<div class="row"><p>{escape(caption)}</p>{figures}</div>'


def inline(rgb: Picture) -> str:
    """The picture as a `data:` address; JPEG, as a page holds many."""
    out = BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{b64encode(out.getvalue()).decode()}"
