"""A stored picture's bytes on this machine's disk: whether they are there, and whole."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .rows import Item


class Unreadable(Exception):
    """The picture's file is there and cannot be read: a bad sector, another program's lock."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of trouble in this block that it is this one file's, and neither the line's nor the
    queue's.

    Raises:
        Unreadable: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise Unreadable(f"The picture's file cannot be read: {path}: {reason}") from error


def damage(path: Path, item: Item) -> str:
    """What has happened to the picture's bytes; '' if nothing.

    Raises:
        Unreadable: nobody can say just now.
    """
    with reading(path):
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return f"The picture's file is not there any more: {path}"
    if digest != item.sha256:
        return f"The picture was damaged on this machine's disk: {path}"
    return ""
