"""The one place that knows Typst: a sheet and its pictures in, a tagged PDF out.

What people typed travels as data (JSON) that the template reads, never as part of its source, so
no comment is markup and none can read a file. Fonts are ours; the network is not used.
"""

import json
import tempfile
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import typst

from diagnostics.documents.text import FONTS

TEMPLATE = Path(__file__).with_name("sheet.typ")

# For readers of any ability (PDF/UA-1), and for reading in thirty years (PDF/A-2a).
STANDARDS = ["a-2a", "ua-1"]


class SettingFailed(Exception):
    """Typst refused the sheet: a fault of ours, never of what people typed."""


def pdf(sheet: dict[str, Any], pictures: Mapping[str, bytes], *, at: datetime) -> bytes:
    """The document; the same bytes for the same sheet, pictures and moment.

    Args:
        sheet: see `diagnostics.documents.sheet`.
        pictures: JPEG or SVG, by the file names that the sheet uses.
        at: what the PDF calls the moment of its making.

    Raises:
        SettingFailed: the template and the sheet do not fit.
    """
    made = int(at.timestamp())
    [document] = _compiled(sheet, pictures, format="pdf", pdf_standards=STANDARDS, timestamp=made)
    return document


def pages(sheet: dict[str, Any], pictures: Mapping[str, bytes], *, ppi: float) -> list[bytes]:
    """The document's pages as PNG, to look at."""
    return _compiled(sheet, pictures, format="png", ppi=ppi)


def _compiled(sheet: dict[str, Any], pictures: Mapping[str, bytes], **how: Any) -> list[bytes]:
    # Typst reads files below one folder only; this one holds the pictures and nothing else.
    with tempfile.TemporaryDirectory(prefix="leukolens-sheet-") as folder:
        for name, content in pictures.items():
            (Path(folder) / name).write_bytes(content)
        try:
            made: Any = typst.compile(
                TEMPLATE.read_bytes(),
                root=folder,
                sys_inputs={"sheet": json.dumps(sheet, ensure_ascii=False)},
                font_paths=_fonts(),
                ignore_system_fonts=True,
                # Packages would come from here: there are none, and none are fetched.
                package_path=folder,
                package_cache_path=folder,
                **how,
            )
        except RuntimeError as error:
            raise SettingFailed(str(error)) from error
    return made if isinstance(made, list) else [made]


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    """Noto Sans as we ship it, and what the wheel embeds (of which only the monospaced is used)."""
    return typst.Fonts(include_system_fonts=False, font_paths=[FONTS])
