"""Pictures for the browser tests: real smears where they are at hand, painted ones otherwise."""

from functools import cache
from pathlib import Path

from tests.conftest import SHARED
from tests.world import jpeg


def smear(kind: str, number: int) -> bytes:
    """A JPEG of `kind` (Benign, Early, Pre, Pro); each number another one."""
    real = _real(kind)
    return real[number * 37 % len(real)].read_bytes() if real else jpeg(1_000 + number)


@cache
def _real(kind: str) -> list[Path]:
    return sorted((SHARED / "data" / "taleqani" / "original" / kind).glob("*.jpg"))
