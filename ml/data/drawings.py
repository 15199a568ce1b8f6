"""The audit page's pictures and charts, each as a piece of HTML that needs no other file."""

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.classes import Class
from ml.data.index import Example
from ml.data.marks import corner
from ml.data.twins import Kind, Twins
from ml.images import decode, encode_jpeg, encode_png, thumbnail

THUMB = 192  # pixels
NAMES = {
    Class.BENIGN: "Benign",
    Class.EARLY_PRE_B: "Early Pre-B",
    Class.PRE_B: "Pre-B",
    Class.PRO_B: "Pro-B",
}
FRAME = (0, 150, 60)  # a green that no stain has


def picture(rgb: NDArray[np.uint8], alt: str, kind: str = "") -> str:
    """An `<img>` with the picture inside it."""
    data = base64.b64encode(encode_jpeg(rgb, quality=82)).decode()
    return f'<img class="{kind}" alt="{escape(alt)}" src="data:image/jpeg;base64,{data}">'


def pair(examples: Sequence[Example], twins: Twins) -> str:
    """Two pictures side by side, the area that both show framed."""
    height, width = 1 - abs(twins.shift[0]), 1 - abs(twins.shift[1])
    shown = []
    for at, sign in ((twins.first, -1), (twins.second, 1)):
        top, left = (max(0.0, sign * shift) for shift in twins.shift)
        rgb = thumbnail(decode(examples[at].read()), THUMB)
        if twins.kind is not Kind.OVERLAP:  # all of it is shared
            shown.append(picture(rgb, examples[at].path.name))
            continue
        rows, columns = rgb.shape[0] - 1, rgb.shape[1] - 1
        start = (round(left * columns), round(top * rows))
        end = (round((left + width) * columns), round((top + height) * rows))
        framed = cv2.rectangle(rgb, start, end, FRAME, 2).astype(np.uint8, copy=False)
        shown.append(picture(framed, examples[at].path.name))
    one, other = examples[twins.first], examples[twins.second]
    where = _where(one) if _where(one) == _where(other) else f"{_where(one)} | {_where(other)}"
    return (
        f'<figure class="pair"><div>{"".join(shown)}</div><figcaption>{escape(one.path.name)}<br>'
        f"{escape(other.path.name)}<br><small>{escape(where)}</small></figcaption></figure>"
    )


def corner_of(example: Example) -> str:
    """The corner with the scale bar, enlarged."""
    rgb = corner(thumbnail(decode(example.read()), 224))
    large = cv2.resize(rgb, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    return picture(large.astype(np.uint8), f"corner of {example.path.name}", "corner")


def ribbon(colours: NDArray[np.float32], alt: str) -> str:
    """One column for each picture, painted in its own colour, (N, 3) of 0..255; NaN is left out."""
    kept = colours[~np.isnan(colours).any(axis=1)]
    if not len(kept):
        return "<small>none found</small>"
    row = np.clip(np.rint(kept), 0, 255).astype(np.uint8)[None]
    data = base64.b64encode(encode_png(row)).decode()
    return f'<img class="ribbon" alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def spread(values: dict[str, NDArray[np.float32]], low: float, high: float) -> str:
    """For each name a bar from the 5th to the 95th percentile, thick between the quartiles."""
    rows = []
    for number, (name, given) in enumerate(values.items()):
        kept = given[~np.isnan(given)]
        if not len(kept):
            continue
        five, lower, middle, upper, most = (
            100 * (float(q) - low) / (high - low) for q in np.percentile(kept, (5, 25, 50, 75, 95))
        )
        rows.append(
            f'<div class="spread c{number}"><span>{escape(name)}</span>'
            f'<i role="img" aria-label="median {np.median(kept):.2f}">'
            f'<b class="thin" style="left:{five:.1f}%;width:{most - five:.1f}%"></b>'
            f'<b style="left:{lower:.1f}%;width:{max(upper - lower, 0.6):.1f}%"></b>'
            f'<u style="left:{middle:.1f}%"></u></i></div>'
        )
    return "".join(rows)


def bar(share: float, tone: str = "") -> str:
    """A bar as long as a share of 0..1, with its figure."""
    return (
        f'<span class="bar {tone}"><i style="width:{100 * min(share, 1):.1f}%"></i></span>'
        f"<em>{percent(share)}</em>"
    )


def percent(share: float) -> str:
    """0.0194 as 1.9 %, and none as 0."""
    figure = "0" if share == 0 else f"{100 * share:.1f}" if share < 0.9995 else "100"
    return f"{figure}\N{NO-BREAK SPACE}%" if share else figure


def _where(example: Example) -> str:
    return f"{NAMES[example.label]}, slide {example.group}, sitting {example.session}"
