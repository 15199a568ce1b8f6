"""Promise: what was backed up comes back byte for byte, and a byte that changed is named."""

import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from diagnostics.models import FieldImage
from diagnostics.services.erasure import erase_patient
from hospital.audit.models import Entry
from hospital.base import files
from hospital.config.backup import database, keys, taking
from hospital.config.backup.manifest import BackupError, Manifest, files_of, newest, object_path
from hospital.config.backup.restoring import check, restore
from hospital.config.backup.taking import take
from tests.servers import postgresql_client
from tests.world import SETUP, World, found

pytestmark = pytest.mark.django_db(transaction=True)
needs_sqlite = pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="PostgreSQL's programs: tests/stack/test_backup.py"
)


@pytest.fixture
def elsewhere(settings: Any, tmp_path: Path) -> Callable[[], None]:
    """Moves to another machine: no files, no keys, no anchors there."""

    def move(name: str) -> None:
        place = tmp_path / name
        place.mkdir()
        settings.VAR_DIR = place
        settings.AUDIT_ANCHOR_FILE = str(place / "anchors.jsonl")
        settings.AUDIT_KEY_FILE = str(place / "audit-key.pem")
        storage = dict(settings.STORAGES["default"], OPTIONS={"location": place / "files"})
        settings.STORAGES = {**settings.STORAGES, "default": storage}

    move("here")
    return lambda: move("there")


@pytest.fixture
def hospital(elsewhere: Any) -> World:
    """One with pictures."""
    world = found()
    for seed in range(3):
        world.receive(seed)
    return world


def restored_to_another_machine(store: Path, elsewhere: Callable[[], None], **options: Any) -> Any:
    elsewhere()
    Entry.objects.create(actor_kind="system", actor_name="x", action="x.gone", subject_type="x")
    return restore(store, actor=SETUP, force=True, **options)


@needs_sqlite
def test_everything_comes_back_down_to_the_checksum_of_each_image(
    hospital: World, elsewhere: Any, tmp_path: Path
) -> None:
    import hashlib

    store = tmp_path / "store"
    _, manifest = take(store, actor=SETUP, passphrase="four words of mine")
    before = dict(FieldImage.objects.values_list("pk", "sha256"))
    position = manifest.audit_position
    done = restored_to_another_machine(store, elsewhere, passphrase="four words of mine")
    assert done.manifest == manifest
    assert done.verdict.sound
    assert done.verdict.sealed >= position
    images = FieldImage.objects.all()
    assert {i.pk: hashlib.sha256(files.read(i.storage_key)).hexdigest() for i in images} == before
    assert not Entry.objects.filter(action="x.gone").exists()
    assert {"backup.taken", "backup.restored"} <= set(
        Entry.objects.values_list("action", flat=True)
    )
    # The key came along, so that the anchors of before still count.
    from hospital.audit.verification import verify

    assert verify().sound
    assert verify().anchors


def test_a_second_backup_copies_only_what_is_new(hospital: World, tmp_path: Path) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's programs: tests/stack/test_backup.py")
    store = tmp_path / "store"
    first, _ = take(store, actor=SETUP)
    objects = {path: path.stat().st_ino for path in store.glob("objects/*/*")}
    hospital.receive(seed=9)
    first.rename(first.with_name("2020-01-01T00-00-00Z"))  # the name is the second
    second, manifest = take(store, actor=SETUP)
    new = set(store.glob("objects/*/*")) - set(objects)
    assert len(new) == 1
    assert manifest.files == len(objects) + 1
    assert newest(store) == second
    assert all(path.stat().st_ino == inode for path, inode in objects.items())


@needs_sqlite
def test_a_flipped_byte_anywhere_is_named_and_nothing_is_touched(
    hospital: World, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    folder, _ = take(store, actor=SETUP, passphrase="four words of mine")
    places = [path for path in store.rglob("*") if path.is_file()]
    assert {"manifest.json", "database.sqlite3", "files.jsonl", "keys.sealed"} <= {
        path.name for path in places
    }
    count = Entry.objects.count()
    for path in places:
        sound = path.read_bytes()
        middle = len(sound) // 2
        path.write_bytes(sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :])
        with pytest.raises(BackupError) as told:
            restore(store, actor=SETUP, force=True)
        named = path.with_name("manifest.json") if path.suffix == ".sha256" else path
        assert str(named) in str(told.value)
        path.write_bytes(sound)
    assert Entry.objects.count() == count
    check(store, folder)


@needs_sqlite
def test_a_lost_file_is_named_with_what_it_was(hospital: World, tmp_path: Path) -> None:
    store = tmp_path / "store"
    folder, _ = take(store, actor=SETUP)
    one = next(files_of(folder))
    object_path(store, one.sha256).unlink()
    with pytest.raises(BackupError, match=one.key):
        check(store, folder)


@needs_sqlite
def test_a_picture_that_rotted_in_the_storage_is_not_backed_up_as_if_it_were_sound(
    hospital: World, tmp_path: Path, settings: Any
) -> None:
    image = FieldImage.objects.all()[0]
    path = settings.VAR_DIR / "files" / image.storage_key
    path.chmod(0o600)
    path.write_bytes(b"rotten")
    with pytest.raises(BackupError, match=image.storage_key):
        take(tmp_path / "store", actor=SETUP)
    assert newest(tmp_path / "store") is None


@needs_sqlite
def test_a_picture_that_the_storage_lacks_is_told(hospital: World, tmp_path: Path) -> None:
    image = FieldImage.objects.all()[0]
    files.remove(image.storage_key)
    with pytest.raises(CommandError, match=image.storage_key):
        call_command("backup", str(tmp_path / "store"), stdout=io.StringIO())
    folder = newest(tmp_path / "store")
    assert folder is not None
    assert Manifest.read(folder).missing == [image.storage_key]


@needs_sqlite
def test_a_file_that_goes_while_the_backup_is_taken_stops_nothing(
    hospital: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed, and removed before it was copied: of an erased patient, or drawn anew."""
    for key in ("derived/run/overlay.jpg", "derived/run/thumbnail.jpg"):
        files.put(key, key.encode())
    listed = taking._stored

    def and_gone(folder: str = "") -> Iterator[str]:
        for key in listed(folder):
            if key.endswith("overlay.jpg"):
                files.remove(key)
            yield key

    monkeypatch.setattr(taking, "_stored", and_gone)
    folder, manifest = take(tmp_path / "store", actor=SETUP)
    kept = {one.key for one in files_of(folder)}
    assert "derived/run/thumbnail.jpg" in kept
    assert "derived/run/overlay.jpg" not in kept
    assert manifest.files == len(kept) == 4
    assert manifest.missing == []


@needs_sqlite
def test_pieces_of_unfinished_uploads_are_not_in_it(hospital: World, tmp_path: Path) -> None:
    files.put("uploads/6b1a1a30/0-piece", b"half a picture")
    folder, _ = take(tmp_path / "store", actor=SETUP)
    assert not [one.key for one in files_of(folder) if one.key.startswith("uploads/")]


@needs_sqlite
def test_the_pictures_of_an_erased_patient_are_not_missed(hospital: World, tmp_path: Path) -> None:
    erase_patient(actor=SETUP, patient=hospital.patient, reason="request")
    _, manifest = take(tmp_path / "store", actor=SETUP)
    assert (manifest.files, manifest.missing) == (0, [])


@needs_sqlite
def test_an_installation_that_is_not_empty_is_not_replaced_unasked(
    hospital: World, tmp_path: Path
) -> None:
    take(tmp_path / "store", actor=SETUP)
    with pytest.raises(CommandError, match="not empty"):
        call_command("restore", str(tmp_path / "store"))


def test_a_folder_without_a_backup_is_refused(tmp_path: Path, db: Any) -> None:
    (tmp_path / ".incoming-2026-01-01T00-00-00Z").mkdir()
    with pytest.raises(CommandError, match="no whole backup"):
        call_command("restore", str(tmp_path))


@needs_sqlite
def test_a_backup_of_a_newer_version_is_refused(hospital: World, tmp_path: Path) -> None:
    store = tmp_path / "store"
    folder, manifest = take(store, actor=SETUP)
    from dataclasses import replace

    newer = replace(manifest, migrations={"diagnostics": "9999_later"})
    newer.write(folder)
    with pytest.raises(BackupError, match="newer version"):
        restore(store, actor=SETUP, force=True)


@needs_sqlite
def test_keys_are_in_it_only_under_the_passphrase(
    hospital: World, tmp_path: Path, settings: Any
) -> None:
    store = tmp_path / "store"
    folder, _ = take(store, actor=SETUP, passphrase="four words of mine")
    private = Path(settings.AUDIT_KEY_FILE).read_bytes()
    secrets = [settings.SECRET_KEY.encode(), private.splitlines()[1]]
    for path in store.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path
    with pytest.raises(BackupError, match="passphrase"):
        keys.unsealed((folder / "keys.sealed").read_bytes(), "five words of mine")
    held = keys.unsealed((folder / "keys.sealed").read_bytes(), "four words of mine")
    assert held["secret-key"] == settings.SECRET_KEY
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@needs_sqlite
def test_without_a_passphrase_the_command_says_what_to_keep_apart(
    hospital: World, tmp_path: Path, settings: Any
) -> None:
    out = io.StringIO()
    call_command("backup", str(tmp_path / "store"), stdout=out)
    assert f"Keep apart: {settings.AUDIT_KEY_FILE}" in out.getvalue()
    call_command("backup", str(tmp_path / "store"), "--check", stdout=out)
    assert "every byte" in out.getvalue()
    listed = [json.loads(line) for line in (newest(tmp_path / "store") / "files.jsonl").open()]
    assert all(len(one["sha256"]) == 64 for one in listed)


def test_a_program_that_is_older_than_the_server_is_refused(tmp_path: Path, db: Any) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite needs no program")
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6'\n")
    old.chmod(0o755)
    with pytest.raises(BackupError, match="of version 9"):
        database._ensure_not_older(str(old))


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite copies itself whole")
@pytest.mark.parametrize("script", ["CREATE TABLE half (n int);", "COPY half FROM stdin;\\n1"])
def test_a_restore_that_breaks_off_leaves_the_database_as_it_was(
    hospital: World, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """Whether the dump ends in the middle or what it says is wrong."""
    monkeypatch.setenv("PATH", f"{postgresql_client()}:{os.environ['PATH']}")
    for end in ("exit 1", "echo 'SELECT * FROM nowhere;'"):
        with pytest.raises(BackupError, match="not replaced"):
            database._replace(["sh", "-c", f"printf '{script}\\n'; {end}"])
    assert FieldImage.objects.count() == 3
    assert "half" not in connection.introspection.table_names()
