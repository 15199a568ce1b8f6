"""From a decoded picture to what the network sees. Training and reading share this one door.

The order is part of the version: blank the scale-bar corner, judge the quality, find the white
cells (both on the full-size picture), balance the light, then shrink the field to 128 x 128 and
lay its cells out in a picture of the same size.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml import gallery, levels, quality, segmentation
from ml.gallery import GLASS, Spots
from ml.images import decode
from ml.quality import Quality, judge
from ml.segmentation import Segmentation, segment, stain_map

ENOUGH = 2 * segmentation.WORK_SIDE
"""Pixels on the longer side, 896, that are enough: `open_picture` decodes no larger than needed.

Segmentation works at 448, quality at 224, the network at 128, each on an average of areas. Twice
the largest of these leaves the averaging to do.
"""

SIZE = gallery.SIDE  # 128 pixels: the side of both inputs (paper section 3.4)

# The Taleqani pictures carry a scale bar in three looks that go with the class. Over all 2,778
# the widest label begins at row 194 and column 193 of 224; JPEG smears it no further than its
# 16-pixel block, which begins at 192. 5/32 blanks rows and columns from 189 on.
CORNER_SHARE = 5 / 32


# `GLASS` is the grey that empty glass is brought to. The lamp's colour goes with the class in the
# Taleqani set, so a network could read the lamp instead of the cells.
VERSION = f"corner-5/32+{segmentation.VERSION}+glass-{GLASS}+area-128+{gallery.VERSION}"

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Prepared:
    """One picture, ready for the network.

    `original` and `segmented` are (128, 128, 3) uint8 RGB; the network divides nothing by
    itself, so use `unit` before feeding them. `balanced` is the full-size picture with the corner
    blanked and the light evened; `spots` are the cells of it that `segmented` shows, in their
    order (`ml.gallery`). `quality` speaks of the picture before the light was evened.
    """

    original: Picture
    segmented: Picture
    balanced: Picture
    quality: Quality
    segmentation: Segmentation
    spots: Spots


def prepare(rgb: Picture) -> Prepared:
    """Everything between `ml.images.decode` and the network, for one (H, W, 3) uint8 RGB."""
    field = blank_corner(rgb)
    # Up to this size both look at the field itself; larger ones each shrink to a side of its own.
    shared = stain_map(field) if max(field.shape[:2]) <= quality.SIDE else None
    cells = segment(field, stain=shared)
    balanced = balance(field)
    spots = gallery.spots(cells)
    return Prepared(
        original=shrink(balanced),
        segmented=gallery.gallery(balanced, cells.mask, spots),
        balanced=balanced,
        quality=judge(field, stain=shared),
        segmentation=cells,
        spots=spots,
    )


def open_picture(data: bytes) -> Picture:
    """The bytes of a JPEG, PNG or TIFF to what `prepare` takes; `ml.images.ImageRefused` if broken.

    `VERSION` covers what `prepare` does to pixels, and holds for what comes of it here, too: a
    picture whose longer side has fewer than 2 x `ENOUGH` = 1,792 pixels, as every one that the
    packages were trained and judged on, comes pixel by pixel. Of a larger one come averages of
    2 x 2, 4 x 4 or 8 x 8 pixels, the first step of the shrinking that would follow.

    So a large picture is read nearly, not exactly, as it would be in full. Of 24 synthetic smears
    of 2000 x 1500 all had the same verdict on quality and 23 the same number of cells, the other
    one fewer; masks agreed to 0.98 (median; at least 0.92) by intersection over union. Saving
    the same pictures again at JPEG quality 80 moves as much: one cell, 0.92, the threshold by
    0.02. The glass may come out one level off in a channel. No labelled smear of that size was
    at hand, so what it does to the classes is unknown.

    Cells and outlines are in the pixels of what is returned here, which has the shape of the
    original but not its size.
    """
    return decode(data, enough=ENOUGH)


def blank_corner(rgb: Picture) -> Picture:
    """A copy of the (H, W, 3) uint8 picture with its lower right 5/32 x 5/32 made background.

    Done at training and at reading alike: a network that has never seen the bar cannot lean on
    it, and a microscope that burns one in cannot sway the answer. A cell there is lost, too.
    """
    height, width = rgb.shape[:2]
    rows, columns = round(height * CORNER_SHARE), round(width * CORNER_SHARE)
    field = rgb.copy()
    field[height - rows :, width - columns :] = background_colour(rgb)
    return field


def background_colour(rgb: Picture) -> Picture:
    """The (3,) uint8 median colour of the brighter half of the picture: the empty glass."""
    step = max(1, max(rgb.shape[:2]) // 448)  # every pixel of a small field, enough of a large one
    planes = levels.split(np.ascontiguousarray(rgb[::step, ::step]))
    grey = levels.total(planes)
    return levels.median_colour(planes, grey >= levels.median(grey)).astype(np.uint8)


def balance(rgb: Picture) -> Picture:
    """(H, W, 3) uint8 with every channel scaled so that the empty glass becomes `GLASS` grey."""
    gain = GLASS / np.maximum(background_colour(rgb).astype(np.float32), 1)
    curves = np.clip(np.rint(np.arange(256) * gain[:, None]), 0, 255).astype(np.uint8)
    return levels.merge(levels.curved(levels.split(rgb), curves))


def shrink(rgb: Picture) -> Picture:
    """(H, W, 3) uint8 to (128, 128, 3) uint8, averaging areas so that nothing aliases."""
    return cv2.resize(rgb, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def unit(pictures: Picture) -> NDArray[np.float32]:
    """uint8 0..255 to float32 0..1, any shape: the scale the paper feeds (section 3.4)."""
    return pictures.astype(np.float32) / np.float32(255)
