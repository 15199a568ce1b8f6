"""The paper's augmentation (Table 2) and ours, drawn once per picture and told to both inputs.

Geometry moves the field, its cell mask and the cells' centres together; the segmented picture is
then cut again from the changed field, so that the two inputs never contradict each other.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far each operation may go. The defaults are Table 2's; `stain` and `lamp` are ours."""

    brightness: float = 0.05  # share of full scale added or taken away
    contrast: float = 0.08  # share by which distances from mid-grey grow or shrink
    rotation: float = 15.0  # degrees, either way
    jpeg: tuple[int, int] = (30, 100)  # quality, both ends included
    flips: bool = True
    lamp: float = 0.0  # each channel's gain, as exp(+-lamp): another lamp, another stain
    stain: float = 0.0  # each channel's optical density, times exp(+-stain)


TABLE_2 = Ranges()
# Stain and lamp change from sitting to sitting and go with the class in the Taleqani set. A smear
# has no upright, either.
TRAINING = Ranges(rotation=180.0, lamp=0.08, stain=0.25)


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
    stain: tuple[float, float, float] = (1.0, 1.0, 1.0)


def draw(rng: np.random.Generator, ranges: Ranges = TABLE_2) -> Change:
    """A random change within the ranges; the same generator state gives the same change."""
    lamp, strength = (
        np.exp(rng.uniform(-reach, reach, 3)).tolist() for reach in (ranges.lamp, ranges.stain)
    )
    return Change(
        brightness=float(rng.uniform(-ranges.brightness, ranges.brightness)),
        contrast=float(1 + rng.uniform(-ranges.contrast, ranges.contrast)),
        rotation=float(rng.uniform(-ranges.rotation, ranges.rotation)),
        jpeg=int(rng.integers(ranges.jpeg[0], ranges.jpeg[1] + 1)),
        flip_horizontal=bool(ranges.flips and rng.random() < 0.5),
        flip_vertical=bool(ranges.flips and rng.random() < 0.5),
        lamp=(lamp[0], lamp[1], lamp[2]),
        stain=(strength[0], strength[1], strength[2]),
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
        matrix = _turn(change.rotation, height, width)
        blend = cv2.INTER_NEAREST if picture.ndim == 2 else cv2.INTER_LINEAR
        moved = cv2.warpAffine(
            np.ascontiguousarray(moved),
            matrix,
            (width, height),
            flags=blend,
            borderMode=cv2.BORDER_REFLECT_101,
        ).astype(np.uint8)
    return np.ascontiguousarray(moved)


def move_points(points: Points, change: Change, shape: tuple[int, ...]) -> Points:
    """(n, 2) positions, x then y, where `move` takes them in an (H, W) picture."""
    height, width = shape[:2]
    moved = points.astype(np.float64)
    if change.flip_horizontal:
        moved[:, 0] = width - 1 - moved[:, 0]
    if change.flip_vertical:
        moved[:, 1] = height - 1 - moved[:, 1]
    matrix = _turn(change.rotation, height, width)
    return np.asarray(moved @ matrix[:, :2].T + matrix[:, 2], dtype=np.float32)


def _turn(degrees: float, height: int, width: int) -> NDArray[np.float64]:
    centre = ((width - 1) / 2, (height - 1) / 2)
    return np.asarray(cv2.getRotationMatrix2D(centre, degrees, 1.0), dtype=np.float64)


def colour(picture: Picture, change: Change) -> Picture:
    """Stain, lamp, brightness and contrast of (H, W, 3) uint8 RGB, clipped to 0..255."""
    shown = stain(picture, strengths=change.stain, lamp=change.lamp)
    if not (change.brightness or change.contrast != 1.0):
        return shown
    levels = (np.arange(256) - 127.5) * change.contrast + 127.5 + 255 * change.brightness
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.asarray(table[shown])


def stain(picture: Picture, *, strengths: Any, lamp: Any) -> Picture:
    """(..., 3) uint8 RGB as another staining and another lamp would show it.

    `strengths` (3,) multiply each channel's optical density, -log(light / 255) (Beer and
    Lambert; empty glass stays what it is), `lamp` (3,) the light itself.
    """
    levels = np.maximum(np.arange(256), 1) / 255
    tables = 255 * levels[:, None] ** np.asarray(strengths) * np.asarray(lamp)
    table = np.clip(np.rint(tables), 0, 255).astype(np.uint8)
    return np.stack([table[picture[..., c], c] for c in range(3)], axis=-1)


def compress(picture: Picture, quality: int | None) -> Picture:
    """The (H, W, 3) uint8 RGB picture after a JPEG of that quality (1..100); None: untouched."""
    if quality is None:
        return picture
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV reads what it wrote"
    return decoded[..., ::-1].astype(np.uint8)
