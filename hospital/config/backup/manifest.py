"""What a backup says of itself, and the parts of it on disk."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORM = 1
MANIFEST, SUM = "manifest.json", "manifest.json.sha256"
FILES, KEYS = "files.jsonl", "keys.sealed"
ANCHORS, PUBLIC_KEY = "audit-anchors.jsonl", "audit-public.pem"


class BackupError(Exception):
    """A backup cannot be taken or given back; says what to do."""


@dataclass(frozen=True)
class StoredFile:
    """A file of the storage: its name there, and what it holds."""

    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """A backup in short.

    Attributes:
        database: the kind, 'sqlite' or 'postgresql'; its dump is among `parts`.
        parts: the SHA-256 of every other file of the backup's own folder, by name.
        audit_position, audit_digest: where the trail's chain ended when the backup began.
        missing: files that rows speak of and that the storage did not have. None, one hopes.
    """

    form: int
    taken_at: str
    database: str
    migrations: dict[str, str]
    parts: dict[str, str]
    files: int
    bytes: int
    audit_position: int
    audit_digest: str
    missing: list[str]

    def write(self, folder: Path) -> None:
        """Into the backup's folder, with a digest of its own beside it."""
        text = json.dumps(asdict(self), indent=1)
        write(folder / MANIFEST, text.encode())
        write(folder / SUM, hashlib.sha256(text.encode()).hexdigest().encode())

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """From a backup's folder, its parts checked.

        Raises:
            BackupError: something is missing or not what was written; names it.
        """
        try:
            text, digest = (folder / MANIFEST).read_bytes(), (folder / SUM).read_text()
        except (FileNotFoundError, UnicodeDecodeError) as gone:
            raise BackupError(f"{folder} is no whole backup: {gone}") from gone
        if hashlib.sha256(text).hexdigest() != digest:
            raise BackupError(f"{folder / MANIFEST} is not what was written.")
        told: dict[str, Any] = json.loads(text)
        if told["form"] != FORM:
            raise BackupError(f"{folder} was written by another version: form {told['form']}.")
        manifest = cls(**told)
        for name, expected in manifest.parts.items():
            ensure_digest(folder / name, expected)
        return manifest


def files_of(folder: Path) -> Iterator[StoredFile]:
    """The list of a backup's files."""
    with (folder / FILES).open() as lines:
        yield from (StoredFile(**json.loads(line)) for line in lines)


def object_path(store: Path, sha256: str) -> Path:
    """Where a file's bytes are kept."""
    return store / "objects" / sha256[:2] / sha256


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ensure_digest(path: Path, expected: str) -> None:
    """Pass a file that is what it was.

    Raises:
        BackupError: it is gone, or another one.
    """
    if not path.exists():
        raise BackupError(f"{path} is gone.")
    if digest_of(path) != expected:
        raise BackupError(f"{path} is not what was written.")


def write(path: Path, data: bytes) -> None:
    """Write a file for good."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def newest(store: Path) -> Path | None:
    """The newest whole backup in a folder of backups."""
    whole = sorted(path.parent for path in store.glob(f"[0-9]*/{MANIFEST}"))
    return whole[-1] if whole else None
