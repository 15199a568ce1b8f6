"""Arrays that are computed once: a broken experiment, run again, goes on where it stopped."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.data import Example


def kept(file: Path, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """The array in `file`; made, and put there whole or not at all, where there is none."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial.npy")
        np.save(partial, make())
        partial.replace(file)
    return np.asarray(np.load(file))


def mark(*things: Any) -> str:
    """Twelve hex digits that change with anything a result depends on, for names of files."""
    return hashlib.sha256(repr(things).encode()).hexdigest()[:12]


def mark_of(examples: Sequence[Example]) -> str:
    """`mark` of these pictures in this order."""
    return mark([example.sha256 for example in examples])
