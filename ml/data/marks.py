"""Scale bars burnt into the lower right corner, and which look each has.

In the Taleqani set they come in three looks that go with the class, so that a network may read
the bar instead of the cells. `ml.preprocessing.blank_corner` takes them away; here they are found.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ml.images import thumbnail
from ml.preprocessing import CORNER_SHARE

WORK_SIDE = 224  # pixels: the ink limits below were read off pictures of this size
# Over the 2,778 Taleqani corners: red bars have 4..42 red pixels (fewest over a nucleus) and all
# others none; small black bars have 14..18 black pixels (one tiny one has 1), large ones 117 or
# 118. Nuclei, however dark, stay violet; the salmon red cells of BCCD reach 2 red pixels.
RED_INK = 4
BLACK_INK = 8
LARGE_INK = 60


class Mark(StrEnum):
    """What is written over the smear's lower right corner."""

    NONE = "no mark"
    LARGE_BLACK = "large black"
    SMALL_BLACK = "small black"
    SMALL_RED = "small red"


def corner(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The (rows, columns, 3) part of an (H, W, 3) picture that `blank_corner` blanks."""
    rows, columns = (round(side * CORNER_SHARE) for side in rgb.shape[:2])
    return rgb[rgb.shape[0] - rows :, rgb.shape[1] - columns :]


def find_mark(rgb: NDArray[np.uint8]) -> Mark:
    """Which mark an (H, W, 3) uint8 RGB picture carries, by the ink in its corner."""
    red, black = ink(rgb)
    if red >= RED_INK and red > black:
        return Mark.SMALL_RED
    if black >= LARGE_INK:
        return Mark.LARGE_BLACK
    return Mark.SMALL_BLACK if black >= BLACK_INK else Mark.NONE


def ink(rgb: NDArray[np.uint8]) -> tuple[int, int]:
    """How many pixels of the corner are written in red and in black, at 224 px a side."""
    seen = corner(thumbnail(rgb, WORK_SIDE)).astype(np.int16)
    red, green, blue = seen[..., 0], seen[..., 1], seen[..., 2]
    is_red = (red - green > 35) & (red - blue > 35)
    is_black = (seen.max(axis=2) < 95) & (blue - green < 25)
    return int(is_red.sum()), int(is_black.sum())
