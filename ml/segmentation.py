"""Finding the nucleated (purple) cells of a blood-smear field.

Two ways live here. :func:`paper_mask` is the published thresholding, kept to compare with: it
loses nearly every pale Pro-B cell. :func:`segment` is ours, and what the network is fed with.

How ours works, and where the figures come from (all measured on the 2,778 Taleqani fields and
the 364 BCCD fields):

1. The picture is worked on at 448 px on its longer side at most; that is enough for a cell of
   22 px in a 224 px field, and keeps a 12-megapixel picture as quick as a small one.
2. White balance against the bare glass (the brightest quarter of the green channel), so that a
   yellow lamp and a blue one give the same colours.
3. *Stain*, 0..1: HSV saturation, weighted by hue. Romanowsky-stained nuclei lie between blue and
   magenta (240..330 degrees); red cells lie outside in both laboratories (bluish grey, about
   210 degrees, in Taleqani; salmon, 350..10 degrees, in BCCD), so they fade out by hue even
   where they are as saturated as a pale blast.
4. A threshold by Otsu's method over the pixels with any stain at all, held between 0.14 (above
   the vignetting of the Pro fields) and 0.26 (a few ink-dark lymphocytes must not push a pale
   blast below the line). Otsu gives 0.17..0.23 for Pro and 0.26..0.33 for Pre.
5. Small holes are closed, specks opened away, and touching cells are cut where the shape has a
   neck between two centres (`ml.blobs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml import levels
from ml.blobs import Blob, disc, fill_holes, split

Rgb = NDArray[np.uint8]
Mask = NDArray[np.bool_]

VERSION = "hsv-stain-1"
"""Changes whenever the output of :func:`segment` may change; results are pinned to it."""

WORK_SIDE = 448
STAIN_FLOOR = 0.06
THRESHOLD_RANGE = (0.14, 0.26)
MIN_AREA = 0.0008
"""Smallest cell, as a share of the longer side squared: 40 px in a 224 px field (7 px across)."""
MIN_AREA_OF_LARGEST = 0.07
"""Platelets, by size against the largest cell: in BCCD they reach 1/25 of a white cell's area."""
SMUDGE_SOLIDITY = 0.78
"""Share of its own convex hull that a pale blob must fill: smudged nuclei break into rags."""
SMUDGE_STAIN = 1.35
"""Pale means: the blob's mean stain is below this many thresholds (blasts in Pre reach 1.6)."""
OUTLINE_COLOUR = (0, 230, 90)
"""A green that no stain has, so the line shows on purple, pink, grey and white."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One found cell, in the pixels of the picture that was given.

    ``contour`` is (N, 2) int32, x then y; ``centre`` is x, y; ``area`` is in pixels;
    ``colour`` is the mean R, G, B, 0..255, as photographed (not white-balanced).
    """

    contour: NDArray[np.int32]
    centre: tuple[float, float]
    area: int
    colour: tuple[float, float, float]

    @property
    def diameter(self) -> float:
        """Of the disc with the cell's area, in pixels."""
        return float(2 * np.sqrt(self.area / np.pi))

    @property
    def roundness(self) -> float:
        """0..1: the part of its smallest enclosing circle that the cell fills; a disc has 1.

        Unlike 4 pi area / perimeter^2 it does not take a ragged outline, of which a small cell's
        pixels make much, for a long shape. A cell that the picture's edge cuts is less round.
        """
        _, radius = cv2.minEnclosingCircle(self.contour)
        # The contour runs through pixel centres; the cell reaches half a pixel further.
        return float(min(1.0, self.area / (np.pi * (radius + 0.5) ** 2)))

    def density(self, glass: NDArray[Any] | Sequence[float]) -> float:
        """Mean optical density over R, G, B, at least 0: log10 of glass over cell (Beer, Lambert).

        `glass` is R, G, B of the bare glass, 0..255, e.g. `ml.preprocessing.background_colour`.
        Twice as much stain, twice the density; the lamp falls out. Of the cell's mean colour,
        which is a little less than the mean of its pixels' densities.
        """
        bright = np.maximum(np.asarray(glass, dtype=float), 1)
        return float(np.log10(bright / np.maximum(self.colour, 1)).mean().clip(0))


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The nucleated cells of one picture: ``mask`` (H, W) bool and one :class:`Cell` each."""

    mask: Mask
    cells: tuple[Cell, ...]
    threshold: float
    version: str = field(default=VERSION)

    @property
    def area_share(self) -> float:
        """Share of the picture that the cells cover, 0..1."""
        return float(np.count_nonzero(self.mask) / self.mask.size) if self.mask.size else 0.0

    def isolate(self, rgb: Rgb) -> Rgb:
        """The cells in their own colours on black: what the network's second trunk sees.

        ``rgb`` (H, W, 3) uint8 of the size that was segmented; ValueError otherwise.
        """
        self._same_size(rgb)
        alone = cv2.bitwise_and(rgb, rgb, mask=self.mask.view(np.uint8))
        return alone.astype(np.uint8, copy=False)

    def outline(self, rgb: Rgb) -> Rgb:
        """A copy of the picture with a line around each cell, for a person to look at.

        ValueError when ``rgb`` is not of the size that was segmented.
        """
        self._same_size(rgb)
        return outlined(rgb, [cell.contour.reshape(-1, 1, 2) for cell in self.cells])

    def _same_size(self, rgb: Rgb) -> None:
        if rgb.shape[:2] != self.mask.shape:
            raise ValueError(f"segmented {self.mask.shape}, given {rgb.shape[:2]}")


def outlined(rgb: Rgb, contours: Sequence[NDArray[np.int32]]) -> Rgb:
    """A copy of the (H, W, 3) uint8 picture with a green line along the (N, 1, 2) contours.

    The line is 1 px in a 224 px field and grows with the picture.
    """
    out = rgb.copy()
    thickness = max(1, round(max(rgb.shape[:2]) / 260))
    cv2.drawContours(out, contours, -1, OUTLINE_COLOUR, thickness, cv2.LINE_AA)
    return out


def paper_mask(rgb: Rgb) -> Mask:
    """The published threshold: (H, W, 3) uint8 RGB in, (H, W) bool out.

    Islam et al. 2024, section 3.2, as reproduced from the published twins: red and blue are
    swapped before the conversion, and 168 <= H <= 182, S >= 50, V >= 50 is kept. Against the
    twins its median IoU is 0.80 Benign, 0.84 Early, 0.90 Pre, 0.41 Pro.
    """
    # RGB2HSV on a BGR picture, as they did, is BGR2HSV on ours.
    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_BGR2HSV)
    kept = cv2.inRange(hsv, np.array((168, 50, 50)), np.array((182, 255, 255)))
    return kept.astype(bool)


def segment(rgb: Rgb, *, stain: NDArray[np.float32] | None = None) -> Segmentation:
    """Find the nucleated cells. ``rgb`` (H, W, 3) uint8, RGB; the same bytes give the same answer.

    ``stain`` is :func:`stain_map` of the picture, from whoever has it already; it is that of the
    picture itself only where this is no larger than :data:`WORK_SIDE`.

    Raises ValueError for anything that is not (H, W, 3) uint8 with at least one pixel.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
        raise ValueError(f"segment wants (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    if stain is None:
        stain = stain_map(shrunk(rgb, WORK_SIDE))
    side = max(stain.shape)
    threshold = _threshold(stain)
    blobs = split(_tidy(stain > threshold, side), least=MIN_AREA * side * side)
    mask = np.zeros(rgb.shape[:2], dtype=np.bool_)
    found = [
        _cell(rgb, blob, stain.shape, mask)
        for blob in _large([blob for blob in blobs if not _smudged(blob, stain, threshold)], side)
    ]
    cells = tuple(cell for cell in found if cell is not None)
    return Segmentation(mask=mask, cells=cells, threshold=threshold)


def stain_map(rgb: Rgb) -> NDArray[np.float32]:
    """How purple each pixel is, (H, W) float32 0..1: saturation, weighted by hue and light.

    The hue window ramps in over 222..242 degrees and out over 325..345. Below a quarter of full
    brightness saturation is mostly JPEG noise (the black scale bar), so it fades out there.
    """
    sigma = 0.8 * max(rgb.shape[:2]) / 224
    # By itself OpenCV takes 7 x 7 at 0.8, of which the outermost weigh 0 of 256.
    taps = (5, 5) if sigma == 0.8 else (0, 0)
    soft = cv2.GaussianBlur(rgb, taps, max(sigma, 0.4)).astype(np.uint8, copy=False)
    hsv = cv2.cvtColor(_white_balance(soft), cv2.COLOR_RGB2HSV_FULL)
    hue, saturation, value = (
        cv2.LUT(plane, weight)
        for plane, weight in zip(levels.split(hsv), _STAIN_WEIGHTS, strict=True)
    )
    stain = np.multiply(saturation, hue, out=saturation)
    np.multiply(stain, value, out=stain)
    return stain.astype(np.float32, copy=False)


def _stain_weights() -> tuple[NDArray[np.float32], ...]:
    """What each of the 256 levels of hue, saturation and value weighs, (256,) float32 0..1."""
    every = np.arange(256, dtype=np.float32)
    hue, share = every * (360 / 256), every / 255
    window = np.clip((hue - 222) / 20, 0, 1) * np.clip((345 - hue) / 20, 0, 1)
    weights = window, share, np.clip(share / 0.25, 0, 1)
    return tuple(weight.astype(np.float32, copy=False) for weight in weights)


_STAIN_WEIGHTS = _stain_weights()


def shrunk(rgb: Rgb, side: int) -> Rgb:
    """The (H, W, 3) uint8 picture with at most ``side`` pixels on its longer side."""
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(rgb)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _white_balance(rgb: Rgb) -> Rgb:
    """Scale each channel so that bare glass becomes 250. A black picture is not blown up."""
    planes = levels.split(rgb)
    green = planes[1]
    glass = levels.median_colour(planes, green >= levels.percentile(green, 75))
    gain = 250 / np.maximum(glass, 40)
    curves = np.clip(np.arange(256) * gain[:, None], 0, 255).astype(np.uint8)
    return levels.merge(levels.curved(planes, curves))


def _threshold(stain: NDArray[np.float32]) -> float:
    low, high = THRESHOLD_RANGE
    stained = stain[stain > STAIN_FLOOR]
    if not stained.size:
        return high
    eight_bit = (stained * 255).astype(np.uint8).reshape(-1, 1)
    otsu, _ = cv2.threshold(eight_bit, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return min(max(otsu / 255, low), high)


def _tidy(rough: Mask, side: int) -> NDArray[np.uint8]:
    """Close chromatin gaps, fill holes smaller than a quarter of a cell, open away thin rims."""
    # A border of glass, or a cell cut by the edge would be eaten by the opening.
    pad = 8
    mask = cv2.copyMakeBorder(rough.view(np.uint8), pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc(max(3, side // 75)))
    mask = fill_holes(mask.astype(np.uint8, copy=False), below=0.002 * side * side)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(max(3, side // 45)))
    return np.ascontiguousarray(mask[pad:-pad, pad:-pad], dtype=np.uint8)


def _smudged(blob: Blob, stain: NDArray[np.float32], threshold: float) -> bool:
    """Both pale and ragged: a crushed nucleus, of which only scraps pass the threshold."""
    if cv2.mean(blob.of(stain), blob.inside)[0] >= SMUDGE_STAIN * threshold:
        return False
    hull = cv2.convexHull(cv2.findNonZero(blob.inside))
    # Half a pixel all round: the hull runs through pixel centres.
    filled = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    return blob.area < SMUDGE_SOLIDITY * filled


def _large(blobs: list[Blob], side: int) -> list[Blob]:
    """Without platelets, specks and writing."""
    largest = max((blob.area for blob in blobs), default=0)
    least = max(MIN_AREA * side * side, MIN_AREA_OF_LARGEST * largest)
    return [blob for blob in blobs if blob.area >= least]


def _cell(rgb: Rgb, blob: Blob, worked: tuple[int, ...], mask: Mask) -> Cell | None:
    """Bring one cell back to the size of ``rgb``, paint it into ``mask`` and measure it.

    ``worked`` is the height and width of the picture that the blob was found in.
    """
    inside, (height, width) = blob.inside, blob.inside.shape
    tall, wide = mask.shape[0] / worked[0], mask.shape[1] / worked[1]
    y0, y1 = round(blob.top * tall), round((blob.top + height) * tall)
    x0, x1 = round(blob.left * wide), round((blob.left + width) * wide)
    if inside.shape != (y1 - y0, x1 - x0):
        full = cv2.resize(inside * 255, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        inside = (full > 127).view(np.uint8)
    contours, _ = cv2.findContours(
        inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(x0, y0)
    )
    if not contours:
        return None
    mask[y0:y1, x0:x1] |= inside.view(np.bool_)
    contour = max(contours, key=cv2.contourArea).reshape(-1, 2).astype(np.int32, copy=False)
    sums = cv2.moments(inside, binaryImage=True)
    area = sums["m00"]
    # Whole numbers again, of which the division below gives the nearest mean.
    red, green, blue = (
        round(mean * area) / area for mean in cv2.mean(rgb[y0:y1, x0:x1], inside)[:3]
    )
    centre = sums["m10"] / area + x0, sums["m01"] / area + y0
    return Cell(contour=contour, centre=centre, area=int(area), colour=(red, green, blue))
