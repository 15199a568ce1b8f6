"""Pictures as accidents and attackers make them: sound files, each spoilt in one of many ways.

Everything follows from a seed, case by case, so that any one can be made again.
"""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from tests.world import jpeg

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
STRANGERS = (
    b"<html><script>alert(1)</script></html>",
    b"PK\x03\x04" + b"\0" * 26,
    b"%PDF-1.7\n1 0 obj\n",
    b"GIF89a\x01\x00\x01\x00",
    b"\x7fELF\x02\x01\x01",
    b"#!/bin/sh\nid\n",
    b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file that nobody should trust, and how it came about."""

    name: str
    body: bytes

    @property
    def is_dicom(self) -> bool:
        """Whether it began as a DICOM object."""
        return self.name.startswith("dicom")


def mutants(sound: dict[str, bytes], *, seed: int, cases: range) -> Iterator[Mutant]:
    """Each of `cases`: one of the `sound` files, spoilt in one to three ways."""
    names = sorted(sound)
    for number in cases:
        # One generator a case: the thousandth is the same without the others.
        rng = random.Random(f"{seed}:{number}")
        name = rng.choice(names)
        body, done = sound[name], [name]
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            way = rng.choice(WAYS)
            body = way(rng, body)
            done.append(way.__name__)
        yield Mutant(" ".join(done), body)


@cache
def pictures() -> dict[str, bytes]:
    """Sound pictures of every kind that is taken, small so that thousands are quick."""
    rgb = Image.open(io.BytesIO(jpeg(5, side=96)))
    deep = np.asarray(rgb.convert("L"), np.uint16) * 257
    tags = Image.Exif()
    tags[274], tags[305] = 6, "Camera"
    return {
        "jpeg": _saved(rgb, "JPEG"),
        "jpeg-progressive": _saved(rgb, "JPEG", progressive=True, subsampling=0),
        "jpeg-grey": _saved(rgb.convert("L"), "JPEG"),
        "jpeg-cmyk": _saved(rgb.convert("CMYK"), "JPEG"),
        "jpeg-exif": _saved(rgb, "JPEG", exif=tags, comment="of a smear"),
        "jpeg-restarts": _saved(rgb, "JPEG", restart_marker_blocks=4),
        "png": _saved(rgb, "PNG"),
        "png-palette": _saved(rgb.quantize(64), "PNG"),
        "png-glass": _saved(rgb.convert("RGBA"), "PNG"),
        "png-deep": _saved(Image.fromarray(deep), "PNG"),
        "png-bits": _saved(rgb.convert("1"), "PNG"),
        "tiff": _saved(rgb, "TIFF"),
        "tiff-deflate": _saved(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-lzw": _saved(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": _saved(rgb, "TIFF", compression="jpeg"),
        "tiff-fax": _saved(rgb.convert("1"), "TIFF", compression="group4"),
        "tiff-packbits": _saved(rgb.quantize(16), "TIFF", compression="packbits"),
    }


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


# --- ways to spoil a file -----------------------------------------------------------------------

Rng = random.Random


def flipped(rng: Rng, body: bytes) -> bytes:
    """Some bits are others."""
    spoilt = bytearray(body)
    for _ in range(rng.choice((1, 2, 5, 40))):
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def flipped_in_front(rng: Rng, body: bytes) -> bytes:
    """Some bits of the header are others, where sizes and tables stand."""
    return flipped(rng, body[:256]) + body[256:]


def cut(rng: Rng, body: bytes) -> bytes:
    """It ends too early."""
    return body[: rng.randrange(len(body))] or b"\0"


def without_a_piece(rng: Rng, body: bytes) -> bytes:
    """Something is missing in the middle."""
    start, end = _slice(rng, body)
    return body[:start] + body[end:] or b"\0"


def with_a_piece_twice(rng: Rng, body: bytes) -> bytes:
    """A piece stands there again, perhaps often, perhaps elsewhere."""
    start, end = _slice(rng, body)
    at = rng.choice((end, rng.randrange(len(body))))
    return body[:at] + body[start:end] * rng.choice((1, 1, 3, 50)) + body[at:]


def exchanged(rng: Rng, body: bytes) -> bytes:
    """Two pieces have changed places."""
    a, b = _slice(rng, body)
    c, d = _slice(rng, body[b:] or b"\0")
    return body[:a] + body[b + c : b + d] + body[b : b + c] + body[a:b] + body[b + d :]


def zeroed(rng: Rng, body: bytes) -> bytes:
    """A block of a disk was lost."""
    start, end = _slice(rng, body)
    return body[:start] + rng.choice((b"\0", b"\xff")) * (end - start) + body[end:]


def with_another_number(rng: Rng, body: bytes) -> bytes:
    """Somewhere stands an extreme number; often it is a length, a count or an offset."""
    how = rng.choice((">H", "<H", ">I", "<I"))
    size = struct.calcsize(how)
    at = rng.randrange(min(len(body), rng.choice((64, 600, 1 << 20))))
    number = rng.choice(EXTREMES) & (256**size - 1)
    return body[:at] + struct.pack(how, number) + body[at + size :]


def with_something_behind(rng: Rng, body: bytes) -> bytes:
    """Something follows: noise, or a file of another kind."""
    return body + rng.choice((*STRANGERS, rng.randbytes(rng.randrange(1, 4096))))


def with_something_before(rng: Rng, body: bytes) -> bytes:
    """It begins as a file of another kind."""
    return rng.choice((*STRANGERS, b"\xff" * 9, b"\xef\xbb\xbf")) + body


def enlarged(rng: Rng, body: bytes) -> bytes:
    """It claims to be as large as its format can say; the checksum agrees."""
    wide, high = rng.choice(((65535, 65535), (30000, 30000), (7000, 7000), (1, 60000), (0, 96)))
    if body.startswith(PNG_SIGNATURE):
        header = b"IHDR" + struct.pack(">II", wide, high) + body[24:29]
        return body[:12] + header + struct.pack(">I", zlib.crc32(header)) + body[33:]
    if body.startswith(b"\xff\xd8"):
        at = max(body.find(b"\xff\xc0"), body.find(b"\xff\xc2"))
        return body[: at + 5] + struct.pack(">HH", high & 0xFFFF, wide & 0xFFFF) + body[at + 9 :]
    # A directory of TIFF begins with width and height; elsewhere two numbers are as good.
    for tag in (b"\x00\x01\x04\x00\x01\x00\x00\x00", b"\x01\x01\x04\x00\x01\x00\x00\x00"):
        at = body.find(tag)
        if at >= 0:
            body = body[: at + 8] + struct.pack("<I", wide) + body[at + 12 :]
    return body


def bomb(rng: Rng, body: bytes) -> bytes:
    """A little that becomes very much: pixels, a compressed note, thousands of scans."""
    kind = rng.choice(("pixels", "note", "scans"))
    if kind == "note":
        packed = b"zTXtSoftware\0\0" + _zeros()
        chunk = struct.pack(">I", len(packed) - 4) + packed + struct.pack(">I", zlib.crc32(packed))
        png = body if body.startswith(PNG_SIGNATURE) else pictures()["png"]
        return png[:33] + chunk + png[33:]
    if kind == "scans":
        sound = pictures()["jpeg-progressive"]
        at = sound.rindex(b"\xff\xda")
        scan = sound[at : at + 64].split(b"\xff\xd9")[0]
        return sound[:-2] + scan * 5000 + b"\xff\xd9"
    return _white(rng.choice((20_000, 30_000)))


@cache
def _zeros() -> bytes:
    return zlib.compress(bytes(20_000_000), 9)


@cache
def _white(side: int) -> bytes:
    """A whole PNG of side x side black and white pixels, which takes a few kilobytes."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    row = b"\0" + b"\xff" * ((side + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row * 100) for _ in range(side // 100)) + packer.flush()
    chunks = (header, b"IDAT" + packed, b"IEND")
    return PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
    )


def _slice(rng: Rng, body: bytes) -> tuple[int, int]:
    start = rng.randrange(len(body))
    return start, min(len(body), start + rng.choice((1, 2, 8, 64, 1024)))


WAYS: tuple[Callable[[Rng, bytes], bytes], ...] = (
    flipped,
    flipped_in_front,
    flipped_in_front,
    cut,
    without_a_piece,
    with_a_piece_twice,
    exchanged,
    zeroed,
    with_another_number,
    with_another_number,
    with_something_behind,
    with_something_before,
    enlarged,
    bomb,
)
