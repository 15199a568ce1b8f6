"""Promises about the end of an upload: finished, given up, forgotten, cut off by a crash."""

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from devices.services.registry import change_state
from diagnostics import tasks
from diagnostics.models import Analysis, FieldImage, Upload
from diagnostics.services import intake, uploads
from diagnostics.services.uploads import FINISHING, FOLDER, ORPHANS_EVERY_SECONDS
from hospital.base import files
from tests.devices.uploads.conftest import begun, lately, pieces, problem, whole_but_not_finished
from tests.tus import ADDRESS, Sender, particulars
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


# --- the end of the whole ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "said", "status", "code"),
    [
        (b"no picture at all", b"no picture at all", 415, "not_an_image"),
        (b"other bytes", b"these bytes", 422, "digest_mismatch"),
    ],
)
def test_a_refused_picture_is_refused_with_the_last_piece_and_leaves_nothing(
    world: World,
    sender: Sender,
    row_counts: Any,
    storage: None,
    sent: bytes,
    said: bytes,
    status: int,
    code: str,
) -> None:
    before = row_counts()
    place = begun(sender, sent, particulars(said, world.specimen.accession))
    assert sender.append(place, 0, sent[:5]).status_code == 204
    assert problem(sender.append(place, 5, sent[5:])) == (status, code)
    assert row_counts() == before
    assert pieces() == []
    assert sender.standing(place) == (404, None)


def test_a_picture_that_cannot_be_taken_just_now_is_kept_until_it_can(
    world: World, sender: Sender, settings: Any
) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    settings.MAX_QUEUED_ANALYSES = 0

    assert problem(sender.append(place, 0, body)) == (503, "overloaded")
    # Never 'all is here' before it is: the sender would delete its own.
    assert sender.standing(place) == (503, None)
    assert not FieldImage.objects.exists()

    settings.MAX_QUEUED_ANALYSES = 5000
    assert sender.standing(place) == (200, len(body))
    assert FieldImage.objects.count() == 1


@pytest.mark.parametrize("way", ["head", "patch", "begin", "sweep"])
def test_a_crash_before_the_end_is_made_good(world: World, sender: Sender, way: str) -> None:
    body = world.smear(1)
    upload = whole_but_not_finished(world, body)
    place = f"{ADDRESS}/{upload.pk}"
    assert not FieldImage.objects.exists()

    match way:
        case "head":
            assert sender.standing(place) == (200, len(body))
        case "patch":
            assert sender.append(place, 0, body).status_code == 409
        case "begin":
            told = particulars(body, world.specimen.accession, upload.image_id)
            assert sender.begin(len(body), told)["Upload-Offset"] == str(len(body))
        case "sweep":
            assert uploads.sweep()["finished"] == 0  # its own request may still be at it
            lately(upload, FINISHING * 2)
            assert tasks.sweep()["finished"] == 1
            assert tasks.sweep()["finished"] == 0

    assert FieldImage.objects.get().pk == upload.image_id
    assert sender.standing(place) == (200, len(body))
    assert pieces() == []


def test_a_crash_after_the_picture_was_taken_in_is_made_good(world: World, sender: Sender) -> None:
    body = world.smear(1)
    upload = whole_but_not_finished(world, body)
    intake.receive(
        device=world.device,
        image_id=upload.image_id,
        body=body,
        content_digest=upload.content_digest,
        accession=upload.accession,
    )
    assert sender.standing(f"{ADDRESS}/{upload.pk}") == (200, len(body))
    assert FieldImage.objects.count() == 1
    assert pieces() == []


@pytest.mark.django_db(transaction=True)
def test_finished_by_two_at_once_it_is_one_picture(world: World) -> None:
    body = world.smear(1)
    upload = whole_but_not_finished(world, body)
    start = threading.Barrier(2)
    standings: list[Any] = []

    def ask() -> None:
        start.wait()
        try:
            standings.append(Sender(world.key).standing(f"{ADDRESS}/{upload.pk}"))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert standings == [(200, len(body))] * 2
    assert FieldImage.objects.count() == Analysis.objects.count() == 1


def test_a_stopped_microscopes_upload_is_not_finished_behind_its_back(world: World) -> None:
    upload = whole_but_not_finished(world, world.smear(1))
    lately(upload, FINISHING * 2)
    change_state(actor=SETUP, device=world.device, to="suspended")
    assert uploads.sweep()["finished"] == 0
    assert not FieldImage.objects.exists()
    change_state(actor=SETUP, device=world.device, to="active")
    assert uploads.sweep()["finished"] == 1


# --- ending, expiring, tidying ----------------------------------------------------------------


def test_an_upload_can_be_given_up(world: World, sender: Sender, storage: None) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    sender.append(place, 0, body[:100])

    assert sender.ask("DELETE", place).status_code == 204

    assert pieces() == []
    assert sender.standing(place) == (404, None)
    assert problem(sender.append(place, 100, body[100:])) == (404, "unknown_upload")
    assert problem(sender.ask("DELETE", place)) == (404, "unknown_upload")


def test_giving_up_a_finished_upload_leaves_the_picture(world: World, sender: Sender) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    sender.append(place, 0, body)
    assert sender.ask("DELETE", place).status_code == 204
    assert files.read(FieldImage.objects.get().storage_key) == body


def test_half_a_picture_expires_and_never_becomes_a_row(
    world: World, sender: Sender, storage: None, settings: Any
) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    sender.append(place, 0, body[:100])
    upload = Upload.objects.get()
    lately(upload, timedelta(hours=settings.UPLOAD_EXPIRY_HOURS))

    assert sender.standing(place) == (404, None)  # also before the sweep comes
    assert uploads.sweep()["expired"] == 1

    assert pieces() == []
    assert not Upload.objects.exists()
    assert not FieldImage.objects.exists()


def test_each_piece_gives_the_upload_more_time(world: World, sender: Sender) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    lately(Upload.objects.get(), timedelta(hours=23))
    before = Upload.objects.get().expires_at
    sender.append(place, 0, body[:100])
    assert Upload.objects.get().expires_at > before + timedelta(hours=22)


def test_pieces_that_belong_to_nothing_are_removed(
    world: World, sender: Sender, storage: None, monkeypatch: Any
) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    sender.append(place, 0, body[:100])
    kept = pieces()
    files.put(f"{FOLDER}/{uuid.uuid4()}/0-left", b"by a process that died")
    monkeypatch.setattr(uploads, "_looked_for_orphans", None)

    assert uploads.sweep()["orphans"] == 1
    assert pieces() == kept

    # A store over the network is not listed every few seconds.
    files.put(f"{FOLDER}/{uuid.uuid4()}/0-left", b"by another")
    assert uploads.sweep()["orphans"] == 0
    earlier = (uploads._looked_for_orphans or 0.0) - ORPHANS_EVERY_SECONDS
    monkeypatch.setattr(uploads, "_looked_for_orphans", earlier)
    assert uploads.sweep()["orphans"] == 1


def test_a_lost_piece_makes_the_sender_begin_again(world: World, sender: Sender) -> None:
    body = world.smear(1)
    upload = whole_but_not_finished(world, body)
    default_storage.delete(upload.pieces[0])
    assert sender.standing(f"{ADDRESS}/{upload.pk}") == (404, None)
    told = particulars(body, world.specimen.accession, upload.image_id)
    assert sender.begin(len(body), told, body)["Upload-Offset"] == str(len(body))
    assert FieldImage.objects.count() == 1
