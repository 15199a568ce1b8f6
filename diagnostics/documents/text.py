"""What people typed, made fit for print: nothing that hides, reorders or cannot be drawn."""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

FONTS = Path(__file__).with_name("fonts")
MISSING = "\N{REPLACEMENT CHARACTER}"

# Joiners shape Persian and Bengali words. Every other format character is left out: bidi controls
# among them, with which a comment could be made to read otherwise than it was written.
_JOINERS = frozenset("\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")
# Ours, put around what people typed, so that it cannot pull the words beside it over.
_ISOLATE, _END = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_BREAK = "\N{ZERO WIDTH SPACE}"
# A word longer than this may be broken anywhere, so that none runs over the paper's edge.
_LONG_WORD = re.compile(r"\S{30}(?=\S)")
# More marks on one letter than any language has would grow over the lines around it.
_TOWER = re.compile(r"([\u0300-\u036f]{3})[\u0300-\u036f]+")


def honest(value: Any) -> Any:
    """`value` (of plain JSON) with every text in it free of what hides or reorders.

    Line ends stay. Numbers, names of members and the rest are left alone.
    """
    if isinstance(value, dict):
        return {key: honest(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [honest(inner) for inner in value]
    if not isinstance(value, str):
        return value
    composed = unicodedata.normalize("NFC", value)
    return _TOWER.sub(r"\1", "".join(c for c in composed if _shows(c)))


def isolated(value: object) -> str:
    """An honest text, to stand in a sentence of either direction."""
    return f"{_ISOLATE}{value}{_END}"


def printable(text: str) -> str:
    """An honest text as one line that the fonts can print; what they lack becomes `MISSING`.

    The PDF/UA and PDF/A standards forbid a character without a glyph, so none may reach the
    compiler.
    """
    line = "".join(_glyph(c) for c in " ".join(text.split()))
    return _LONG_WORD.sub(lambda found: found.group() + _BREAK, line)


def _shows(char: str) -> bool:
    return char in _JOINERS or char.isspace() or unicodedata.category(char) not in {"Cc", "Cf"}


def _glyph(char: str) -> str:
    if ord(char) in covered():
        return char
    # A mark without a glyph, such as an emoji's colour, goes with the letter it belongs to.
    return "" if unicodedata.category(char) == "Mn" else MISSING


@lru_cache(maxsize=1)
def covered() -> frozenset[int]:
    """The code points that the shipped fonts can print: fonts/coverage.txt."""
    ranges = (line.split("-") for line in (FONTS / "coverage.txt").read_text().split())
    return frozenset(p for first, last in ranges for p in range(int(first, 16), int(last, 16) + 1))
