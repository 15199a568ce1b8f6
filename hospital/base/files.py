"""Files that survive a power cut: on disk and fsynced before anyone is told so."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage

# A disk syncs many files at once in little more time than one; a store over the network likewise.
_side_by_side = ThreadPoolExecutor(16, thread_name_prefix="files")


class DurableFileSystemStorage(FileSystemStorage):
    """Django's file storage, with the fsyncs that make a write last: of the bytes, of the name."""

    def _save(self, name: str, content: File[Any]) -> str:
        target = Path(self.path(name))
        _ensure_folder(target.parent)
        temporary = target.parent / f".incoming-{uuid.uuid4().hex}"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
        return name

    def exists(self, name: str) -> bool:
        """Whether it is there to stay: another thread may have named it and not synced yet."""
        found = super().exists(name)
        if found:
            _sync_folder(Path(self.path(name)).parent)
        return found

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        # Names are made from digests and ids: the same name means the same bytes.
        return name


def _ensure_folder(folder: Path) -> None:
    """Make `folder` and those above it, each one's name synced in the one above."""
    if folder.is_dir():
        return
    _ensure_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def key_of(sha256: str, *, folder: str, suffix: str) -> str:
    """The storage key of bytes known by their SHA-256 (hexadecimal).

    The same bytes get the same key, so a repeated upload costs no space and cannot clash.
    """
    return f"{folder}/{sha256[:2]}/{sha256}{suffix}"


def put(key: str, data: bytes) -> str:
    """Store `data` under `key` unless something already stands there; return the key."""
    if not default_storage.exists(key):
        default_storage.save(key, ContentFile(data))
    return key


def put_all(contents: Mapping[str, bytes]) -> dict[str, OSError]:
    """Store many as `put` does, side by side; returns what went wrong, by key."""
    if len(contents) == 1:
        errors = [_tried(*one) for one in contents.items()]
    else:
        errors = list(_side_by_side.map(_tried, contents.keys(), contents.values()))
    return {key: error for key, error in zip(contents, errors, strict=True) if error}


def _tried(key: str, data: bytes) -> OSError | None:
    try:
        put(key, data)
    except OSError as error:
        return error
    return None


def exists(key: str) -> bool:
    """Whether something is stored under `key`."""
    return default_storage.exists(key)


def read(key: str) -> bytes:
    """The bytes stored under `key`.

    Raises:
        FileNotFoundError: nothing is stored there.
    """
    with default_storage.open(key, "rb") as file:
        return bytes(file.read())


def read_joined(keys: Iterable[str]) -> bytes:
    """The bytes stored under `keys`, one after the other; held once, however many pieces.

    Raises:
        FileNotFoundError: under one of them nothing is stored.
    """
    whole = BytesIO()
    for key in keys:
        with default_storage.open(key, "rb") as file:
            shutil.copyfileobj(file, whole)
    # Shared, not copied.
    return whole.getvalue()


def by_proxy(key: str) -> str:
    """Where the proxy in front fetches the file by itself, for an X-Accel-Redirect.

    A path that nobody can ask for from outside (`docker/nginx/`), which leads to the store by an
    address that is signed and good for a minute.
    """
    address = urlsplit(default_storage.url(key))
    return f"/_store{address.path}?{address.query}"


def remove(key: str) -> None:
    """Remove what is stored under `key`, if anything is."""
    default_storage.delete(key)


def remove_folder(folder: str) -> None:
    """Remove what is stored in `folder`, which has no folders in it; none there is fine."""
    _, names = _listed(folder)
    for name in names:
        default_storage.delete(f"{folder}/{name}")
    # A disk has folders, and somebody may be writing in this one.
    with suppress(OSError):
        default_storage.delete(folder)


def folders_in(folder: str) -> list[str]:
    """The names of the folders in `folder`."""
    folders, _ = _listed(folder)
    return folders


def _listed(folder: str) -> tuple[list[str], list[str]]:
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []
