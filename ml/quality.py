"""Is this picture fit to be read at all? Asked before the network is, and told to the technician.

Two kinds of no. *Unusable*: a smear, but out of focus, badly lit or without a stained nucleus;
the advice says what to do at the microscope. *Not a smear*: nothing that a smear looks like. Being
merely unfamiliar (another laboratory's stain or camera) is not judged here but by the model.

Everything is measured on a copy whose longer side is 224 px, the size of the Taleqani fields, so
a 12-megapixel picture is judged by what the network will see of it. The limits below were set on
all 2,778 Taleqani fields ("T"), the 364 fields of BCCD ("B", another laboratory), blurred, darkened
and over-exposed versions of every twentieth of them, and things that are no smear: noise, text,
screenshots, charts, gradients, photographs. Ranges are the 0.3 % and 99.7 % quantiles.

As measured: none of T and none of B is refused. Of the spoilt ones all are refused that were
blurred by 3 px or more (at 224), had half the light or less, or 1.8 times the light or more; at
1.4 times the light 63 % are, blurred by 2 px 66 %: there the borderline lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from ml import levels
from ml.blobs import disc, fill_holes
from ml.segmentation import shrunk, stain_map

Rgb = NDArray[np.uint8]
Plane = NDArray[np.float32]

VERSION = "quality-1"
SIDE = 224

BLANK_CONTRAST = 8.0
"""Grey levels from dark to bright in green; below this there is nothing at all to see."""
MIN_CONTRAST = 40.0
"""T 69..225, B 80..148; a field faded to a tenth has 7..21."""
MIN_BRIGHTNESS = 130.0
"""90 % quantile of luminance, the glass. T 225..255, B 195..208; at half the light 93..127."""
MAX_CLIPPED = 0.60
"""Share of pure white. T up to 0.12; at 1.8 times the light 0.73 and more."""
MIN_FOCUS = 1.30
"""See :func:`_focus`. At least 1.37 in T, 1.32 in B; blurred by 3 px (at 224) at most 1.21."""
MIN_GLASS = 0.15
"""Share of bare glass. T 0.24 and up, B 0.37; photographs 0.03..0.23."""
MIN_NEUTRAL = 0.55
"""Darkest over brightest channel of the glass. T 0.89 and up; a warm lamp about 0.65."""
MAX_GREEN = 0.05
"""Share of yellow to cyan, which no blood stain has. T up to 0.002, B 0.003; photographs 0.06+."""
MAX_BLACK = 0.05
"""Share of colourless black. T up to 0.002 (the scale bar); printed text 0.07."""
MAX_GRAIN = 0.05
"""Mean change by a 3 x 3 median over contrast. T up to 0.022; text 0.07, noise 0.2."""
MIN_SOLID = 0.60
"""Share of what is not glass that survives an opening by 7 px. T 0.82 and up; lettering 0..0.5."""
MAX_DRAWN = 0.60
"""Share of unclipped pixels exactly equal to the next. T up to 0.07, B 0.28; charts 0.6 and up."""
GREEN = ((25, 39, 52), (131, 255, 255))
"""Hue (in 256 steps), saturation, value: 35..185 degrees, above 0.15, above 0.2."""
BLACK = ((0, 0, 0), (255, 89, 89))
"""Any hue, saturation and value below 0.35."""
MIN_STAIN = 0.004
"""Share of purple (:func:`ml.segmentation.stain_map` above 0.14). T 0.0175 and up, B 0.036."""


class Verdict(StrEnum):
    """What becomes of the picture: read it, ask for another, or ask what this is."""

    OK = "ok"
    UNUSABLE = "unusable"
    NOT_A_SMEAR = "not_a_smear"


ADVICE: dict[str, str] = {
    "": "",
    "too_dark": "The field is too dark; turn the lamp up or open the diaphragm, then retake it.",
    "too_bright": "The field is over-exposed; turn the lamp down or shorten the exposure,"
    " then retake it.",
    "no_contrast": "There is nothing to see but haze; check lamp, condenser and slide, clean the"
    " lens, then retake the field.",
    "out_of_focus": "The field is out of focus; focus on the nuclei, then retake it.",
    "black_frame": "The field is round in a black frame; use the camera adapter or crop to the"
    " field, then send it again.",
    "unstained": "No stained nucleus is in view; move to a field with white cells, and check"
    " the stain if every field looks like this.",
    "not_a_smear": "This does not look like a blood smear; check that the microscope sends the"
    " camera's own picture.",
}
"""What the technician should do, by code. The codes are stored; they keep their meaning."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What was measured; each limit above says what is usual."""

    brightness: float
    clipped: float
    contrast: float
    focus: float
    glass: float
    neutral: float
    green: float
    black: float
    grain: float
    solid: float
    drawn: float
    stain: float
    frame: float


@dataclass(frozen=True, slots=True)
class Quality:
    """The judgement: ``code`` and ``advice`` are empty when the verdict is ok."""

    verdict: Verdict
    code: str
    advice: str
    metrics: Metrics
    version: str = VERSION

    def as_dict(self) -> dict[str, object]:
        """Plain types, for JSON; metrics rounded to four decimals."""
        return {
            "verdict": self.verdict.value,
            "code": self.code,
            "advice": self.advice,
            "metrics": {name: round(value, 4) for name, value in asdict(self.metrics).items()},
            "version": self.version,
        }


def judge(rgb: Rgb, *, stain: Plane | None = None) -> Quality:
    """Judge one picture, (H, W, 3) uint8 RGB 0..255 of any size.

    ``stain`` is :func:`ml.segmentation.stain_map` of the picture, from whoever has it already; it
    is that of the picture itself only where this is no larger than :data:`SIDE`.

    Raises ValueError for anything that is not (H, W, 3) uint8 with at least one pixel.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
        raise ValueError(f"judge wants (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    metrics = measure(rgb, stain=stain)
    code = _code(metrics)
    if not code:
        return Quality(Verdict.OK, "", "", metrics)
    verdict = Verdict.NOT_A_SMEAR if code == "not_a_smear" else Verdict.UNUSABLE
    return Quality(verdict, code, ADVICE[code], metrics)


def measure(rgb: Rgb, *, stain: Plane | None = None) -> Metrics:
    """All figures at once; (H, W, 3) uint8 RGB, and ``stain`` as for :func:`judge`."""
    small = shrunk(rgb, SIDE)
    stain = stain_map(small) if stain is None else stain
    planes = levels.split(small)
    green, total = planes[1], levels.total(planes)
    dark, upper, bright = (levels.percentile(green, percent) for percent in (1, 75, 99))
    contrast = bright - dark
    glass = levels.median_colour(planes, green >= upper).astype(np.float32)
    balanced = _balanced(planes, glass)
    hsv = cv2.cvtColor(levels.merge(balanced), cv2.COLOR_RGB2HSV_FULL).astype(np.uint8, copy=False)
    roughness = cv2.norm(green, cv2.medianBlur(green, 3), cv2.NORM_L1)
    return Metrics(
        brightness=_luminance(total, 90),
        clipped=levels.share_above(planes, 254),
        contrast=contrast,
        focus=_focus(green),
        glass=levels.share_above(balanced, 226),
        neutral=float(glass.min() / max(float(glass.max()), 1.0)),
        green=_within(hsv, *GREEN),
        black=_within(hsv, *BLACK),
        grain=float(np.float32(roughness) / green.size) / max(contrast, 1.0),
        solid=_solid((green < np.float32(0.93 * upper)).view(np.uint8)),
        drawn=_drawn(rgb, planes if small.shape == rgb.shape else None),
        stain=float(np.count_nonzero(stain > 0.14) / stain.size),
        frame=_frame(total),
    )


def _code(m: Metrics) -> str:
    """The first thing wrong, what spoils all other measures first; '' when nothing is."""
    checks = (
        (m.contrast < BLANK_CONTRAST and m.brightness < MIN_BRIGHTNESS / 2, "too_dark"),
        (m.contrast < BLANK_CONTRAST and m.brightness > 245, "too_bright"),
        (m.contrast < BLANK_CONTRAST, "no_contrast"),
        (m.frame >= 0.75 and m.brightness >= MIN_BRIGHTNESS, "black_frame"),
        (m.brightness < MIN_BRIGHTNESS, "too_dark"),
        (_burnt_out(m), "too_bright"),
        (m.contrast < MIN_CONTRAST, "no_contrast"),
        (_strange(m), "not_a_smear"),
        (m.focus < MIN_FOCUS, "out_of_focus"),
        (m.stain < MIN_STAIN, "unstained"),
    )
    return next((code for wrong, code in checks if wrong), "")


def _burnt_out(m: Metrics) -> bool:
    """Mostly clipped, and what is left is broad or purple: a smear, not a page of print."""
    broad = m.solid >= MIN_SOLID or m.stain >= MIN_STAIN
    return m.clipped > MAX_CLIPPED and broad and m.drawn <= MAX_DRAWN


def _strange(m: Metrics) -> bool:
    return (
        m.glass < MIN_GLASS
        or m.neutral < MIN_NEUTRAL
        or m.green > MAX_GREEN
        or m.black > MAX_BLACK
        or m.grain > MAX_GRAIN
        or m.solid < MIN_SOLID
        or m.drawn > MAX_DRAWN
    )


def _balanced(planes: levels.Planes, glass: Plane) -> levels.Planes:
    """Every channel scaled so that the glass becomes 250."""
    every = np.arange(256, dtype=np.float32)
    curves = np.clip(every * (250 / np.maximum(glass, 40))[:, None], 0, 255).astype(np.uint8)
    return levels.curved(planes, curves)


def _within(colours: Rgb, low: Sequence[int], high: Sequence[int]) -> float:
    """Share of pixels whose three channels all lie within ``low`` and ``high``, these included."""
    return cv2.countNonZero(cv2.inRange(colours, low, high)) / (colours.size // 3)


def _luminance(total: NDArray[np.uint16], percent: float) -> float:
    """A percentile of luminance, the mean of R, G, B; of their ``total``."""
    low, high, share = levels.neighbours(total, percent, total.size)
    return float(levels.between(np.float32(low) / 3, np.float32(high) / 3, share))


def _slopes(green: Plane, sigma: float) -> NDArray[np.float64]:
    """The 99, 97 and 90 % quantiles of how steep the smoothed picture is, in levels a pixel."""
    smooth = cv2.GaussianBlur(green, (0, 0), sigma)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    steep = cv2.magnitude(across, down, across).astype(np.float32, copy=False).ravel()
    # Only the steepest tenth is put in order.
    least = int((steep.size - 1) * 0.90)
    steep.partition(least)
    top = np.sort(steep[least:])
    places = (steep.size - 1) * np.array((0.99, 0.97, 0.90)) - least
    quantiles: NDArray[np.float64] = np.interp(places, np.arange(top.size), top)
    return quantiles


def _focus(green: Rgb) -> float:
    """How much steeper edges are at 0.7 px than at 2 px of smoothing: 1 (no edge left) to 3.

    The slope of an edge that is itself b px wide goes with 1 / sqrt(b^2 + s^2) at smoothing s, so
    the ratio depends on b alone: not on contrast, stain, or how many cells there are. The best of
    three quantiles, because a field may hold few sharp cells over many blurred ones.
    """
    fine = green.astype(np.float32)
    return float((_slopes(fine, 0.7) / np.maximum(_slopes(fine, 2.0), 1e-3)).max())


def _solid(objects: Rgb) -> float:
    """How much of the objects is as broad as a cell; pale centres are filled first. 1 if none."""
    mask = fill_holes(objects, below=150)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(7))
    total = cv2.countNonZero(mask)
    return cv2.countNonZero(opened) / total if total else 1.0


def _drawn(rgb: Rgb, planes: levels.Planes | None) -> float:
    """Share of unclipped pixels exactly equal to the next: a camera has noise, a drawing none.

    0 when less than a twentieth of the picture is unclipped: too little to say. ``planes`` are
    the channels of ``rgb``, from whoever has them already.
    """
    step = max(1, max(rgb.shape[:2]) // SIDE)
    planes = planes or levels.split(np.ascontiguousarray(rgb[::step]))
    here = [plane[:, :-1:step] for plane in planes]
    there = [plane[:, 1::step] for plane in planes]
    brightest = np.maximum(np.maximum(here[0], here[1]), here[2])
    unclipped = (brightest < 250) & (brightest > 5)
    looked_at = np.count_nonzero(unclipped)
    if looked_at < 0.05 * max(unclipped.size, 1):
        return 0.0
    red, green, blue = (one == other for one, other in zip(here, there, strict=True))
    return float(np.count_nonzero(red & green & blue & unclipped) / looked_at)


def _frame(total: NDArray[np.uint16]) -> float:
    """Share of the four corners (a twelfth of each side) that are black: an eyepiece's view.

    ``total`` is R + G + B; black is a luminance below 40.
    """
    height, width = total.shape
    down, across = max(1, height // 12), max(1, width // 12)
    rows, columns = (slice(0, down), slice(-down, None)), (slice(0, across), slice(-across, None))
    corners = [total[row, column] < 3 * 40 for row in rows for column in columns]
    return sum(bool(black.mean() > 0.6) for black in corners) / 4
