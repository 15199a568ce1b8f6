"""Files that survive a power cut: on disk and fsynced before anyone is told so."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage


class DurableFileSystemStorage(FileSystemStorage):
    """Django's file storage, with the two fsyncs that make a write last."""

    def _save(self, name: str, content: File[Any]) -> str:
        target = Path(self.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".incoming-")
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_directory(target.parent)
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        # Names are made from digests and ids: the same name means the same bytes.
        return name


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep(data: bytes, *, folder: str, suffix: str) -> str:
    """Store `data` under its own SHA-256 and return the storage key.

    The same bytes get the same key, so a repeated upload costs no space and cannot clash.
    """
    digest = hashlib.sha256(data).hexdigest()
    return put(f"{folder}/{digest[:2]}/{digest}{suffix}", data)


def put(key: str, data: bytes) -> str:
    """Store `data` under `key` unless something already stands there; return the key."""
    if not default_storage.exists(key):
        default_storage.save(key, ContentFile(data))
    return key


def read(key: str) -> bytes:
    """The bytes stored under `key`.

    Raises:
        FileNotFoundError: nothing is stored there.
    """
    with default_storage.open(key, "rb") as file:
        return bytes(file.read())
