"""Giving a backup back: everything is checked before anything is touched, and again afterwards."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from hospital.audit import anchors
from hospital.audit.services import Actor, note
from hospital.audit.verification import Verdict, verify
from hospital.base import files as storage
from hospital.config.backup import database, keys
from hospital.config.backup.manifest import (
    ANCHORS,
    KEYS,
    PUBLIC_KEY,
    BackupError,
    Manifest,
    StoredFile,
    ensure_digest,
    files_of,
    newest,
    object_path,
)


@dataclass
class Restored:
    """What was given back."""

    manifest: Manifest
    verdict: Verdict
    keys: list[str] = field(default_factory=list)


def chosen(store: Path, name: str = "") -> Path:
    """The folder of the named backup, or of the newest.

    Raises:
        BackupError: there is none.
    """
    folder = store / name if name else newest(store)
    if folder is None or not folder.is_dir():
        raise BackupError(f"There is no whole backup {name or 'at all'} in {store}.")
    return folder


def check(store: Path, folder: Path) -> Manifest:
    """Read the whole backup and compare every byte's digest.

    Raises:
        BackupError: something is not what was written, or gone; names it, and the storage's file.
    """
    manifest = Manifest.read(folder)
    for one in files_of(folder):
        try:
            ensure_digest(object_path(store, one.sha256), one.sha256)
        except BackupError as wrong:
            raise BackupError(f"{wrong} It is {one.key} of the storage.") from None
    return manifest


def restore(
    store: Path, *, actor: Actor, name: str = "", passphrase: str = "", force: bool = False
) -> Restored:
    """Give a backup back to this installation: files, database, keys, anchors.

    Args:
        force: what is here may be replaced. Files that the backup does not know stay.

    Raises:
        BackupError: the backup is damaged, or this installation is not empty (nothing was
            touched); or what was given back is not what was kept (says what).
    """
    folder = chosen(store, name)
    manifest = check(store, folder)
    _ensure_fits(manifest)
    if not force and not (database.is_empty() and _storage_is_empty()):
        raise BackupError(
            "This installation is not empty. Restore into an empty database and storage, or say "
            "--force to have what is here replaced."
        )
    held = keys.unsealed((folder / KEYS).read_bytes(), passphrase) if passphrase else {}
    # The other way round than taking: when a row is there, its file is.
    for one in files_of(folder):
        _give_back(one, store)
    database.load(folder, replace=force)
    told = keys.put_back(held)
    call_command("migrate", verbosity=0)
    _put_anchors_back(folder)
    verdict = _verified(folder, manifest)
    note(actor, "backup.restored", "config.backup", taken_at=manifest.taken_at)
    return Restored(manifest, verdict, told)


def _ensure_fits(manifest: Manifest) -> None:
    if manifest.database != connection.vendor:
        raise BackupError(f"The backup is of {manifest.database}, DATABASE_URL is another kind.")
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    if newer := [one for one in manifest.migrations.items() if one not in known]:
        raise BackupError(f"The backup was taken by a newer version, which has {newer[0]}.")


def _give_back(one: StoredFile, store: Path) -> None:
    """One file into the storage, read again from there."""
    if default_storage.exists(one.key):
        if _digest(one.key) == one.sha256:
            return
        storage.remove(one.key)
    with object_path(store, one.sha256).open("rb") as source:
        default_storage.save(one.key, File(source))
    if _digest(one.key) != one.sha256:
        raise BackupError(f"The storage does not give back what was written: {one.key}.")


def _digest(key: str) -> str:
    with default_storage.open(key, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _put_anchors_back(folder: Path) -> None:
    """Those of the backup take the place of those here, which know of what is no longer there.

    Without the key that signed them they stay in the backup: here they would look forged.
    """
    path = Path(settings.AUDIT_ANCHOR_FILE)
    if path.exists():
        path.rename(path.with_name(f"{path.name}.before-restore-of-{folder.name}"))
    if anchors.public_pem() == (folder / PUBLIC_KEY).read_text():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes((folder / ANCHORS).read_bytes())


def _verified(folder: Path, manifest: Manifest) -> Verdict:
    """The audit trail as it was restored, by the anchors of the backup and by its manifest."""
    verdict = verify(anchor_file=folder / ANCHORS, public_key=folder / PUBLIC_KEY)
    if not verdict.sound:
        raise BackupError(f"The audit trail that was restored is not whole: {verdict.faults[0]}")
    if verdict.sealed < manifest.audit_position:
        raise BackupError(
            f"The audit trail that was restored ends at {verdict.sealed}, not at "
            f"{manifest.audit_position}."
        )
    return verdict


def _storage_is_empty() -> bool:
    try:
        folders, names = default_storage.listdir("")
    except FileNotFoundError:
        return True
    return not folders and not names
