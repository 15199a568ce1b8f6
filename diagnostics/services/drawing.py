"""An analysis's pictures: drawn from the original and the found cells when somebody first looks.

Most are never looked at, so the worker stores outlines only. What was drawn once is kept; it can
be drawn again at any time.
"""

from collections.abc import Callable
from uuid import UUID

from diagnostics.models import Analysis, FoundCells
from hospital.base import files
from ml import images

OVERLAY_QUALITY = 88
THUMBNAIL_SIDE = 160


def keys_for(analysis_id: UUID) -> dict[str, str]:
    """Where an analysis's pictures will stand, by the names of its columns."""
    folder = f"derived/{analysis_id}"
    return {
        "segmented_key": f"{folder}/segmented.png",
        "overlay_key": f"{folder}/overlay.jpg",
        "thumbnail_key": f"{folder}/thumbnail.jpg",
    }


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


def _draw(analysis: Analysis, kind: str) -> bytes:
    try:
        original = images.decode(files.read(analysis.image.storage_key))
    except images.ImageRefused as rotten:
        raise FileNotFoundError(analysis.image.storage_key) from rotten
    if kind == "thumbnail":
        return images.encode_jpeg(images.thumbnail(original, THUMBNAIL_SIDE), quality=80)
    from ml import outlines  # noqa: PLC0415 - brings OpenCV, which most web processes never need

    cells = FoundCells.objects.filter(analysis=analysis).first()
    if cells is None:
        raise FileNotFoundError(key_of(analysis, kind))
    try:
        found = outlines.unpack(bytes(cells.outlines))
    except outlines.OutlinesBroken as rotten:
        raise FileNotFoundError(key_of(analysis, kind)) from rotten
    if kind == "segmented":
        return images.encode_png(found.isolate(original))
    return images.encode_jpeg(found.outline(original), quality=OVERLAY_QUALITY)
