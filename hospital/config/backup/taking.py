"""Taking a backup while the hospital works.

The database first, the files after it: files are written once and before the rows that speak of
them, so that whatever a row of the dump speaks of is there when the files are listed. A file that
came in between is in the backup without a row, which does no harm. One that went in between, with
an erased patient, is not in it. Pieces of unfinished uploads are left out: their microscopes have
the whole.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from diagnostics.models import DicomInstance, FieldImage
from diagnostics.services import uploads
from hospital.audit import anchors, sealing
from hospital.audit.services import Actor, note
from hospital.base import chores
from hospital.base.models import Chore
from hospital.config.backup import database, keys
from hospital.config.backup.manifest import (
    ANCHORS,
    FILES,
    FORM,
    KEYS,
    PUBLIC_KEY,
    BackupError,
    Manifest,
    StoredFile,
    digest_of,
    files_of,
    newest,
    object_path,
    sync,
    write,
)

# Names that are the SHA-256 of what they hold.
_BY_DIGEST = re.compile(r"/([0-9a-f]{64})(\.\w+)?$")
# How the storage calls what is still being written.
_INCOMING = ".incoming-"
_CHUNK = 1 << 20


def take(store: Path, *, actor: Actor, passphrase: str = "") -> tuple[Path, Manifest]:
    """Take a backup into a folder of backups; only new files are copied.

    Args:
        passphrase: seals the keys into the backup; without one they are left out.

    Returns:
        The backup's own folder and what it says of itself.

    Raises:
        BackupError: it could not be taken; what was begun is not counted as a backup.
    """
    began = time.monotonic()
    try:
        folder, manifest = _taken(store, actor, passphrase)
    except (BackupError, OSError) as error:
        chores.ended(Chore.BACKUP, seconds=time.monotonic() - began, trouble=str(error))
        raise
    missing = len(manifest.missing)
    trouble = f"The storage lacks {missing} files that rows speak of." if missing else ""
    told = {"files": manifest.files, "bytes": manifest.bytes}
    chores.ended(Chore.BACKUP, seconds=time.monotonic() - began, trouble=trouble, **told)
    return folder, manifest


def _taken(store: Path, actor: Actor, passphrase: str) -> tuple[Path, Manifest]:
    now = datetime.now(UTC)
    folder = store / now.strftime("%Y-%m-%dT%H-%M-%SZ")
    former = newest(store)
    coming = store / f".incoming-{folder.name}"
    coming.mkdir(parents=True, mode=0o700)
    try:
        manifest = _fill(coming, store, former, actor, passphrase, now)
        manifest.write(coming)
        sync(coming)
        coming.rename(folder)
        sync(store)
    except BaseException:
        shutil.rmtree(coming, ignore_errors=True)
        raise
    return folder, manifest


def _fill(
    coming: Path, store: Path, former: Path | None, actor: Actor, passphrase: str, now: datetime
) -> Manifest:
    note(actor, "backup.taken", "config.backup", at=now.isoformat())
    sealing.seal(deep=True, wait=True)
    anchors.drop()
    head = anchors.head()
    expected = _named_by_rows()
    parts = {}
    for path in _own_parts(coming, passphrase):
        parts[path.name] = digest_of(path)
    kept = _keep_files(coming / FILES, store, former, expected)
    parts[FILES] = digest_of(coming / FILES)
    return Manifest(
        form=FORM,
        taken_at=now.isoformat(),
        database=connection.vendor,
        migrations=_newest_migrations(),
        parts=parts,
        files=kept[0],
        bytes=kept[1],
        audit_position=head.position if head else 0,
        audit_digest=head.digest if head else "",
        # Who was erased meanwhile needs none.
        missing=sorted(expected & _named_by_rows()) if expected else [],
    )


def _own_parts(coming: Path, passphrase: str) -> Iterator[Path]:
    """The database, the anchors with what checks them, and the keys, written."""
    yield database.dump(coming)
    kept = Path(settings.AUDIT_ANCHOR_FILE)
    write(coming / ANCHORS, kept.read_bytes() if kept.exists() else b"")
    yield coming / ANCHORS
    write(coming / PUBLIC_KEY, anchors.public_pem().encode())
    yield coming / PUBLIC_KEY
    if passphrase:
        write(coming / KEYS, keys.sealed(passphrase))
        yield coming / KEYS


def _named_by_rows() -> set[str]:
    """The files that must not be missing: pictures and DICOM objects as they came.

    Of an erased patient only the rows are left.
    """
    pictures = FieldImage.objects.filter(specimen__patient__erased_at__isnull=True)
    named: set[str] = set()
    for rows in (pictures, DicomInstance.objects.all()):
        named.update(rows.order_by().values_list("storage_key", flat=True).iterator())
    return named


def _keep_files(
    listing: Path, store: Path, former: Path | None, expected: set[str]
) -> tuple[int, int]:
    """Copy what is new and list everything; strikes out of `expected` what was there.

    A name of the former backup is not read again: names never get other bytes.
    """
    known = {file.key: file for file in files_of(former)} if former else {}
    count = size = 0
    with listing.open("w") as lines:
        for key in _stored():
            file = known.get(key)
            if file is None or not object_path(store, file.sha256).exists():
                file = _copied(key, store)
            if file is None:
                continue
            lines.write(json.dumps(vars(file)) + "\n")
            expected.discard(key)
            count, size = count + 1, size + file.size
        lines.flush()
        os.fsync(lines.fileno())
    return count, size


def _copied(key: str, store: Path) -> StoredFile | None:
    """Copy one file, digested on the way and read back from the backup's disk.

    None if it was removed since it was listed.
    """
    try:
        source = default_storage.open(key, "rb")
    except FileNotFoundError:
        return None
    temporary = store / "objects" / f".incoming-{os.getpid()}"
    temporary.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with source, temporary.open("wb") as copy:
        while block := source.read(_CHUNK):
            digest.update(block)
            copy.write(block)
            size += len(block)
        copy.flush()
        os.fsync(copy.fileno())
    found = digest.hexdigest()
    promised = _BY_DIGEST.search(f"/{key}")
    if promised and promised[1] != found:
        raise BackupError(f"{key} in the storage is not what was sent: its SHA-256 is {found}.")
    if digest_of(temporary) != found:
        raise BackupError(f"The disk of the backup does not give back what was written: {key}.")
    target = object_path(store, found)
    target.parent.mkdir(exist_ok=True, mode=0o700)
    temporary.replace(target)
    sync(target.parent)
    return StoredFile(key, found, size)


def _stored(folder: str = "") -> Iterator[str]:
    """Every file of the storage that is to last, folder by folder."""
    if folder == uploads.FOLDER:
        return
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in sorted(names):
        if not name.startswith(_INCOMING):
            yield f"{folder}/{name}".lstrip("/")
    for name in sorted(folders):
        yield from _stored(f"{folder}/{name}".lstrip("/"))


def _newest_migrations() -> dict[str, str]:
    applied = MigrationRecorder(connection).applied_migrations()
    return {app: max(n for a, n in applied if a == app) for app in sorted({a for a, _ in applied})}
