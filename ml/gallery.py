"""The segmented picture: the field's cells, each at full resolution, laid out in a square.

The paper's segmented twin is the field with everything but the cells blackened, shrunk to 128 x
128. A cell is then 17 pixels across, and how many cells there are and where they lie says as much
as what they look like: in the Taleqani set nearly all crowded fields are Pre-B, and a sparse
Pre-B slide was read wrongly from end to end. Here the same segmentation is laid out cell by cell.
Frozen VGG16 features of this picture, behind a logistic regression, reach 91 % of the fields of
sittings never seen; of the twin, 80 % (docs/model.md).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.blobs import disc
from ml.segmentation import Cell, Mask, Rgb, Segmentation

GRID = 4  # tiles a side
SIDE = 128  # pixels: the network's input
TILE = SIDE // GRID
GLASS = 240  # what surrounds the cells, and what `ml.preprocessing.balance` makes of empty glass
WINDOW = 40 / 224  # of the field's longer side: a blast of the Taleqani set is 25..35 px of 224
MARGIN = 8 / 224  # kept around a nucleus: the cytoplasm, which the stain threshold leaves out

VERSION = "gallery-4x4-40-8"
"""Changes whenever `gallery` may; part of `ml.preprocessing.VERSION`."""

Spots = NDArray[np.float32]


def spots(segmentation: Segmentation) -> Spots:
    """(n, 2) centres, x then y, of at most 16 cells: the largest first.

    Cells cut by the picture's edge are taken only where there are no whole ones: half a nucleus
    has another shape. (0, 2) where there is no cell.
    """
    height, width = segmentation.mask.shape
    whole = [cell for cell in segmentation.cells if not _cut(cell, height, width)]
    largest = sorted(whole or segmentation.cells, key=lambda cell: -cell.area)[: GRID * GRID]
    return np.array([cell.centre for cell in largest], dtype=np.float32).reshape(-1, 2)


def gallery(field: Rgb, mask: Mask, centres: Spots) -> Rgb:
    """(128, 128, 3) uint8: 4 x 4 windows around `centres`, glass where `mask` finds no cell near.

    `field` (H, W, 3) uint8, `mask` (H, W) bool, `centres` (n, 2) in the field's pixels. With
    fewer than sixteen cells they are shown again in turn, so that their number says nothing;
    without any, everything is glass.
    """
    return lay(tiles(field, mask, centres))


def tiles(field: Rgb, mask: Mask, centres: Spots) -> NDArray[np.uint8]:
    """(n, 32, 32, 3) uint8: the window around each of the centres."""
    side = max(field.shape[:2])
    half = max(1, round(side * WINDOW / 2))
    reach = 2 * round(side * MARGIN) + 1
    near = cv2.dilate(mask.view(np.uint8), disc(reach))
    height, width = field.shape[:2]
    padded = np.full((height + 2 * half, width + 2 * half, 3), GLASS, np.uint8)
    inner = padded[half : half + height, half : half + width]
    cv2.copyTo(field, near, inner)
    # One below the other, so that they are shrunk in one go: no window's pixels touch another's.
    column = np.empty((len(centres), 2 * half, 2 * half, 3), np.uint8)
    for number, (x, y) in enumerate(windows(centres, field.shape[:2])):
        column[number] = padded[y : y + 2 * half, x : x + 2 * half]
    if not len(centres):
        return np.empty((0, TILE, TILE, 3), np.uint8)
    size = TILE, TILE * len(centres)
    shrunk = cv2.resize(column.reshape(-1, 2 * half, 3), size, interpolation=cv2.INTER_AREA)
    return shrunk.reshape(-1, TILE, TILE, 3).astype(np.uint8, copy=False)


def windows(centres: Spots, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """(n, 2) upper left corners, x then y, of the windows in the field padded by half a window.

    A centre that a turn has thrown out of the (H, W) field is brought back to its edge.
    """
    inside = np.clip(np.rint(centres), 0, np.array([shape[1] - 1, shape[0] - 1]))
    return inside.astype(np.int64)


def lay(cells: NDArray[np.uint8]) -> Rgb:
    """(n, 32, 32, 3) tiles, n at most 16, to the (128, 128, 3) picture, repeated in turn."""
    if not len(cells):
        return np.full((SIDE, SIDE, 3), GLASS, np.uint8)
    every = cells[np.arange(GRID * GRID) % len(cells)].reshape(GRID, GRID, TILE, TILE, 3)
    return np.ascontiguousarray(every.transpose(0, 2, 1, 3, 4).reshape(SIDE, SIDE, 3))


def _cut(cell: Cell, height: int, width: int) -> bool:
    left, top, across, down = cv2.boundingRect(cell.contour)
    return left <= 0 or top <= 0 or left + across >= width or top + down >= height
