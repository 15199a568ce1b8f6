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

from dataclasses import asdict, dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.segmentation import stain_map

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


def judge(rgb: Rgb) -> Quality:
    """Judge one picture, (H, W, 3) uint8 RGB 0..255 of any size.

    Raises ValueError for anything that is not (H, W, 3) uint8 with at least one pixel.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
        raise ValueError(f"judge wants (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    metrics = measure(rgb)
    code = _code(metrics)
    if not code:
        return Quality(Verdict.OK, "", "", metrics)
    verdict = Verdict.NOT_A_SMEAR if code == "not_a_smear" else Verdict.UNUSABLE
    return Quality(verdict, code, ADVICE[code], metrics)


def measure(rgb: Rgb) -> Metrics:
    """All figures at once; (H, W, 3) uint8 RGB."""
    small = _shrink(rgb)
    colour = small.astype(np.float32)
    green = np.ascontiguousarray(colour[..., 1])
    luminance = ((colour[..., 0] + green + colour[..., 2]) / 3).astype(np.float32)
    bright, dark = (float(v) for v in np.percentile(green, (99, 1)))
    contrast = bright - dark
    upper = float(np.percentile(green, 75))
    glass = np.median(colour[green >= upper], axis=0)
    balanced = np.clip(colour * (250 / np.maximum(glass, 40)), 0, 255).astype(np.uint8)
    hsv = cv2.cvtColor(balanced, cv2.COLOR_RGB2HSV_FULL).astype(np.float32)
    hue, saturation, value = hsv[..., 0] * (360 / 256), hsv[..., 1] / 255, hsv[..., 2] / 255
    black = (value < 0.35) & (saturation < 0.35)
    smooth = cv2.medianBlur(np.ascontiguousarray(small[..., 1]), 3).astype(np.float32)
    return Metrics(
        brightness=float(np.percentile(luminance, 90)),
        clipped=float((_darkest(small) >= 254).mean()),
        contrast=contrast,
        focus=_focus(green),
        glass=float((_darkest(balanced) > 225).mean()),
        neutral=float(glass.min() / max(float(glass.max()), 1.0)),
        green=float(((saturation > 0.15) & (value > 0.2) & (hue > 35) & (hue < 185)).mean()),
        black=float(black.mean()),
        grain=float(np.abs(green - smooth).mean()) / max(contrast, 1.0),
        solid=_solid(green < 0.93 * upper),
        drawn=_drawn(rgb),
        stain=float((stain_map(small) > 0.14).mean()),
        frame=_frame(luminance),
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


def _shrink(rgb: Rgb) -> Rgb:
    height, width = rgb.shape[:2]
    scale = SIDE / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(rgb)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _darkest(rgb: Rgb) -> Rgb:
    """The darkest channel of each pixel; many times faster than a minimum along the last axis."""
    return np.minimum(np.minimum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])


def _brightest(rgb: Rgb) -> Rgb:
    return np.maximum(np.maximum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])


def _slopes(green: Plane, sigma: float) -> NDArray[np.float64]:
    smooth = cv2.GaussianBlur(green, (0, 0), sigma)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return np.asarray(np.percentile(slope, (99, 97, 90)), dtype=np.float64)


def _focus(green: Plane) -> float:
    """How much steeper edges are at 0.7 px than at 2 px of smoothing: 1 (no edge left) to 3.

    The slope of an edge that is itself b px wide goes with 1 / sqrt(b^2 + s^2) at smoothing s, so
    the ratio depends on b alone: not on contrast, stain, or how many cells there are. The best of
    three quantiles, because a field may hold few sharp cells over many blurred ones.
    """
    return float((_slopes(green, 0.7) / np.maximum(_slopes(green, 2.0), 1e-3)).max())


def _solid(objects: NDArray[np.bool_]) -> float:
    """How much of the objects is as broad as a cell; pale centres are filled first. 1 if none."""
    mask = objects.astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    hole = stats[:, cv2.CC_STAT_AREA] < 150
    hole[0] = False
    mask[hole[labels]] = 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc)
    total = int(mask.sum())
    return float(int(opened.sum()) / total) if total else 1.0


def _drawn(rgb: Rgb) -> float:
    """Share of unclipped pixels exactly equal to the next: a camera has noise, a drawing none.

    0 when less than a twentieth of the picture is unclipped: too little to say.
    """
    step = max(1, max(rgb.shape[:2]) // SIDE)
    here, there = rgb[::step, :-1:step], rgb[::step, 1::step]
    unclipped = (_brightest(here) < 250) & (_brightest(here) > 5)
    if int(unclipped.sum()) < 0.05 * max(unclipped.size, 1):
        return 0.0
    same = here == there
    return float((same[..., 0] & same[..., 1] & same[..., 2])[unclipped].mean())


def _frame(luminance: Plane) -> float:
    """Share of the four corners (a twelfth of each side) that are black: an eyepiece's view."""
    height, width = luminance.shape
    down, across = max(1, height // 12), max(1, width // 12)
    rows, columns = (slice(0, down), slice(-down, None)), (slice(0, across), slice(-across, None))
    corners = [luminance[row, column] for row in rows for column in columns]
    return float(np.mean([(corner < 40).mean() > 0.6 for corner in corners]))
