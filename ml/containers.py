"""Reading the frame of an image file, byte by byte, before any decoder is let near it.

A decoder handed a stranger's file can be made to swallow gigabytes by a few kilobytes: a header
that announces 30,000 x 30,000 pixels, a compressed comment, ten thousand tags that all point at
the same block. So the walk here reads only what is needed (size, orientation, notes), never
allocates by a figure the file gives, and hands on the *bare* picture: a copy that keeps what
draws the pixels and nothing else, cut at the end mark.

Sources: ITU T.81 annex B (JPEG), W3C PNG third edition section 5, TIFF 6.0 section 2, Exif 2.32.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """Why an image is not taken. The value is stored and sent; it never changes its meaning."""

    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_TYPE = "unsupported_type"
    TOO_MANY_PIXELS = "too_many_pixels"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    ANIMATED = "animated"
    ZERO_AREA = "zero_area"
    TOO_SMALL = "too_small"


class ImageRefused(Exception):
    """``code`` for machines (a :class:`Refusal`), ``message`` for the technician."""

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Container:
    """What the frame of a file says.

    ``width`` and ``height`` are as stored, before ``orientation`` (Exif, 1..8) is applied.
    ``notes`` are the texts in which the mark of a synthetic picture may stand. ``bare`` is what
    to decode. ``bits`` is the depth of one sample.
    """

    media_type: str
    width: int
    height: int
    orientation: int
    notes: tuple[bytes, ...]
    bare: bytes
    bits: int = 8


NOTE_BYTES = 256
"""How much of a note is read; the mark is far shorter."""
MAX_SCANS = 100
"""A progressive JPEG has about ten scans. Thousands of empty ones cost minutes to decode."""
MAX_TAGS = 512
MAX_TILE_SIDE = 8192

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TIFF_SIGNATURES = (b"II*\x00", b"MM\x00*")
STRANGERS: tuple[tuple[bytes, int, str], ...] = (
    (b"GIF8", 0, "GIF"),
    (b"WEBP", 8, "WebP"),
    (b"BM", 0, "BMP"),
    (b"ftyp", 4, "HEIC, AVIF or video"),
    (b"DICM", 128, "DICOM"),
    (b"\x00\x00\x00\x0cjP  ", 0, "JPEG 2000"),
    (b"\xff\x4f\xff\x51", 0, "JPEG 2000"),
    (b"\xff\x0a", 0, "JPEG XL"),
    (b"II+\x00", 0, "BigTIFF"),
    (b"MM\x00+", 0, "BigTIFF"),
    (b"8BPS", 0, "Photoshop"),
    (b"%PDF", 0, "PDF"),
)


def read(data: bytes) -> Container:
    """The frame of a JPEG, PNG or TIFF file, told by content. Raises :class:`ImageRefused`."""
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(PNG_SIGNATURE):
        return _png(data)
    if data.startswith(TIFF_SIGNATURES):
        return _tiff(data)
    for mark, offset, name in STRANGERS:
        if data[offset : offset + len(mark)] == mark and (mark != b"BM" or _is_bmp(data)):
            raise ImageRefused(
                Refusal.UNSUPPORTED_TYPE,
                f"This is a {name} file; save the picture as JPEG, PNG or TIFF and send that.",
            )
    raise ImageRefused(
        Refusal.NOT_AN_IMAGE,
        "The file is empty; export the picture from the microscope again."
        if not data
        else "This file is not a picture; choose the JPEG, PNG or TIFF from the microscope.",
    )


def _is_bmp(data: bytes) -> bool:
    """'BM' begins many a text; a bitmap also names one of the known header sizes."""
    return (
        len(data) >= 18 and data[14] in (12, 40, 52, 56, 64, 108, 124) and data[15:18] == b"\0\0\0"
    )


def truncated() -> ImageRefused:
    """The refusal for a file cut short."""
    return ImageRefused(
        Refusal.TRUNCATED, "The file ends before the picture does; export it again."
    )


def corrupt() -> ImageRefused:
    """The refusal for a file that contradicts itself."""
    return ImageRefused(
        Refusal.CORRUPT,
        "The file is damaged and cannot be read; export the picture from the microscope again.",
    )


# --- JPEG ---------------------------------------------------------------------------------------

# Inside entropy-coded data 0xFF is followed by 0x00 (stuffing), a restart mark or more 0xFF.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_END, _SCAN, _COMMENT, _EXIF = 0xD9, 0xDA, 0xFE, 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DRAWING = frozenset({0xC4, 0xDB, 0xDD, 0xE0, 0xEE}) | _FRAMES | {_SCAN}
"""Kept: DHT, DQT, DRI, frames, scans, and APP0 and APP14, which say how colours are stored."""


def _jpeg(data: bytes) -> Container:
    parts = [data[:2]]
    notes: list[bytes] = []
    size: tuple[int, int] | None = None
    orientation, scans = 1, 0
    for lead, marker, body in _jpeg_segments(data):
        # What leads up to a segment is pixels once the first scan has begun, and fill before.
        if scans:
            parts.append(lead)
        elif lead.strip(b"\xff"):
            raise corrupt()
        if marker in _FRAMES:
            size = _jpeg_size(marker, body, size)
        elif marker == _SCAN:
            scans += 1
            if size is None or scans > MAX_SCANS:
                raise corrupt()
        elif marker == _COMMENT:
            notes.append(body[:NOTE_BYTES])
        elif marker == _EXIF and body.startswith(b"Exif\0\0"):
            orientation, software = _exif(body[6:], default=orientation)
            notes.append(software)
        if marker in _DRAWING:
            parts.append(b"\xff%c%s%s" % (marker, struct.pack(">H", len(body) + 2), body))
    if size is None or not scans:
        raise corrupt()
    parts.append(b"\xff\xd9")
    return Container("image/jpeg", *size, orientation, tuple(notes[:8]), b"".join(parts))


def _jpeg_segments(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """(bytes before it, marker, body) of each segment; the end mark comes last, with no body."""
    at = 2
    while True:
        found = _NEXT_MARKER.search(data, at)
        if found is None:
            raise truncated()
        lead, marker, start = data[at : found.start()], found.group()[1], found.start()
        if marker == _END:
            yield lead, marker, b""
            return
        if marker in (0x01, 0xD8):
            raise corrupt()
        length = _unsigned(data, start + 2, 2, ">")
        at = start + 2 + length
        if length < 2:
            raise corrupt()
        if at > len(data):
            raise truncated()
        yield lead, marker, data[start + 4 : at]


def _jpeg_size(marker: int, body: bytes, seen: tuple[int, int] | None) -> tuple[int, int]:
    if seen is not None or len(body) < 6:
        raise corrupt()
    if marker not in (0xC0, 0xC1, 0xC2) or body[0] != 8:
        raise ImageRefused(
            Refusal.UNSUPPORTED_TYPE,
            "This is a JPEG of a rare kind (lossless or 12 bit); save it as PNG and send that.",
        )
    return _unsigned(body, 3, 2, ">"), _unsigned(body, 1, 2, ">")


# --- PNG ----------------------------------------------------------------------------------------


def _png(data: bytes) -> Container:
    parts = [PNG_SIGNATURE]
    notes: list[bytes] = []
    header = b""
    orientation, at = 1, len(PNG_SIGNATURE)
    while True:
        if at + 12 > len(data):
            raise truncated()
        length, kind = _unsigned(data, at, 4, ">"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise truncated()
        view = memoryview(data)[at + 4 : end - 4]
        if zlib.crc32(view) != _unsigned(data, end - 4, 4, ">"):
            raise corrupt()
        body = view[4:]
        if (kind == b"IHDR") != (not header):
            raise corrupt()
        if kind == b"IHDR":
            header = bytes(body)
        elif kind == b"acTL":
            raise ImageRefused(
                Refusal.ANIMATED, "This PNG is an animation; send a single still picture."
            )
        elif kind == b"tEXt":
            notes.append(bytes(body[:NOTE_BYTES]).partition(b"\0")[2])
        elif kind == b"eXIf":
            orientation, _ = _exif(bytes(body[: 1 << 16]), default=1)
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            parts.append(data[at:end])
        at = end
        if kind == b"IEND":
            break
    if len(header) != 13:
        raise corrupt()
    width, height = _unsigned(header, 0, 4, ">"), _unsigned(header, 4, 4, ">")
    bare = b"".join(parts)
    return Container("image/png", width, height, orientation, tuple(notes[:8]), bare, header[8])


# --- TIFF and Exif ------------------------------------------------------------------------------

_UNIT = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SOFTWARE = 256, 257, 258, 274, 305
_TILE_SIDES = (322, 323)
_TIFF_DRAWING = frozenset(
    # size, depth, compression, colours, strips, planes, predictor, palette, tiles, alpha, JPEG
    {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325}
    | {332, 334, 338, 339, 347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532}
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One tag: its type, how many bytes it claims, the first of them, and the entry itself."""

    kind: int
    size: int
    value: bytes
    raw: bytes


def _tiff(data: bytes) -> Container:
    order = "<" if data[:2] == b"II" else ">"
    entries, following = _directory(data, _unsigned(data, 4, 4, order), order)
    if following:
        raise ImageRefused(
            Refusal.ANIMATED, "This TIFF holds several pages; send each field as its own file."
        )
    width, height = _number(entries, _WIDTH, order), _number(entries, _HEIGHT, order)
    if width is None or height is None:
        raise corrupt()
    if any((_number(entries, tag, order) or 0) > MAX_TILE_SIDE for tag in _TILE_SIDES):
        raise corrupt()
    orientation, software = _turn_and_software(entries, order, default=1)
    bare = _bare_tiff(data, entries, order)
    bits = _number(entries, _BITS, order) or 1
    return Container("image/tiff", width, height, orientation, (software,), bare, bits)


def _bare_tiff(data: bytes, entries: dict[int, _Entry], order: str) -> bytes:
    """The file with a new directory at its end that names only the tags needed to draw it."""
    drawing = [entry for tag, entry in sorted(entries.items()) if tag in _TIFF_DRAWING]
    if sum(entry.size for entry in drawing) > len(data):
        # Honest values do not overlap; these would be copied out many times over.
        raise corrupt()
    even = data + b"\0" * (len(data) % 2)
    directory = (
        struct.pack(order + "H", len(drawing)) + b"".join(e.raw for e in drawing) + b"\0" * 4
    )
    return even[:4] + struct.pack(order + "I", len(even)) + even[8:] + directory


def _exif(block: bytes, *, default: int) -> tuple[int, bytes]:
    """Orientation and Software of an Exif block; a broken block says nothing, and harms nothing."""
    if not block.startswith(TIFF_SIGNATURES):
        return default, b""
    order = "<" if block[:2] == b"II" else ">"
    try:
        entries, _ = _directory(block, _unsigned(block, 4, 4, order), order)
        return _turn_and_software(entries, order, default=default)
    except ImageRefused:
        return default, b""


def _turn_and_software(
    entries: dict[int, _Entry], order: str, *, default: int
) -> tuple[int, bytes]:
    turn = _number(entries, _ORIENTATION, order)
    software = entries[_SOFTWARE].value if _SOFTWARE in entries else b""
    return (turn if turn is not None and 1 <= turn <= 8 else default), software


def _directory(data: bytes, offset: int, order: str) -> tuple[dict[int, _Entry], int]:
    """The entries at ``offset`` by tag, and the offset of the next directory (0: none)."""
    count = _unsigned(data, offset, 2, order)
    if not 0 < count <= MAX_TAGS:
        raise corrupt()
    entries: dict[int, _Entry] = {}
    for at in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind = _unsigned(data, at, 2, order), _unsigned(data, at + 2, 2, order)
        size = _UNIT.get(kind, 1) * _unsigned(data, at + 4, 4, order)
        start = at + 8 if size <= 4 else _unsigned(data, at + 8, 4, order)
        if tag in _TIFF_DRAWING and start + size > len(data):
            raise truncated()
        value = data[start : start + min(size, NOTE_BYTES)]
        entries[tag] = _Entry(kind, size, value, data[at : at + 12])
    return entries, _unsigned(data, offset + 2 + 12 * count, 4, order)


def _number(entries: dict[int, _Entry], tag: int, order: str) -> int | None:
    """The first value of a SHORT or LONG tag; None when it is absent or of another kind."""
    entry = entries.get(tag)
    if entry is None or entry.kind not in (3, 4) or not entry.size:
        return None
    return _unsigned(entry.value, 0, _UNIT[entry.kind], order)


def _unsigned(data: bytes, at: int, size: int, order: str) -> int:
    """An unsigned number; a file that ends before it is truncated."""
    if at + size > len(data):
        raise truncated()
    (number,) = struct.unpack_from(order + {2: "H", 4: "I"}[size], data, at)
    return int(number)
