"""The cells of a segmented picture as a few hundred bytes, and drawn onto the picture again.

What is kept is each cell's outline, not the mask: outlines stay small when the picture is large,
and can be scaled when the picture to draw on has another size than the one that was segmented.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.segmentation import Cell, Segmentation, outlined

Rgb = NDArray[np.uint8]
Contour = NDArray[np.int32]

_NUMBER = np.dtype("<i4")


class OutlinesBroken(ValueError):
    """The bytes are not what `pack` gives."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """The found cells of a picture of ``size`` (height, width): one (N, 2) contour each, x, y."""

    size: tuple[int, int]
    contours: tuple[Contour, ...]

    def isolate(self, rgb: Rgb) -> Rgb:
        """The cells of the (H, W, 3) uint8 picture in their own colours on black."""
        mask = np.zeros(rgb.shape[:2], np.uint8)
        cv2.drawContours(mask, self._on(rgb), -1, 255, cv2.FILLED)
        return cv2.bitwise_and(rgb, rgb, mask=mask).astype(np.uint8, copy=False)

    def outline(self, rgb: Rgb) -> Rgb:
        """A copy of the (H, W, 3) uint8 picture with a green line around each cell."""
        return outlined(rgb, self._on(rgb))

    def measure(self, rgb: Rgb) -> tuple[Cell, ...]:
        """The cells as they lie on the (H, W, 3) uint8 picture, in the order of the contours.

        Area and colour are taken inside the outline, so a hole in a cell counts as cell.
        """
        return tuple(_measured(contour.reshape(-1, 2), rgb) for contour in self._on(rgb))

    def _on(self, rgb: Rgb) -> list[NDArray[np.int32]]:
        """The contours in the pixels of `rgb`, shaped as OpenCV wants them."""
        scale = np.divide(rgb.shape[1::-1], self.size[::-1])
        if (scale == 1).all():
            return [contour.reshape(-1, 1, 2) for contour in self.contours]
        return [
            np.rint(contour * scale).astype(np.int32).reshape(-1, 1, 2) for contour in self.contours
        ]


def _measured(contour: Contour, rgb: Rgb) -> Cell:
    x, y, width, height = cv2.boundingRect(contour)
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [contour - (x, y)], -1, 1, cv2.FILLED)
    sums = cv2.moments(inside, binaryImage=True)
    red, green, blue = cv2.mean(rgb[y : y + height, x : x + width], inside)[:3]
    return Cell(
        contour=contour,
        centre=(sums["m10"] / sums["m00"] + x, sums["m01"] / sums["m00"] + y),
        area=int(sums["m00"]),
        colour=(red, green, blue),
    )


def pack(found: Segmentation) -> bytes:
    """The outlines of the found cells; about half a kilobyte for a field with twenty of them."""
    contours = [cell.contour for cell in found.cells]
    lengths = [len(contour) for contour in contours]
    corners = np.concatenate([np.empty((0, 2), np.int32), *contours])
    # Steps from corner to corner are small numbers, which zlib packs well. Each cell's first
    # corner stands as it is.
    steps = np.diff(corners, axis=0, prepend=0)
    first = np.cumsum([0, *lengths])[:-1]
    steps[first] = corners[first]
    head = [*found.mask.shape, len(contours), *lengths]
    return zlib.compress(np.concatenate([head, steps.ravel()]).astype(_NUMBER).tobytes(), 1)


def unpack(packed: bytes) -> Outlines:
    """What `pack` was given.

    Raises `OutlinesBroken` for anything else.
    """
    try:
        numbers: Sequence[int] | NDArray[np.int32] = np.frombuffer(
            zlib.decompress(packed), dtype=_NUMBER
        )
        height, width, count = map(int, numbers[:3])
        lengths = np.asarray(numbers[3 : 3 + count])
        steps = np.asarray(numbers[3 + count :]).reshape(-1, 2)
        if len(lengths) != count or lengths.sum() != len(steps):
            raise OutlinesBroken("the outlines are cut short")
    except (zlib.error, ValueError) as error:
        raise OutlinesBroken(str(error)) from error
    parts = np.split(steps, np.cumsum(lengths)[:-1]) if count else []
    return Outlines((height, width), tuple(part.cumsum(axis=0, dtype=np.int32) for part in parts))
