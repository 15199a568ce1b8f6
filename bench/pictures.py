"""Which pictures are measured with: real smears where they are, else drawn; the same for all."""

import os
import uuid
from pathlib import Path

SHARED = Path(os.environ.get("LEUKOLENS_SHARED", Path(__file__).resolve().parents[2] / "shared"))
REAL = "data/taleqani/original"
COUNT = 64


def chosen(folder: Path | None = None, *, count: int = COUNT) -> tuple[list[bytes], str]:
    """So many files, spread over `folder` (default: the real smears, else drawn ones), and which.

    Fewer where there are fewer. Raises `ValueError` when a folder was named and holds none.
    """
    source = folder or SHARED / REAL
    paths = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if paths:
        number = min(count, len(paths))
        taken = [paths[index * len(paths) // number] for index in range(number)]
        name = str(folder) if folder else f"real smears of ../shared/{REAL}"
        return [path.read_bytes() for path in taken], name
    if folder:
        raise ValueError(f"no JPEG, PNG or TIFF pictures in {folder}")
    from ml import synthetic  # noqa: PLC0415 - only where needed

    drawn = [synthetic.smear(seed=number, size=224) for number in range(count)]
    return [synthetic.to_bytes(rgb, "image/jpeg") for rgb in drawn], "drawn smears, 224 x 224"


SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})


def distinct(jpeg: bytes) -> bytes:
    """The same pixels in other bytes, as every field that a microscope takes is another file.

    A comment with a number of its own behind the JPEG's first mark; other kinds come back as
    they are.
    """
    if not jpeg.startswith(b"\xff\xd8"):
        return jpeg
    return jpeg[:2] + b"\xff\xfe\x00\x12" + uuid.uuid4().bytes + jpeg[2:]
