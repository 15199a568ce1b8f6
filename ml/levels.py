"""Medians and percentiles of 8-bit pictures, by counting instead of sorting.

A picture has many thousand pixels but 256 levels, so a handful of counts ("how many are at most
this bright?") finds the pixel in the middle some ten times faster. What comes out is what
`numpy.median` and `numpy.percentile` give, to the last bit: the packages in use were trained
behind those, and `ml.preprocessing.VERSION` promises that nothing has changed.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, np.float32)
Plane = NDArray[np.uint8]
Planes = tuple[Plane, ...]

SAMPLE = 16  # every so many-th pixel of every so many-th row is sorted, for a first guess


def split(rgb: NDArray[Any]) -> Planes:
    """The channels of an (H, W, n) uint8 picture, (H, W) each: three times as quick to work on."""
    return tuple(plane.astype(np.uint8, copy=False) for plane in cv2.split(rgb))


def merge(planes: Planes) -> Plane:
    """The (H, W, n) picture whose channels `split` gives."""
    return cv2.merge(planes).astype(np.uint8, copy=False)


def curved(planes: Planes, curves: NDArray[np.uint8]) -> Planes:
    """Every channel's levels replaced by what its row of (n, 256) says."""
    changed = (cv2.LUT(plane, curve) for plane, curve in zip(planes, curves, strict=True))
    return tuple(plane.astype(np.uint8, copy=False) for plane in changed)


def share_above(planes: Planes, least: int) -> float:
    """Share of the pixels, 0..1, whose three channels all reach `least`."""
    red, green, blue = planes
    darkest = cv2.min(cv2.min(red, green), blue)
    return float(np.count_nonzero(darkest >= least) / green.size)


def total(planes: Planes) -> NDArray[np.uint16]:
    """R + G + B of each pixel, 0..765: three times its grey."""
    red, green, blue = planes
    both = np.add(red, green, dtype=np.uint16)
    return np.add(both, blue, out=both)


def ranked(plane: NDArray[Any], rank: int) -> tuple[int, int]:
    """The level of the pixel that has this rank (0: the darkest), and how many are no brighter.

    `plane` is (H, W), unsigned.
    """
    sample = np.sort(plane[::SAMPLE, ::SAMPLE], axis=None)
    high = int(sample[rank * sample.size // plane.size])
    low, step = high - 1, 1
    # From the guess outwards, in steps that double, until the answer lies in low + 1 .. high.
    while (reached := np.count_nonzero(plane <= high)) <= rank:
        low, high, step = high, high + step, 2 * step
    while low >= 0 and (below := np.count_nonzero(plane <= low)) > rank:
        low, high, reached, step = low - step, low, below, 2 * step
    while high - low > 1:
        middle = (max(low, -1) + high) // 2
        if (below := np.count_nonzero(plane <= middle)) > rank:
            high, reached = middle, below
        else:
            low = middle
    return high, int(reached)


def neighbours(plane: NDArray[Any], percent: float, size: int) -> tuple[int, int, float]:
    """The levels next to the percentile of the `size` darkest pixels, and its place (0..1) between.

    `percent` is 0..100; `size` 1..plane.size.
    """
    place = (size - 1) * (percent / 100)
    rank = int(place)
    low, reached = ranked(plane, rank)
    beyond = min(rank + 1, size - 1)
    high = low if reached > beyond else ranked(plane, beyond)[0]
    return low, high, place - rank


def between(low: Number, high: Number, share: float) -> Number:
    """`share` of the way from `low` to `high`, rounded as numpy's 'linear' method does."""
    step = high - low
    return high - step * (1 - share) if share >= 0.5 else low + step * share


def percentile(plane: Plane, percent: float) -> float:
    """The level that `percent` (0..100) of the pixels do not exceed, interpolated."""
    low, high, share = neighbours(plane, percent, plane.size)
    return between(float(low), float(high), share)


def median(plane: NDArray[Any], size: int | None = None) -> float:
    """The middle level, halfway between the two where the number is even; of the `size` darkest."""
    low, high, share = neighbours(plane, 50, plane.size if size is None else size)
    return (low + high) / 2 if share else float(low)


def median_colour(planes: Sequence[Plane], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) medians of the planes where the (H, W) mask holds, which it must somewhere."""
    size = int(np.count_nonzero(chosen))
    # What is not chosen is made the brightest of all, and so comes last.
    rest = np.subtract(chosen, 1, dtype=np.uint8, casting="unsafe")
    return np.array([median(plane | rest, size) for plane in planes])
