"""Drawn blood-smear fields: for trying the product out, for tests and for load, never for training.

Nobody's blood is in them, so they can be shown, committed and thrown at a server. They imitate the
Taleqani fields: at 224 px a red cell is 15..19 px across, a blast 19..30 px; glass is near white,
red cells are bluish grey with a pale centre, nuclei violet (as in Early and Pre) to pink (as in
Pro). The quality gate and the segmentation treat them as they treat real ones. A mark in the
file's own notes (:data:`ml.images.SYNTHETIC_MARK`) tells them apart for ever.

Light is modelled as in the microscope: each thing lets a share of each colour through, and what
lies over another takes its share of the rest, so overlapping red cells are darker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.images import encode_jpeg, encode_png, encode_tiff

Rgb = NDArray[np.uint8]
Plane = NDArray[np.float32]
Colour = tuple[float, float, float]

VERSION = "synthetic-1"
FLAWS = ("blurred", "dark", "over_exposed")
_MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}

# Transmittance (R, G, B), from the mean colours of each folder over its own glass.
_GLASS: tuple[Colour, ...] = ((0.99, 0.995, 0.965), (0.965, 0.985, 0.99), (0.985, 0.985, 0.985))
_RED_CELL: tuple[Colour, ...] = ((0.73, 0.78, 0.88), (0.66, 0.75, 0.90), (0.76, 0.77, 0.83))
_NUCLEUS: tuple[Colour, ...] = ((0.58, 0.49, 0.96), (0.63, 0.53, 0.96), (0.80, 0.63, 0.975))
_CYTOPLASM: Colour = (0.72, 0.76, 0.95)
_PLATELET: Colour = (0.66, 0.56, 0.90)


@dataclass(frozen=True, slots=True)
class Example:
    """One field of a :func:`catalogue`: the picture, how to draw it again, and what is wrong."""

    rgb: Rgb
    seed: int
    blasts: int
    flaw: str
    """'' or one of :data:`FLAWS`."""


def smear(
    *,
    seed: int,
    size: int = 512,
    blasts: int | None = None,
    red_cells: int | None = None,
    blur: float = 0.0,
    exposure: float = 1.0,
    stain: int | None = None,
) -> Rgb:
    """Draw one field, (size, size, 3) uint8 RGB. The same arguments give the same picture.

    ``blasts`` and ``red_cells`` are how many to draw (by the seed when None: 3..14 and 60..130);
    fewer blasts are drawn when there is no room left. ``blur`` is the defocus as a Gaussian sigma
    in pixels of a 224 px field (3 is beyond reading), ``exposure`` multiplies the light, ``stain``
    picks the palette 0..2. Raises ValueError for a size below 64 or a negative count.
    """
    if size < 64 or min(blasts or 0, red_cells or 0) < 0 or blur < 0 or exposure < 0:
        raise ValueError("size must be 64 or more; counts, blur and exposure not negative")
    random = np.random.default_rng(seed)
    drawn_blasts, drawn_reds = int(random.integers(3, 15)), int(random.integers(60, 131))
    palette = int(random.integers(0, 3))
    blasts = drawn_blasts if blasts is None else blasts
    red_cells = drawn_reds if red_cells is None else red_cells
    palette = palette if stain is None else stain % 3
    # Each thing draws from its own stream: another count of one leaves the others where they were.
    field = _Field(size, np.random.default_rng((seed, 1)))
    field.plan_blasts(blasts)
    for _ in range(red_cells):
        field.red_cell()
    field.stain_reds(_RED_CELL[palette])
    field.random = np.random.default_rng((seed, 2))
    for spot in field.taken:
        field.blast(spot, _NUCLEUS[palette])
    for _ in range(int(field.random.integers(2, 9))):
        field.platelet()
    return _photograph(field.light, field.random, _GLASS[palette], blur, exposure)


def catalogue(
    count: int, *, seed: int = 0, size: int = 512, flawed: float = 0.0
) -> Iterator[Example]:
    """``count`` varied fields, one at a time. ``flawed`` is the share, 0..1, that the quality gate
    should refuse: blurred, dark and over-exposed in turn."""
    spoilt = 0
    for number in range(count):
        own = seed * 1_000_003 + number
        random = np.random.default_rng((seed, number, 3))
        blasts = int(random.integers(3, 22))
        flaw = ""
        if int((number + 1) * flawed + 1e-9) > spoilt:
            flaw = FLAWS[spoilt % len(FLAWS)]
            spoilt += 1
        rgb = smear(
            seed=own,
            size=size,
            blasts=blasts,
            blur=4.0 if flaw == "blurred" else float(random.uniform(0, 0.35)),
            exposure={"dark": 0.3, "over_exposed": 2.2}.get(
                flaw, float(random.uniform(0.95, 1.02))
            ),
        )
        yield Example(rgb=rgb, seed=own, blasts=blasts, flaw=flaw)


def to_bytes(rgb: Rgb, media_type: str = "image/png") -> bytes:
    """The file, marked as synthetic. ValueError for a type other than JPEG, PNG or TIFF."""
    if media_type == "image/png":
        return encode_png(rgb, synthetic=True)
    if media_type == "image/jpeg":
        return encode_jpeg(rgb, quality=92, synthetic=True)
    if media_type == "image/tiff":
        return encode_tiff(rgb, synthetic=True)
    raise ValueError(f"cannot write {media_type!r}; use image/jpeg, image/png or image/tiff")


def write(path: Path, rgb: Rgb) -> Path:
    """Write the picture, marked as synthetic, in the type its suffix names; ValueError if none."""
    media_type = _MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None:
        raise ValueError(f"{path.name}: use .jpg, .png or .tif")
    path.write_bytes(to_bytes(rgb, media_type))
    return path


@dataclass(frozen=True, slots=True)
class _Spot:
    row: float
    column: float
    radius: float


class _Field:
    """The light coming through the slide, (size, size, 3) float32 0..1, while it is being drawn."""

    def __init__(self, size: int, random: np.random.Generator) -> None:
        self.size = size
        self.unit = size / 224
        self.random = random
        self.light: Plane = np.ones((size, size, 3), dtype=np.float32)
        self.haemoglobin: Plane = np.zeros((size, size), dtype=np.float32)
        self.taken: list[_Spot] = []
        self.reds: list[_Spot] = []
        self.red_radius = float(random.uniform(7.4, 9.4)) * self.unit
        # One noise for the whole field, cut differently for each nucleus.
        self.chromatin = _mottle(self.random, size, self.unit)

    def plan_blasts(self, count: int) -> None:
        """Find room for the blasts first; red cells flow round them. Some touch each other."""
        for _ in range(count):
            radius = float(self.random.normal(11.5, 1.5)) * self.unit
            radius = float(np.clip(radius, 9 * self.unit, 15 * self.unit))
            for _ in range(40):
                row, column = self.random.uniform(-0.02 * self.size, 1.02 * self.size, 2)
                if all(_gap(row, column, t) > 0.93 * (radius + t.radius) for t in self.taken):
                    self.taken.append(_Spot(float(row), float(column), radius))
                    break

    def red_cell(self) -> None:
        """One red cell: a disc, thick at the rim. A third lie against another, as in rouleaux."""
        radius = self.red_radius * float(self.random.normal(1, 0.07))
        spot = self._room_for_red(radius)
        pale = float(np.clip(self.random.normal(0.62, 0.28), 0, 0.95))
        stretch = float(self.random.uniform(0.82, 1.0))
        depth = float(np.clip(self.random.normal(1.0, 0.15), 0.6, 1.4))
        patch = self._patch(spot, self._rim(0.02, stretch))
        if patch is None:
            return
        window, reach, softness = patch
        inside = _step((1 - reach) * radius, softness * 1.2)
        dent = 1 - pale * np.exp(-((reach / 0.52) ** 4))
        self.haemoglobin[window] += inside * dent * (0.85 + 0.3 * reach) * depth

    def stain_reds(self, colour: Colour) -> None:
        """Colour all red cells at once. Where they overlap the second counts by less than half:
        real ones flatten against each other, and pile up no deeper."""
        once = np.minimum(self.haemoglobin, 1)
        self._stain(np.s_[:, :], colour, once + 0.4 * (self.haemoglobin - once))

    def blast(self, spot: _Spot, colour: Colour) -> None:
        """One blast: a thin, pale cytoplasm and a nucleus that nearly fills it, off centre."""
        whole = self._patch(spot, self._rim(0.035, float(self.random.uniform(0.8, 1.0))))
        thin = float(self.random.uniform(0.88, 0.97))
        lean = self.random.normal(0, 0.03, 2) * spot.radius
        core = _Spot(spot.row + float(lean[0]), spot.column + float(lean[1]), spot.radius * thin)
        nucleus = self._patch(core, self._rim(0.03, float(self.random.uniform(0.84, 1.0))))
        if whole is None or nucleus is None:
            return
        window, reach, softness = whole
        rim = _step((1 - reach) * spot.radius, softness)
        # White cells push red ones aside rather than lie on them.
        self.light[window] = 1 - (1 - self.light[window]) * (1 - 0.9 * rim[..., None])
        inner, reach, softness = nucleus
        body = _step((1 - reach) * core.radius, softness * 1.3)
        self._stain(window, _CYTOPLASM, rim * 0.75)
        # The nucleus lies in the cytoplasm, not over it: its colour is not darkened by it.
        self.light[inner] = self.light[inner] * (1 - body[..., None]) + body[..., None]
        texture = np.roll(self.chromatin, self.random.integers(0, self.size, 2), (0, 1))[inner]
        strength = float(np.clip(self.random.normal(0.9, 0.13), 0.65, 1.2))
        density = strength * (0.95 + 0.16 * texture + 0.10 * reach**2)
        for _ in range(int(self.random.integers(0, 3))):
            density = density * (1 - self._nucleolus(core, inner))
        self._stain(inner, colour, body * density)

    def platelet(self) -> None:
        """A purple speck, far smaller than a cell."""
        row, column = self.random.uniform(0, self.size, 2)
        radius = float(self.random.uniform(1.0, 1.9)) * self.unit
        patch = self._patch(_Spot(float(row), float(column), radius), self._rim(0.1, 0.9))
        if patch is not None:
            window, reach, softness = patch
            self._stain(window, _PLATELET, _step((1 - reach) * radius, softness))

    def _room_for_red(self, radius: float) -> _Spot:
        spot = _Spot(0.0, 0.0, radius)
        for attempt in range(30):
            row, column = self.random.uniform(-radius, self.size + radius, 2)
            near = 0.98
            if self.reds and self.random.random() < 0.35:
                mate = self.reds[int(self.random.integers(len(self.reds)))]
                turn = float(self.random.uniform(0, 2 * np.pi))
                away = float(self.random.uniform(1.1, 1.8)) * radius
                row, column = mate.row + away * np.sin(turn), mate.column + away * np.cos(turn)
                near = 0.5
            spot = _Spot(float(row), float(column), radius)
            clear = all(_gap(row, column, t) > 0.97 * (radius + t.radius) for t in self.taken)
            crowd = near if attempt < 20 else 0.5
            if clear and all(_gap(row, column, t) > crowd * (radius + t.radius) for t in self.reds):
                break
        else:
            return _Spot(-9 * radius, -9 * radius, radius)  # no room: off the slide
        self.reds.append(spot)
        return spot

    def _rim(self, wobble: float, stretch: float) -> tuple[NDArray[np.float64], float, float]:
        """An irregular outline: waves of 2..5 round the rim, a stretch and its direction."""
        waves = self.random.normal(0, wobble, (4, 2)) / np.array([[1.0], [1.3], [1.8], [2.4]])
        return waves, stretch, float(self.random.uniform(0, np.pi))

    def _patch(
        self, spot: _Spot, rim: tuple[NDArray[np.float64], float, float]
    ) -> tuple[tuple[slice, slice], Plane, float] | None:
        """Where the spot lies, how far out each pixel is (1: rim), and the edge's softness."""
        waves, stretch, turn = rim
        reach = spot.radius * 1.35 + 2
        top, left = max(0, int(spot.row - reach)), max(0, int(spot.column - reach))
        bottom, right = int(spot.row + reach) + 1, int(spot.column + reach) + 1
        bottom, right = min(self.size, bottom), min(self.size, right)
        if top >= bottom or left >= right:
            return None
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        rows, columns = rows - np.float32(spot.row), columns - np.float32(spot.column)
        along = columns * np.cos(turn) + rows * np.sin(turn)
        across = rows * np.cos(turn) - columns * np.sin(turn)
        # Powers of a unit complex number are the waves' cosines and sines, without a trigonometry.
        circle = (along + 1j * across).astype(np.complex64)
        circle /= np.maximum(np.abs(circle), 1e-6)
        rim_at, wave = np.ones_like(along), circle
        for cosine, sine in waves.tolist():
            wave = wave * circle
            rim_at += cosine * wave.real + sine * wave.imag
        far = np.hypot(along * np.sqrt(stretch), across / np.sqrt(stretch))
        out = (far / (spot.radius * rim_at)).astype(np.float32)
        return (slice(top, bottom), slice(left, right)), out, 0.55 * self.unit

    def _nucleolus(self, core: _Spot, window: tuple[slice, slice]) -> Plane:
        away = self.random.normal(0, 0.3, 2) * core.radius
        radius = core.radius * float(self.random.uniform(0.12, 0.2))
        rows, columns = np.mgrid[window].astype(np.float32)
        far = np.hypot(rows - core.row - away[0], columns - core.column - away[1])
        paler: Plane = (0.25 * np.exp(-((far / radius) ** 2))).astype(np.float32)
        return paler

    def _stain(
        self, window: tuple[slice, slice], colour: Colour, density: NDArray[np.floating]
    ) -> None:
        """Beer and Lambert: light falls by the colour's transmittance to the power of density."""
        absorbed = np.log(np.asarray(colour, dtype=np.float32))
        self.light[window] *= np.exp(absorbed * density[..., None]).astype(np.float32)


def _gap(row: float, column: float, spot: _Spot) -> float:
    return float(np.hypot(row - spot.row, column - spot.column))


def _step(depth: Plane, softness: float) -> Plane:
    """0 outside, 1 inside, over an edge ``softness`` pixels wide on each side."""
    ramp = np.clip(depth / (2 * softness) + 0.5, 0, 1)
    edge: Plane = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return edge


def _mottle(random: np.random.Generator, size: int, unit: float) -> Plane:
    """Noise of two grains with mean 0 and deviation 1, (size, size) float32: chromatin."""
    plane = np.zeros((size, size), dtype=np.float32)
    for sigma, share in ((0.6, 1.0), (1.6, 0.8)):
        noise = random.standard_normal((size, size), dtype=np.float32)
        soft = cv2.GaussianBlur(noise, (0, 0), sigma * unit, borderType=cv2.BORDER_REFLECT)
        plane += (share / float(soft.std())) * soft
    return plane / float(plane.std())


def _photograph(
    light: Plane, random: np.random.Generator, glass: Colour, blur: float, exposure: float
) -> Rgb:
    """Lamp, lens and camera: uneven light, the lens's own softness, sensor noise, 8 bits."""
    size = light.shape[0]
    unit = size / 224
    light = cv2.GaussianBlur(light, (0, 0), float(np.hypot(0.45, blur)) * unit).astype(np.float32)
    middle = random.uniform(0.35, 0.65, 2) * size
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    far = ((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2) / (size * size)
    # The corners fall off, and the blue least: the lens's colour error.
    fall = far[..., None] * np.array((0.16, 0.14, 0.05), dtype=np.float32)
    lit = light * np.asarray(glass, dtype=np.float32) * (1 - fall) * (255 * exposure)
    noise = random.standard_normal(lit.shape, dtype=np.float32) * np.float32(1.6)
    out: Rgb = np.clip(np.rint(lit + noise), 0, 255).astype(np.uint8)
    return out
