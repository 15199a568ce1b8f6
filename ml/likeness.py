"""Which cells look alike: twelve measures of each, and the nearest of many.

Measured, not learned: size, shape, and how deeply and how evenly the stain lies. On the Taleqani
fields a cell's four nearest cells of *other slides* come from a field of its own class 61 % of
the time, where chance gives 23 %; of other sittings at the microscope 45 %, chance 16 %
(docs/workstation.md has the intervals; `python -m ml.experiments.likeness` makes them). Features
of the package's trunk, 512 of them and a pass of the network, gave 70 % and 59 %: better, but
they also see the cell's neighbours, and each new package would have all of them made anew.

So the nearest are alike in looks. That is no reading of a cell: much of what they share is the
stain and the light.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.outlines import Outlines
from ml.preprocessing import background_colour
from ml.segmentation import Cell, Rgb

MEASURES = (
    *("size", "roundness", "solidity", "edge"),
    *("red", "green", "blue"),
    *("red_spread", "green_spread", "blue_spread"),
    *("lightest", "darkest"),
)
"""Diameter over the picture's longer side; the disc's 1; outline over diameter; then optical
densities against the empty glass: means, standard deviations, and the green one's ends."""

Measures = NDArray[np.float32]


def measured(found: Outlines, rgb: Rgb) -> Measures:
    """(n, 12) of the n cells on the (H, W, 3) uint8 picture, in the order of the outlines."""
    glass = np.maximum(background_colour(rgb), 1)
    rows = [_measured(cell, rgb, glass) for cell in found.measure(rgb)]
    return np.array(rows, np.float32).reshape(-1, len(MEASURES))


def nearest(cell: Measures, pool: Measures, scale: Measures) -> NDArray[np.int64]:
    """The indices of the (m, 12) pool, the most alike first.

    Args:
        cell: (12,), what to compare.
        scale: (12,) what counts as one step of each measure: their standard deviations.
    """
    step = np.where(scale > 0, scale, 1)
    return np.argsort(np.square((pool - cell) / step).sum(axis=1), kind="stable")


def crop(found: Outlines, rgb: Rgb, number: int, side: int) -> Rgb:
    """(side, side, 3): one cell with some surroundings, as the case page's gallery cuts it.

    What lies outside the picture is the picture's edge, drawn out. IndexError: no such cell.
    """
    x, y, width, height = cv2.boundingRect(found.measure(rgb)[number].contour)
    reach = max(8, round(0.7 * max(width, height)))
    padded = cv2.copyMakeBorder(rgb, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    left, top = x + width // 2, y + height // 2  # in the padded picture less `reach`
    cut = padded[top : top + 2 * reach, left : left + 2 * reach]
    return np.asarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _measured(cell: Cell, rgb: Rgb, glass: NDArray[np.float32]) -> list[float]:
    outline = cell.contour.reshape(-1, 1, 2)
    x, y, width, height = cv2.boundingRect(outline)
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [outline - (x, y)], -1, 1, cv2.FILLED)
    light = rgb[y : y + height, x : x + width][inside > 0].astype(np.float32) / glass
    density = -np.log10(np.clip(light, 1 / 255, 1))
    return [
        cell.diameter / max(rgb.shape[:2]),
        cell.roundness,
        cell.area / max(cv2.contourArea(cv2.convexHull(outline)), 1),
        cv2.arcLength(outline, closed=True) / max(cell.diameter, 1),
        *density.mean(axis=0),
        *density.std(axis=0),
        *np.percentile(density[:, 1], [10, 90]),
    ]
