"""The door for image bytes: what comes in is checked here, what is shown is written here.

Used by the web process at intake (:func:`inspect`) and by the worker (:func:`decode`). Both walk
the file's frame first (:mod:`ml.containers`) and open the decoder, Pillow, only on a bare picture
of a known kind and an allowed size. Pillow's own global settings are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from ml.containers import Container, ImageRefused, Refusal, corrupt, read, truncated

__all__ = [
    "SYNTHETIC_MARK",
    "ImageFacts",
    "ImageRefused",
    "Limits",
    "Refusal",
    "decode",
    "encode_jpeg",
    "encode_png",
    "encode_tiff",
    "inspect",
    "thumbnail",
]

Rgb = NDArray[np.uint8]

SYNTHETIC_MARK = "Leukolens synthetic smear"
"""Stands in the file's own notes, so that 'this is no patient' travels with the bytes."""

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/tiff": "TIFF"}
_SIXTEEN_BIT = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_EIGHT_BIT = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken. The defaults fit a 48-megapixel camera. At that size :func:`inspect` needs
    about 200 MB (a JPEG far less) and :func:`decode` up to 600 MB, when there is transparency.

    Above 178 million pixels Pillow refuses by itself, whatever ``max_pixels`` says.
    """

    max_pixels: int = 50_000_000
    min_side: int = 64


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What intake stores about an image. ``width`` and ``height`` are as shown, in pixels:
    after the Exif orientation, so they are what :func:`decode` will give."""

    media_type: str
    width: int
    height: int
    synthetic: bool


def inspect(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> ImageFacts:
    """Prove that ``data`` is one whole JPEG, PNG or TIFF picture within ``limits``.

    The type is told by content. The size is judged from the header, before any pixel is decoded;
    then everything is decoded once (a JPEG at an eighth of its size, which reads every byte all
    the same), because only that shows a file cut short. Anything after a JPEG's end mark or a
    PNG's last chunk is ignored; of a multi-picture JPEG (phones) the first picture counts.

    Raises :class:`ImageRefused`, and nothing else, for whatever the bytes are.
    """
    frame = read(data)
    _judge_size(frame, limits)
    with _decoder(frame) as picture:
        if frame.media_type == "image/jpeg":
            picture.draft(picture.mode, (frame.width // 8, frame.height // 8))
        picture.load()
    width, height = frame.width, frame.height
    if frame.orientation >= 5:
        width, height = height, width
    mark = SYNTHETIC_MARK.encode()
    synthetic = any(note.startswith(mark) for note in frame.notes)
    return ImageFacts(frame.media_type, width, height, synthetic)


def decode(data: bytes, *, limits: Limits = DEFAULT_LIMITS, enough: int | None = None) -> Rgb:
    """The picture as (H, W, 3) uint8, RGB, 0..255, upright.

    Exif orientation is applied, 16-bit grey is scaled (not clipped), transparency is laid over
    white as glass would be, CMYK and palettes become RGB. Colour profiles are not applied.

    ``enough`` pixels on the longer side are enough for the caller: a picture of at least twice
    that comes at a half, a quarter or an eighth of its size (rounded up), the smallest that still
    has so many, each pixel the mean of those it stands for. A JPEG's decoder does so by itself
    and never makes the others.

    Raises :class:`ImageRefused` as :func:`inspect` does.
    """
    frame = read(data)
    _judge_size(frame, limits)
    with _decoder(frame) as picture:
        step = _step(max(frame.width, frame.height), enough)
        if step > 1 and frame.media_type == "image/jpeg":
            picture.draft(picture.mode, (frame.width // step, frame.height // step))
        picture.load()
        rgb = _to_rgb(picture, frame.bits)
        if step > 1 and frame.media_type != "image/jpeg":
            rgb = rgb.reduce(step)
        if frame.orientation in _TURNS:
            rgb = rgb.transpose(_TURNS[frame.orientation])
        return np.array(rgb, dtype=np.uint8)


def _step(longer: int, enough: int | None) -> int:
    """1, 2, 4 or 8: by how much a side may be divided and still have ``enough`` pixels."""
    if enough is None:
        return 1
    return next((step for step in (8, 4, 2) if longer // step >= enough), 1)


def encode_png(rgb: Rgb, *, synthetic: bool = False) -> bytes:
    """(H, W, 3), or with opacity (H, W, 4), uint8 to PNG.

    ``synthetic`` writes :data:`SYNTHETIC_MARK` into its notes.

    Packed quickly rather than tightly: cells on black take a sixth more bytes, a third less time.
    """
    notes = PngInfo()
    if synthetic:
        notes.add_text("Software", SYNTHETIC_MARK)
    out = BytesIO()
    Image.fromarray(rgb).save(out, "PNG", pnginfo=notes, compress_level=1)
    return out.getvalue()


def encode_jpeg(rgb: Rgb, *, quality: int = 90, synthetic: bool = False) -> bytes:
    """(H, W, 3) uint8 to JPEG, ``quality`` 1..95, without colour subsampling from 90 up.

    Stain colour is what the smear says, and subsampling smears it over the cell's rim.
    """
    out = BytesIO()
    Image.fromarray(rgb).save(
        out,
        "JPEG",
        quality=quality,
        subsampling=0 if quality >= 90 else 2,
        comment=SYNTHETIC_MARK if synthetic else None,
    )
    return out.getvalue()


def encode_tiff(rgb: Rgb, *, synthetic: bool = False) -> bytes:
    """(H, W, 3) uint8 to TIFF, deflated."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if synthetic:
        tags[305] = SYNTHETIC_MARK
    out = BytesIO()
    Image.fromarray(rgb).save(out, "TIFF", compression="tiff_adobe_deflate", tiffinfo=tags)
    return out.getvalue()


def thumbnail(rgb: Rgb, side: int) -> Rgb:
    """A copy whose longer side is at most ``side`` pixels; never enlarged, shape kept."""
    picture = Image.fromarray(rgb)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.array(picture, dtype=np.uint8)


def _judge_size(frame: Container, limits: Limits) -> None:
    width, height = frame.width, frame.height
    if not width or not height:
        raise ImageRefused(
            Refusal.ZERO_AREA, "The picture has no size; export it from the microscope again."
        )
    if width * height > limits.max_pixels:
        raise ImageRefused(
            Refusal.TOO_MANY_PIXELS,
            f"The picture has {width} x {height} pixels, more than the"
            f" {limits.max_pixels / 1e6:g} million allowed; send one field at a lower resolution.",
        )
    if min(width, height) < limits.min_side:
        raise ImageRefused(
            Refusal.TOO_SMALL,
            f"The picture has {width} x {height} pixels, too few to see a cell;"
            f" send one of at least {limits.min_side} pixels a side.",
        )


@contextmanager
def _decoder(frame: Container) -> Iterator[Image.Image]:
    """Pillow, open on the bare picture; every way in which decoding fails becomes a refusal."""
    try:
        with Image.open(BytesIO(frame.bare), formats=[_FORMATS[frame.media_type]]) as picture:
            unnamed = picture.mode in ("P", "PA") and picture.palette is None
            if unnamed or picture.size != (frame.width, frame.height):
                raise corrupt()
            if picture.mode not in _EIGHT_BIT | _SIXTEEN_BIT:
                raise ImageRefused(
                    Refusal.UNSUPPORTED_TYPE,
                    "The picture stores its colours in a way that is not supported;"
                    " save it as an ordinary 8-bit RGB picture and send that.",
                )
            yield picture
    except ImageRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRefused(
            Refusal.TOO_MANY_PIXELS, "The picture is too large; send it at a lower resolution."
        ) from error
    except OSError as error:
        if "truncated" in str(error):
            raise truncated() from error
        raise corrupt() from error
    except MemoryError:
        raise
    except Exception as error:
        # Pillow reports a broken file with whatever broke first, assertions included.
        raise corrupt() from error


def _to_rgb(picture: Image.Image, bits: int) -> Image.Image:
    if picture.mode in _SIXTEEN_BIT:
        most = 2 ** min(max(bits, 9), 16) - 1
        deep = np.asarray(picture, dtype=np.uint32)
        grey = np.minimum((deep * 255 + most // 2) // most, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if picture.has_transparency_data:
        over = Image.new("RGBA", picture.size, "white")
        over.alpha_composite(picture.convert("RGBA"))
        return over.convert("RGB")
    return picture.convert("RGB")
