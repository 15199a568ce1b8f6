"""The paper's augmentation (Table 2), drawn once per picture and told to both inputs alike.

Geometry moves the field and its cell mask together; the segmented twin is then cut again from
the changed field, so that the two inputs never contradict each other.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far each operation may go. The defaults are Table 2's; `lamp` and `hue` are ours."""

    brightness: float = 0.05  # share of full scale added or taken away
    contrast: float = 0.08  # share by which distances from mid-grey grow or shrink
    rotation: float = 15.0  # degrees, either way
    jpeg: tuple[int, int] = (30, 100)  # quality, both ends included
    flips: bool = True
    lamp: float = 0.0  # each channel's gain, as exp(+-lamp): another lamp, another stain
    hue: float = 0.0  # OpenCV hue steps (2 degrees each), either way


TABLE_2 = Ranges()
# Background and stain go with the class in the Taleqani set. Shaking lamp and hue makes them
# worth less to the network; the amounts were set by judgement, not measured yet.
TRAINING = Ranges(lamp=0.12, hue=6.0)


@dataclass(frozen=True, slots=True)
class Change:
    """One drawn set of amounts: what happens to one picture."""

    brightness: float = 0.0
    contrast: float = 1.0
    rotation: float = 0.0
    jpeg: int | None = None
    flip_horizontal: bool = False
    flip_vertical: bool = False
    lamp: tuple[float, float, float] = (1.0, 1.0, 1.0)
    hue: float = 0.0


def draw(rng: np.random.Generator, ranges: Ranges = TABLE_2) -> Change:
    """A random change within the ranges; the same generator state gives the same change."""
    gains = np.exp(rng.uniform(-ranges.lamp, ranges.lamp, 3))
    return Change(
        brightness=float(rng.uniform(-ranges.brightness, ranges.brightness)),
        contrast=float(1 + rng.uniform(-ranges.contrast, ranges.contrast)),
        rotation=float(rng.uniform(-ranges.rotation, ranges.rotation)),
        jpeg=int(rng.integers(ranges.jpeg[0], ranges.jpeg[1] + 1)),
        flip_horizontal=bool(ranges.flips and rng.random() < 0.5),
        flip_vertical=bool(ranges.flips and rng.random() < 0.5),
        lamp=(float(gains[0]), float(gains[1]), float(gains[2])),
        hue=float(rng.uniform(-ranges.hue, ranges.hue)),
    )


def apply(change: Change, *, field: Picture, mask: Mask) -> tuple[Picture, Picture]:
    """The changed field and its segmented twin (cells on black), both (H, W, 3) uint8 RGB."""
    turned = move(field, change)
    cells = move(mask.astype(np.uint8), change).astype(bool)
    shown = compress(colour(turned, change), change.jpeg)
    return shown, np.where(cells[..., None], shown, np.uint8(0))


def move(picture: NDArray[np.uint8], change: Change) -> NDArray[np.uint8]:
    """Flips and rotation of (H, W[, 3]) uint8. What turns in from outside is a reflection.

    Masks (two dimensions) keep their values: nearest neighbour instead of a blend.
    """
    moved = picture
    if change.flip_horizontal:
        moved = moved[:, ::-1]
    if change.flip_vertical:
        moved = moved[::-1]
    if change.rotation:
        height, width = moved.shape[:2]
        centre = ((width - 1) / 2, (height - 1) / 2)
        matrix = cv2.getRotationMatrix2D(centre, change.rotation, 1.0)
        blend = cv2.INTER_NEAREST if picture.ndim == 2 else cv2.INTER_LINEAR
        moved = cv2.warpAffine(
            np.ascontiguousarray(moved),
            matrix,
            (width, height),
            flags=blend,
            borderMode=cv2.BORDER_REFLECT_101,
        ).astype(np.uint8)
    return np.ascontiguousarray(moved)


def colour(picture: Picture, change: Change) -> Picture:
    """Brightness, contrast, lamp and hue of (H, W, 3) uint8 RGB, clipped to 0..255."""
    levels = picture.astype(np.float32) * np.array(change.lamp, dtype=np.float32)
    levels = (levels - 127.5) * change.contrast + 127.5 + 255 * change.brightness
    shaded = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    if not change.hue:
        return shaded
    hsv = cv2.cvtColor(shaded, cv2.COLOR_RGB2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + round(change.hue)) % 180
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.uint8)


def compress(picture: Picture, quality: int | None) -> Picture:
    """The (H, W, 3) uint8 RGB picture after a JPEG of that quality (1..100); None: untouched."""
    if quality is None:
        return picture
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV reads what it wrote"
    return decoded[..., ::-1].astype(np.uint8)
