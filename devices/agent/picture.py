"""A look at a picture before it is taken: is it whole, and is it good enough to be of use?

What cannot be read is refused here at once, so that it can be taken again while the slide is under
the lens. Light and focus are only warned of unless the bench wants it stricter: the hospital
judges, with the same three figures at the same size.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .client import media_type

Rgb = NDArray[np.uint8]
Plane = NDArray[np.float32]

SIDE = 224
"""Pixels of the longer side at which is measured: what a network will see of the picture."""
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/tiff": "TIFF"}
JPEG_END = b"\xff\xd9"

RETAKE = {
    "too_dark": "The field is too dark. Turn the lamp up or open the diaphragm, take it again.",
    "too_bright": "The field is over-exposed. Turn the lamp down, take it again.",
    "out_of_focus": "The field is out of focus. Focus on the nuclei, take it again.",
}


class Unusable(Exception):
    """The hospital could not read this picture either.

    Attributes:
        code: as the hospital's own: truncated, corrupt, not_an_image, too_many_pixels.
        detail: what to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code})")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Limits:
    """What is good enough. The defaults are the hospital's; its configuration may say otherwise.

    Attributes:
        minimum_focus: see `focus_of`; 0 for any.
        minimum_brightness: of the bare glass, 0..255; 0 for any.
        maximum_clipped: share of pure white, 0..1; 1 for any.
    """

    minimum_focus: float = 1.3
    minimum_brightness: float = 130
    maximum_clipped: float = 0.6

    @classmethod
    def told(cls, configuration: dict[str, Any]) -> "Limits":
        """The hospital's wishes where it has any, else the defaults."""
        wishes = {
            name: float(configuration[name])
            for name in ("minimum_focus", "minimum_brightness", "maximum_clipped")
            if isinstance(configuration.get(name), int | float)
        }
        return cls(**wishes)


@dataclass(frozen=True, slots=True)
class Look:
    """What a picture is like.

    Attributes:
        grey: (H, W) uint8, the whole picture, for a barcode to be looked for.
        focus: see `focus_of`.
        brightness: 90 % quantile of luminance, 0..255: the bare glass.
        clipped: share of pure white, 0..1.
    """

    grey: NDArray[np.uint8]
    focus: float
    brightness: float
    clipped: float

    def faults(self, limits: Limits) -> list[str]:
        """Codes of what is not good enough; empty when all is well."""
        faults = (
            (self.brightness < limits.minimum_brightness, "too_dark"),
            (self.clipped > limits.maximum_clipped, "too_bright"),
            (self.focus < limits.minimum_focus, "out_of_focus"),
        )
        return [code for wrong, code in faults if wrong]


def look_at(body: bytes) -> Look:
    """Decode the whole picture, which shows whether it is whole, and measure it.

    Raises:
        Unusable: it is cut short, broken, or no picture.
    """
    if not body:
        raise _truncated()
    kind = media_type(body)
    if kind not in FORMATS:
        raise Unusable("not_an_image", "This is no JPEG, PNG or TIFF file. Export it as one.")
    if kind == "image/jpeg" and JPEG_END not in body[-65_536:]:
        raise _truncated()
    try:
        with Image.open(BytesIO(body), formats=[FORMATS[kind]]) as picture:
            picture.load()
            grey = np.asarray(picture.convert("L"))
            rgb = picture.convert("RGB")
    except Image.DecompressionBombError as error:
        raise Unusable(
            "too_many_pixels", "The picture is too large. Take it at a lower resolution."
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        # Pillow reports a broken file with whatever broke first, assertions included.
        if "truncated" in str(error) or isinstance(error, EOFError):
            raise _truncated() from error
        raise Unusable("corrupt", "The file cannot be decoded. Take the picture again.") from error
    small = _shrunk(rgb)
    return Look(
        grey=grey,
        focus=focus_of(small[..., 1].astype(np.float32)),
        brightness=float(np.percentile(small.mean(axis=2), 90)),
        clipped=float((small >= 254).all(axis=2).mean()),
    )


def focus_of(green: Plane) -> float:
    """How much steeper edges are at 0.7 px than at 2 px of smoothing: 1 (no edge left) to 3.

    The same figure as the hospital's (ml.quality), which depends on how wide edges are and not on
    contrast, stain or the number of cells. `green` is (H, W), 0..255, at `SIDE`.
    """
    fine, coarse = (_slopes(_blurred(green, sigma)) for sigma in (0.7, 2.0))
    return float((fine / np.maximum(coarse, 1e-3)).max())


def _truncated() -> Unusable:
    return Unusable(
        "truncated", "The file is cut short. Save it again from the camera, or take it again."
    )


def _shrunk(picture: Image.Image) -> Rgb:
    scale = SIDE / max(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    return np.asarray(picture, dtype=np.uint8)


def _slopes(plane: Plane) -> NDArray[np.float64]:
    """The 99, 97 and 90 % quantiles of how steep the picture is (Sobel)."""
    across = _along(_along(plane, (-1, 0, 1), axis=1), (1, 2, 1), axis=0)
    down = _along(_along(plane, (-1, 0, 1), axis=0), (1, 2, 1), axis=1)
    quantiles: NDArray[np.float64] = np.percentile(np.hypot(across, down), (99, 97, 90))
    return quantiles


def _blurred(plane: Plane, sigma: float) -> Plane:
    reach = round(4 * sigma)
    bell = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights = tuple(bell / bell.sum())
    return _along(_along(plane, weights, axis=0), weights, axis=1)


def _along(plane: Plane, weights: tuple[float, ...], *, axis: int) -> Plane:
    """Weighted sum of neighbours along one axis; the picture is mirrored at its edges."""
    reach = len(weights) // 2
    # A picture narrower than the bell is mirrored as far as it goes, then repeated.
    mode = "reflect" if plane.shape[axis] > reach else "edge"
    edges = [(0, 0), (0, 0)]
    edges[axis] = (reach, reach)
    padded = np.pad(plane, edges, mode=mode)  # type: ignore[call-overload]
    length = plane.shape[axis]
    total = np.zeros_like(plane)
    for shift, weight in enumerate(weights):
        total += np.float32(weight) * padded.take(range(shift, shift + length), axis=axis)
    return total
