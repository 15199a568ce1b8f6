"""An analysis's pictures: drawn from the original and the found cells when somebody first looks.

Most are never looked at, so the worker stores outlines only. What was drawn once is kept; it can
be drawn again at any time.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from diagnostics.models import Analysis, FoundCells
from hospital.base import files
from ml import images

if TYPE_CHECKING:
    from ml import likeness
    from ml.outlines import Outlines

OVERLAY_QUALITY = 88
THUMBNAIL_SIDE = 160
CELL_SIDE = 144


def keys_for(analysis_id: UUID) -> dict[str, str]:
    """Where an analysis's pictures will stand, by the names of its columns."""
    folder = f"derived/{analysis_id}"
    return {
        "segmented_key": f"{folder}/segmented.png",
        "overlay_key": f"{folder}/overlay.jpg",
        "thumbnail_key": f"{folder}/thumbnail.jpg",
    }


def printed_key(of: UUID | str) -> str:
    """Where the small copy for paper stands of an analysis, or of a picture that has none."""
    return f"derived/printed/{of}.jpg"


def key_of(analysis: Analysis, kind: str) -> str:
    """Where the 'segmented', 'overlay' or 'thumbnail' picture stands, or will."""
    return {
        "segmented": analysis.segmented_key,
        "overlay": analysis.overlay_key,
        "thumbnail": analysis.thumbnail_key,
    }[kind]


def picture(analysis: Analysis, kind: str) -> bytes:
    """The picture's bytes, drawn now if it never was.

    Raises:
        FileNotFoundError: the original is gone, or can no longer be read.
    """
    return once(key_of(analysis, kind), lambda: _draw(analysis, kind))


def once(key: str, draw: Callable[[], bytes]) -> bytes:
    """What is stored under `key`, after storing what `draw` gives if nothing is."""
    try:
        return files.read(key)
    except FileNotFoundError:
        drawn = draw()
        files.put(key, drawn)
        return drawn


def cells(analysis: Analysis) -> dict[str, Any]:
    """The found cells, measured now if they never were.

    Returns `width` and `height` of the picture in pixels, and `cells`: for each its `outline` (x
    and y by turns), `diameter` in pixels of the disc as large as it, `roundness` 0 to 1 (a disc
    has 1) and `density`, the mean optical density against the empty glass.

    Raises:
        FileNotFoundError: no outlines are kept of it, or the original is gone.
    """
    key = f"derived/{analysis.pk}/cells.json"
    found: dict[str, Any] = json.loads(once(key, lambda: _measure(analysis)))
    return found


def measures(analysis: Analysis) -> "likeness.Measures":
    """What `ml.likeness` measures of the found cells: (n, 12), in the order of the outlines.

    Raises:
        FileNotFoundError: no outlines are kept of it, or the original is gone.
    """
    from ml import likeness  # noqa: PLC0415 - brings OpenCV, as below

    return likeness.measured(_outlines(analysis), original_of(analysis))


def cell(analysis: Analysis, number: int) -> bytes:
    """One of the found cells as a small JPEG, with some surroundings.

    Raises:
        FileNotFoundError: there is no such cell, or nothing to draw it from.
    """
    from ml import likeness  # noqa: PLC0415 - brings OpenCV, as below

    try:
        cut = likeness.crop(_outlines(analysis), original_of(analysis), number, CELL_SIDE)
    except IndexError as missing:
        raise FileNotFoundError(f"cell {number} of {analysis.pk}") from missing
    return images.encode_jpeg(cut, quality=OVERLAY_QUALITY)


def original_of(analysis: Analysis) -> "images.Rgb":
    """The picture that was analysed, (H, W, 3) uint8.

    Raises:
        FileNotFoundError: it is gone, or can no longer be read.
    """
    try:
        return images.decode(files.read(analysis.image.storage_key))
    except images.ImageRefused as rotten:
        raise FileNotFoundError(analysis.image.storage_key) from rotten


def _measure(analysis: Analysis) -> bytes:
    from ml.preprocessing import background_colour  # noqa: PLC0415 - brings OpenCV, as below

    found, original = _outlines(analysis), original_of(analysis)
    glass = background_colour(original)
    rows = [
        {
            "outline": cell.contour.ravel().tolist(),
            "diameter": round(cell.diameter, 1),
            "roundness": round(cell.roundness, 2),
            "density": round(cell.density(glass), 2),
        }
        for cell in found.measure(original)
    ]
    height, width = original.shape[:2]
    return json.dumps({"width": width, "height": height, "cells": rows}).encode()


def _outlines(analysis: Analysis) -> "Outlines":
    """What the worker stored of the cells; FileNotFoundError when nothing is, or nothing whole."""
    from ml import outlines  # noqa: PLC0415 - brings OpenCV, which most web processes never need

    cells = FoundCells.objects.filter(analysis=analysis).first()
    if cells is None:
        raise FileNotFoundError(f"outlines of {analysis.pk}")
    try:
        return outlines.unpack(bytes(cells.outlines))
    except outlines.OutlinesBroken as rotten:
        raise FileNotFoundError(f"outlines of {analysis.pk}") from rotten


def _draw(analysis: Analysis, kind: str) -> bytes:
    original = original_of(analysis)
    if kind == "thumbnail":
        return images.encode_jpeg(images.thumbnail(original, THUMBNAIL_SIDE), quality=80)
    found = _outlines(analysis)
    if kind == "segmented":
        return images.encode_png(found.isolate(original))
    return images.encode_jpeg(found.outline(original), quality=OVERLAY_QUALITY)
