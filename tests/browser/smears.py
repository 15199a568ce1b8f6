"""Pictures for the browser tests: real smears where they are at hand, drawn ones otherwise."""

from functools import cache
from pathlib import Path

from ml import synthetic
from tests.conftest import SHARED

DRAWN = "drawn"


def smear(kind: str, number: int) -> bytes:
    """A JPEG of `kind` (Benign, Early, Pre, Pro or DRAWN); each number another one."""
    real = _real(kind)
    if real:
        return real[number * 37 % len(real)].read_bytes()
    return synthetic.to_bytes(synthetic.smear(seed=number), "image/jpeg")


@cache
def _real(kind: str) -> list[Path]:
    return sorted((SHARED / "data" / "taleqani" / "original" / kind).glob("*.jpg"))
