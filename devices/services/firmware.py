"""Firmware versions, compared with care: what is not understood is never called old."""

import re

_VERSION = re.compile(
    r"[vV]?(?P<numbers>\d{1,9}(?:\.\d{1,9}){0,5})"
    r"(?:[-_.~]?(?P<early>alpha|beta|dev|pre|preview|rc|a|b)[-_.]?\d{0,9})?"
    r"(?:\+[0-9A-Za-z.-]+)?",
    re.IGNORECASE,
)

Version = tuple[tuple[int, ...], bool]


def parsed(text: str) -> Version | None:
    """The version's numbers without trailing noughts, and whether it is more than a preview.

    None when `text` is not a version: numbers with dots, perhaps a leading v, a mark of a preview
    (-rc1, beta, .dev2) and a build (+…). Two of them compare as Python compares tuples.
    """
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        return None
    numbers = [int(part) for part in match["numbers"].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), match["early"] is None


def is_below(version: str, minimum: str) -> bool:
    """Whether `version` is surely older than `minimum`; False when either is not understood."""
    one, other = parsed(version), parsed(minimum)
    return one is not None and other is not None and one < other
