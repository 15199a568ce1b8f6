"""What a microscope may rely on when it sends a picture in pieces."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from django.utils.http import parse_http_date

from devices.models import DeviceKey
from devices.services.keys import revoke_key
from devices.services.registry import change_state
from diagnostics.models import Analysis, FieldImage, Upload
from hospital.base import files
from tests.devices.uploads.conftest import begun, pieces, problem
from tests.tus import ADDRESS, Sender, metadata, particulars
from tests.world import SETUP, World, content_digest

pytestmark = pytest.mark.django_db


# --- the way it should go ---------------------------------------------------------------------


def test_a_picture_in_pieces_is_there_with_the_last_one(
    world: World, sender: Sender, storage: None
) -> None:
    body = world.smear(1)
    told = particulars(body, world.specimen.accession) | {"captured_at": "2026-03-01T09:30:00Z"}
    place = begun(sender, body, told)
    third = len(body) // 3

    for start in range(0, len(body), third):
        assert not FieldImage.objects.exists()
        assert sender.standing(place) == (200, start)
        answer = sender.append(place, start, body[start : start + third])
        assert answer.status_code == 204
        assert int(answer["Upload-Offset"]) == min(len(body), start + third)
        assert parse_http_date(answer["Upload-Expires"]) > timezone.now().timestamp()

    image = FieldImage.objects.get(pk=told["image_id"])
    assert files.read(image.storage_key) == body
    assert image.captured_at == datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    assert Analysis.objects.get().image == image
    assert pieces() == []


def test_a_sender_that_lost_the_last_answer_learns_that_it_is_done(
    world: World, sender: Sender
) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    sender.append(place, 0, body)

    standing = sender.ask("HEAD", place)
    assert standing["Upload-Offset"] == standing["Upload-Length"] == str(len(body))
    # tuspy asks, and then sends what is left: nothing.
    assert sender.append(place, len(body), b"").status_code == 204
    assert sender.append(place, 0, body).status_code == 409
    assert FieldImage.objects.count() == 1


def test_head_tells_what_was_told(world: World, sender: Sender) -> None:
    body = world.smear(1)
    told = particulars(body, world.specimen.accession)
    answer = sender.ask("HEAD", begun(sender, body, told))
    assert answer["Upload-Length"] == str(len(body))
    assert answer["Upload-Metadata"] == metadata(told)
    assert answer["Cache-Control"] == "no-store"
    assert answer["Tus-Resumable"] == "1.0.0"


def test_a_lost_answer_to_the_beginning_starts_nothing_over(world: World, sender: Sender) -> None:
    body = world.smear(1)
    told = particulars(body, world.specimen.accession)
    place = begun(sender, body, told)
    sender.append(place, 0, body[:100])

    again = sender.begin(len(body), told)

    assert (again.status_code, again["Location"]) == (201, place)
    assert again["Upload-Offset"] == "100"
    assert Upload.objects.count() == 1
    # Whoever believes to be at the start is told to ask, and every tus client then does.
    assert problem(sender.append(place, 0, body)) == (409, "wrong_offset")


def test_other_particulars_begin_another_upload(world: World, sender: Sender) -> None:
    body = world.smear(1)
    told = particulars(body, world.specimen.accession)
    place = begun(sender, body, told)
    later = told | {"captured_at": "2026-03-01T09:30:00Z"}
    assert sender.begin(len(body), later)["Location"] != place
    assert sender.begin(len(body), told)["Location"] == place


def test_the_first_piece_may_come_with_the_beginning(world: World, sender: Sender) -> None:
    body = world.smear(1)
    told = particulars(body, world.specimen.accession)
    answer = sender.begin(len(body), told, body[:1000])
    assert (answer.status_code, answer["Upload-Offset"]) == (201, "1000")
    # Once more: the same upload, which is further than nothing already.
    again = sender.begin(len(body), told, body[:1000])
    assert (again["Location"], again["Upload-Offset"]) == (answer["Location"], "1000")
    assert sender.append(answer["Location"], 1000, body[1000:]).status_code == 204
    assert FieldImage.objects.get().size == len(body)


def test_a_whole_picture_may_come_with_the_beginning(world: World, sender: Sender) -> None:
    body = world.smear(1)
    answer = sender.begin(len(body), particulars(body, world.specimen.accession), body)
    assert (answer.status_code, answer["Upload-Offset"]) == (201, str(len(body)))
    assert FieldImage.objects.get().size == len(body)


def test_a_picture_that_is_here_already_is_a_finished_upload(
    world: World, sender: Sender, row_counts: Any
) -> None:
    image, body = world.receive(1), world.smear(1)
    before = row_counts()
    told = particulars(body, world.specimen.accession, image.pk)

    answer = sender.begin(len(body), told)

    assert (answer.status_code, answer["Upload-Offset"]) == (201, str(len(body)))
    assert sender.append(answer["Location"], 0, body).status_code == 409
    assert sender.standing(answer["Location"]) == (200, len(body))
    assert sender.begin(len(body), told)["Location"] == answer["Location"]
    assert row_counts() == {**before, "diagnostics.Upload": 1}


def test_a_picture_that_came_by_another_way_meanwhile_finishes_the_upload(
    world: World, sender: Sender
) -> None:
    image_id, body = uuid.uuid4(), world.smear(1)
    told = particulars(body, world.specimen.accession, image_id)
    place = begun(sender, body, told)
    sender.append(place, 0, body[:100])
    put = sender.client.put(
        f"/api/device/v1/images/{image_id}",
        body,
        headers={
            "Authorization": f"Bearer {world.key}",
            "Content-Digest": content_digest(body),
            "Accession-Number": world.specimen.accession,
        },
    )
    assert put.status_code == 201

    assert sender.begin(len(body), told)["Location"] == place
    assert sender.standing(place) == (200, len(body))
    assert pieces() == []


def test_what_the_server_can_do_is_told(world: World, sender: Sender, settings: Any) -> None:
    answer = sender.ask("OPTIONS", ADDRESS, tus_resumable=None)
    assert answer.status_code == 204
    assert answer["Tus-Version"] == "1.0.0"
    assert answer["Tus-Max-Size"] == str(settings.MAX_UPLOAD_BYTES)
    assert answer["Tus-Checksum-Algorithm"] == "sha256,sha1"
    assert answer["Tus-Extension"].split(",") == [
        "creation",
        "creation-with-upload",
        "checksum",
        "expiration",
        "termination",
    ]


def test_methods_may_be_named_in_a_header(world: World, sender: Sender) -> None:
    """For senders, and for networks on the way, that know only GET and POST."""
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    said = {"upload_offset": 0, "x_http_method_override": "PATCH"}
    assert sender.ask("POST", place, body[:100], **said).status_code == 204
    assert sender.standing(place) == (200, 100)
    assert sender.ask("POST", place, x_http_method_override="DELETE").status_code == 204
    assert sender.standing(place) == (404, None)
    assert sender.ask("POST", place, x_http_method_override="GOBBLE").status_code == 405


# --- refused before a byte is sent ------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"image_id": ""}, 400, "bad_image_id"),
        ({"image_id": "17"}, 400, "bad_image_id"),
        ({"accession": ""}, 404, "accession_missing"),
        ({"accession": "X-404"}, 404, "unknown_accession"),
        ({"accession": "S-2026-0001"}, 403, "other_clinic"),
        ({"content_digest": ""}, 422, "digest_missing"),
        ({"content_digest": "sha-256=:AAAA:"}, 422, "digest_mismatch"),
        ({"captured_at": "yesterday"}, 422, "captured_at_unreadable"),
    ],
)
def test_what_would_be_refused_later_is_refused_at_once(
    world: World, sender: Sender, row_counts: Any, change: Any, status: int, code: str
) -> None:
    before = row_counts()
    told = particulars(world.smear(1), world.specimen.accession) | change
    assert problem(sender.begin(1000, told)) == (status, code)
    assert row_counts() == before


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"upload_length": None}, 400, "malformed_upload"),
        ({"upload_length": "-1"}, 400, "malformed_upload"),
        ({"upload_length": None, "upload_defer_length": 1}, 400, "malformed_upload"),
        ({"upload_length": 0}, 415, "not_an_image"),
        ({"upload_length": 31 * 1024 * 1024}, 413, "too_large"),
        ({"upload_metadata": None}, 400, "bad_image_id"),
        ({"upload_metadata": "image_id ?"}, 400, "malformed_upload"),
        ({"upload_metadata": "image_id /w=="}, 400, "malformed_upload"),
        ({"tus_resumable": None}, 412, "unsupported_version"),
        ({"tus_resumable": "0.2.2"}, 412, "unsupported_version"),
        ({"authorization": None}, 401, "key_missing"),
        ({"authorization": "Bearer nonsense"}, 401, "invalid_key"),
    ],
)
def test_a_beginning_that_is_not_understood_says_why(
    world: World, sender: Sender, headers: Any, status: int, code: str
) -> None:
    told = particulars(world.smear(1), world.specimen.accession)
    answer = sender.begin(1000, told, **headers)
    assert problem(answer) == (status, code)
    assert answer["Tus-Version"] == "1.0.0"
    assert not Upload.objects.exists()


def test_an_id_that_has_another_picture_is_refused_at_once(world: World, sender: Sender) -> None:
    image, body = world.receive(1), world.smear(2)
    told = particulars(body, world.specimen.accession, image.pk)
    assert problem(sender.begin(len(body), told)) == (409, "image_id_taken")


def test_a_full_queue_is_told_before_the_bytes_are_sent(
    world: World, sender: Sender, settings: Any
) -> None:
    settings.MAX_QUEUED_ANALYSES = 0
    answer = sender.begin(1000, particulars(world.smear(1), world.specimen.accession))
    assert problem(answer) == (503, "overloaded")
    assert int(answer["Retry-After"]) > 0


def test_a_microscope_cannot_begin_without_end(world: World, sender: Sender, settings: Any) -> None:
    settings.MAX_OPEN_UPLOADS = 2
    body = world.smear(1)
    places = [begun(sender, body, particulars(body, "N-2026-0001")) for _ in range(2)]
    answer = sender.begin(len(body), particulars(body, "N-2026-0001"))
    assert problem(answer) == (429, "too_many_uploads")
    assert sender.append(places[0], 0, body).status_code == 204
    assert sender.begin(len(body), particulars(body, "N-2026-0001")).status_code == 201


# --- whose it is ------------------------------------------------------------------------------


def test_another_microscopes_upload_is_not_there(world: World, sender: Sender) -> None:
    body = world.smear(1)
    place = begun(sender, body, particulars(body, world.specimen.accession))
    other = Sender(world.other_key)
    assert other.standing(place) == (404, None)
    assert problem(other.append(place, 0, body)) == (404, "unknown_upload")
    assert problem(other.ask("DELETE", place)) == (404, "unknown_upload")
    assert sender.standing(place) == (200, 0)


@pytest.mark.parametrize("name", ["nonsense", "17", "5ecb1ad6-8e11-42c5-b34e-96b8ae668aca"])
def test_an_address_that_is_none_is_not_there(world: World, sender: Sender, name: str) -> None:
    assert sender.standing(f"{ADDRESS}/{name}") == (404, None)


def test_a_stopped_microscope_can_neither_begin_nor_go_on(world: World, sender: Sender) -> None:
    body = world.smear(1)
    told = particulars(body, world.specimen.accession)
    place = begun(sender, body, told)
    change_state(actor=SETUP, device=world.device, to="suspended")
    assert problem(sender.begin(len(body), told)) == (403, "device_suspended")
    assert problem(sender.append(place, 0, body)) == (403, "device_suspended")
    change_state(actor=SETUP, device=world.device, to="active")
    revoke_key(actor=SETUP, key=DeviceKey.objects.get(device=world.device))
    assert problem(sender.append(place, 0, body)) == (401, "invalid_key")
    assert not FieldImage.objects.exists()
