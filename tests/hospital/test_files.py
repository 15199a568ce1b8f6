"""What is said to be stored outlives a power cut: bytes first, then the name, then the word."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from diagnostics.models import FieldImage
from hospital.base import files
from tests.world import World


@pytest.fixture
def disk(monkeypatch: Any) -> list[tuple[str, str]]:
    """Every sync and every naming of a file, in the order in which they happened."""
    done: list[tuple[str, str]] = []
    sync, name = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        done.append(("folder" if path.is_dir() else "bytes", path.name))

    def replace(self: Path, target: Path) -> Path:
        done.append(("name", target.name))
        return name(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return done


def test_bytes_are_synced_before_they_get_their_name_and_the_name_before_the_return(disk: Any):
    files.put("images/ab/abc.jpg", b"x")
    assert [what for what, _ in disk if what != "folder"] == ["bytes", "name"]
    assert disk[-2:] == [("name", "abc.jpg"), ("folder", "ab")]
    # The new folders' own names were synced as well, each in the one above.
    assert ("folder", "images") in disk
    assert ("folder", "files") in disk


def test_what_another_thread_has_just_named_is_synced_before_it_counts_as_stored(disk: Any):
    files.put("images/ab/abc.jpg", b"x")
    disk.clear()
    files.put("images/ab/abc.jpg", b"x")
    assert disk == [("folder", "ab")]


def test_a_file_that_could_not_be_written_leaves_nothing(monkeypatch: Any):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    files.put("images/ab/first.jpg", b"x")
    monkeypatch.setattr(os, "fsync", full)
    failed = files.put_all({"images/ab/a.jpg": b"a", "images/ab/b.jpg": b"b"})
    assert set(failed) == {"images/ab/a.jpg", "images/ab/b.jpg"}
    left = Path(default_storage.path("images/ab")).iterdir()
    assert [path.name for path in left] == ["first.jpg"]


@pytest.mark.django_db
def test_no_row_speaks_of_a_picture_that_is_not_on_disk_yet(world: World, disk: Any):
    """At whatever moment the power fails: a row is written only when its file is safe."""

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        if f'INSERT INTO "{FieldImage._meta.db_table}"' in sql:
            disk.append(("row", ""))
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        image = world.receive(seed=1)
    name = Path(image.storage_key).name
    assert [what for what, _ in disk][-2:] == ["folder", "row"]
    assert disk.index(("name", name)) < disk.index(("row", ""))
