"""Promises about the pieces of a picture: a damaged, misplaced or doubled one changes nothing."""

import threading
from typing import Any

import pytest
from django.db import connection

from diagnostics.models import FieldImage, Upload
from diagnostics.services import uploads
from hospital.base import files
from tests.devices.uploads.conftest import begun, pieces, problem, sha
from tests.tus import Sender, particulars
from tests.world import World

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_damaged_piece_is_not_kept(world: World, sender: Sender, algorithm: str) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    checksum = sha(algorithm, body[:100])

    damaged = sender.append(place, 0, b"?" + body[1:100], upload_checksum=checksum)
    assert problem(damaged) == (460, "checksum_mismatch")
    assert damaged.json()["title"] == "Checksum Mismatch"
    cut_short = sender.append(place, 0, body[:60], upload_checksum=checksum)
    assert problem(cut_short) == (460, "checksum_mismatch")
    assert (sender.standing(place), pieces()) == ((200, 0), [])
    assert sender.append(place, 0, body[:100], upload_checksum=checksum).status_code == 204


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"upload_offset": 7}, 409, "wrong_offset"),
        ({"upload_offset": None}, 400, "malformed_upload"),
        ({"upload_offset": "0x10"}, 400, "malformed_upload"),
        ({"content_type": "image/jpeg"}, 415, "not_a_piece"),
        ({"upload_checksum": "md5 AAAA"}, 400, "malformed_upload"),
        ({"upload_checksum": "sha1 ?"}, 400, "malformed_upload"),
        ({"upload_checksum": "sha1"}, 460, "checksum_mismatch"),
        ({"tus_resumable": None}, 412, "unsupported_version"),
    ],
)
def test_a_piece_that_is_not_understood_changes_nothing(
    world: World, sender: Sender, headers: Any, status: int, code: str
) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    said = {"upload_offset": 0, **headers}
    offset = said.pop("upload_offset")
    answer = sender.append(place, offset, body[:100], **said)
    assert problem(answer) == (status, code)
    assert (sender.standing(place), pieces()) == ((200, 0), [])


def test_more_than_was_announced_is_not_taken(world: World, sender: Sender) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    assert problem(sender.append(place, 0, body + b"x")) == (413, "too_large")
    assert (sender.standing(place), pieces()) == ((200, 0), [])


def test_a_full_disk_loses_no_piece(world: World, sender: Sender, monkeypatch: Any) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        answer = sender.append(place, 0, body)
    assert problem(answer) == (503, "storage_unavailable")
    assert (sender.standing(place), pieces()) == ((200, 0), [])
    assert sender.append(place, 0, body).status_code == 204
    assert FieldImage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_pieces_at_once_one_is_kept(world: World) -> None:
    body = world.smear(1)
    place = begun(Sender(world.key), body, particulars(body, world.specimen.accession))
    start = threading.Barrier(2)
    statuses: dict[int, int] = {}

    def deliver(length: int) -> None:
        start.wait()
        try:
            statuses[length] = Sender(world.key).append(place, 0, body[:length]).status_code
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver, args=[length]) for length in (100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(statuses.values()) == [204, 409]
    kept = next(length for length, status in statuses.items() if status == 204)
    sender = Sender(world.key)
    assert sender.standing(place) == (200, kept)
    assert len(pieces()) == 1
    assert sender.append(place, kept, body[kept:]).status_code == 204
    assert files.read(FieldImage.objects.get().storage_key) == body


@pytest.mark.django_db(transaction=True)
def test_a_piece_that_comes_while_another_is_written_takes_itself_away(world: World) -> None:
    """Two web processes that both found the upload at the same offset."""
    body = world.smear(1)
    place = begun(Sender(world.key), body, particulars(body, world.specimen.accession))
    one, other = (Upload.objects.get() for _ in range(2))

    uploads.append(upload=one, offset=0, body=body[:100])
    with pytest.raises(uploads.WrongOffset):
        uploads.append(upload=other, offset=0, body=body[:50])

    assert Sender(world.key).standing(place) == (200, 100)
    assert len(pieces()) == 1
