"""What a microscope may rely on when it sends a picture in pieces."""

import base64
import hashlib
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from django.utils.http import parse_http_date

from devices.models import DeviceKey
from devices.services.keys import revoke_key
from devices.services.registry import change_state
from diagnostics import tasks
from diagnostics.models import Analysis, FieldImage, Upload
from diagnostics.services import intake, uploads
from diagnostics.services.uploads import FINISHING, FOLDER, ORPHANS_EVERY_SECONDS
from hospital.base import files
from tests.tus import ADDRESS, Sender, metadata, particulars
from tests.world import SETUP, World, content_digest

pytestmark = pytest.mark.django_db


@pytest.fixture
def sender(world: World) -> Sender:
    """The clinic's own microscope."""
    return Sender(world.key)


@pytest.fixture(params=["disk", "objects"])
def storage(request: Any, settings: Any) -> None:
    """On disk, and in a store that knows neither folders nor appending, as S3 does not."""
    if request.param == "objects":
        backend = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
        settings.STORAGES = {**settings.STORAGES, "default": backend}


def pieces(upload: Upload | None = None) -> list[str]:
    """Everything that lies in the storage for unfinished uploads, or for this one."""
    names = files.folders_in(FOLDER) if upload is None else [str(upload.pk)]
    return [piece for name in names for piece in files._listed(f"{FOLDER}/{name}")[1]]


def begun(sender: Sender, body: bytes, told: dict[str, str]) -> str:
    """The address of a new upload."""
    answer = sender.begin(len(body), told)
    assert answer.status_code == 201, answer.content
    return str(answer["Location"])


def sha(name: str, body: bytes) -> str:
    """The header Upload-Checksum."""
    return f"{name} {base64.b64encode(hashlib.new(name, body).digest()).decode()}"


def lately(upload: Upload, ago: timedelta) -> None:
    """Let the upload's last piece have come so long ago."""
    Upload.objects.filter(pk=upload.pk).update(expires_at=upload.expires_at - ago)


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Tus-Resumable"] == "1.0.0"
    return answer.status_code, answer.json()["code"]


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
    assert answer["Retry-After"] == "30"


def test_a_microscope_cannot_begin_without_end(world: World, sender: Sender, settings: Any) -> None:
    settings.MAX_OPEN_UPLOADS = 2
    body = world.smear(1)
    places = [begun(sender, body, particulars(body, "N-2026-0001")) for _ in range(2)]
    answer = sender.begin(len(body), particulars(body, "N-2026-0001"))
    assert problem(answer) == (429, "too_many_uploads")
    assert sender.append(places[0], 0, body).status_code == 204
    assert sender.begin(len(body), particulars(body, "N-2026-0001")).status_code == 201


# --- pieces that are not taken ----------------------------------------------------------------


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


def whole_but_not_finished(world: World, body: bytes) -> Upload:
    """As a web process leaves it that dies after storing the last piece."""
    upload = uploads.begin(
        device=world.device,
        image_id=uuid.uuid4(),
        accession=world.specimen.accession,
        content_digest=content_digest(body),
        captured_at=None,
        length=len(body),
    )
    uploads.append(upload=upload, offset=0, body=body[:100])
    uploads.append(upload=upload, offset=100, body=body[100:])
    return upload


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
