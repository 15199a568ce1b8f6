"""What lies under the simulated lens: pictures of a folder, or drawn smears."""

import struct
import zlib
from pathlib import Path

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
SMEAR_SIDE = 224
# One in so many is an original: lossless, twice the side, about 340 kB.
ORIGINALS = 8
PNG = b"\x89PNG\r\n\x1a\n"
# Signature, then the header's chunk: length, name, 13 bytes, checksum.
PNG_HEADER = len(PNG) + 4 + 4 + 13 + 4


class NoPictures(Exception):
    """There is nothing to photograph; the message says what to do."""


def pictures_in(folder: Path) -> list[Path]:
    """The JPEG, PNG and TIFF files at or below `folder`, in a stable order."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def draw_smears(folder: Path, *, count: int, seed: int) -> None:
    """Fill `folder` with drawn smears, marked as such; none twice.

    JPEG files of 224 pixels a side, about 20 kB; every eighth is a PNG of twice the side.

    Raises:
        NoPictures: the part of the product that draws them is not installed.
    """
    try:
        from ml import synthetic  # noqa: PLC0415  (only where smears are drawn)
    except ImportError as error:
        raise NoPictures(
            "Drawing smears needs Leukolens' own 'ml' folder and its libraries, which are not "
            f"here ({error}). Give a folder of pictures instead."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        original = number % ORIGINALS == ORIGINALS - 1
        path = folder / f"{seed}-{number:04}.{'png' if original else 'jpg'}"
        if not path.exists():
            side = SMEAR_SIDE * (2 if original else 1)
            rgb = synthetic.smear(seed=seed * 1_000_003 + number, size=side)
            draft = path.with_suffix(".draft")
            draft.write_bytes(synthetic.to_bytes(rgb, "image/png" if original else "image/jpeg"))
            draft.replace(path)


def with_note(body: bytes, note: str) -> bytes:
    """The same picture with a remark in its file, so that no two have the same bytes.

    The pixels stay. JPEG gets a comment, PNG a text; a TIFF, which may end in anything, gets it
    behind its end.
    """
    said = note.encode("ascii")
    if body.startswith(b"\xff\xd8"):
        return body[:2] + b"\xff\xfe" + struct.pack(">H", len(said) + 2) + said + body[2:]
    if body.startswith(PNG):
        chunk = b"tEXt" + b"Comment\x00" + said
        framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return body[:PNG_HEADER] + framed + body[PNG_HEADER:]
    return body + said
