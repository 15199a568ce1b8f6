"""What a microscope is told when something is wrong, and that a refusal leaves nothing behind."""

import io
import struct
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from devices.models import DeviceState
from devices.services.keys import revoke_key
from devices.services.registry import change_state
from diagnostics.models import FieldImage
from hospital.audit.services import Actor
from tests.devices.conftest import Microscope
from tests.world import World, content_digest

pytestmark = pytest.mark.django_db

RowCounts = Callable[[], dict[str, int]]


def expect(answer: Any, status: int, code: str) -> None:
    """The answer is a problem a program and a person can read."""
    problem = answer.json()
    assert (answer.status_code, problem.get("code")) == (status, code), problem
    assert answer["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["title"]
    assert len(problem["detail"]) > 20


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "key_missing"),
        ("", "key_missing"),
        ("Bearer", "key_missing"),
        ("Bearer ", "key_missing"),
        ("Basic dXNlcjpwYXNz", "key_missing"),
        ("Bearer two words", "key_missing"),
        ("Bearer llk_000000000000_nobody-ever-had-this", "invalid_key"),
        ("Bearer something", "invalid_key"),
    ],
)
def test_without_a_valid_key_nothing_opens(
    world: World, microscope: Microscope, row_counts: RowCounts, header: str | None, code: str
) -> None:
    before = row_counts()
    answer = microscope.put(world.smear(), headers={"Authorization": header})
    expect(answer, 401, code)
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert row_counts() == before


def test_a_key_with_one_letter_wrong_is_no_key(world: World, row_counts: RowCounts) -> None:
    before = row_counts()
    wrong = world.key[:-1] + ("A" if world.key[-1] != "A" else "B")
    expect(Microscope(world, wrong).put(world.smear()), 401, "invalid_key")
    assert row_counts() == before


def test_a_revoked_key_is_no_key(world: World, microscope: Microscope) -> None:
    key = world.device.keys.get()
    revoke_key(actor=Actor.system("tests"), key=key)
    for answer in [
        microscope.put(world.smear()),
        microscope.get(uuid.uuid4()),
        microscope.heartbeat("{}"),
    ]:
        expect(answer, 401, "invalid_key")
    assert not FieldImage.objects.exists()


def test_a_session_does_not_open_the_device_api(world: World, microscope: Microscope) -> None:
    microscope.client.force_login(world.superuser)
    expect(microscope.put(world.smear(), headers={"Authorization": None}), 401, "key_missing")


def test_the_key_is_asked_for_before_the_body_is_read(world: World) -> None:
    """What is wrong with the picture is told only to those who hold a key."""
    stranger = Microscope(world, "llk_000000000000_x")
    expect(stranger.put(b"no picture", headers={"Content-Digest": "?"}), 401, "invalid_key")
    expect(stranger.heartbeat("{" * 100_000), 401, "invalid_key")


@pytest.mark.parametrize("state", [DeviceState.SUSPENDED, DeviceState.RETIRED])
def test_a_microscope_out_of_service_is_told_so(
    world: World, microscope: Microscope, row_counts: RowCounts, state: str
) -> None:
    # A retired microscope has lost its keys as well, so its key is unknown rather than forbidden.
    change_state(actor=Actor.system("tests"), device=world.device, to=state)
    before = row_counts()
    status, code = (401, "invalid_key") if state == "retired" else (403, "device_suspended")
    expect(microscope.put(world.smear()), status, code)
    expect(microscope.get(uuid.uuid4()), status, code)
    expect(microscope.heartbeat("{}"), status, code)
    assert row_counts() == before


def test_another_clinics_specimen_is_out_of_reach(
    world: World, microscope: Microscope, row_counts: RowCounts
) -> None:
    before = row_counts()
    accession = world.other_specimen.accession
    answer = microscope.put(world.smear(), headers={"Accession-Number": accession})
    expect(answer, 403, "other_clinic")
    assert row_counts() == before


@pytest.mark.parametrize(
    ("accession", "code"),
    [
        (None, "accession_missing"),
        ("  ", "accession_missing"),
        ("X-404", "unknown_accession"),
        ("x" * 4000, "unknown_accession"),
        ("N-2026-0001'; --", "unknown_accession"),
    ],
)
def test_a_picture_needs_a_specimen_we_know(
    world: World,
    microscope: Microscope,
    row_counts: RowCounts,
    accession: str | None,
    code: str,
) -> None:
    before = row_counts()
    answer = microscope.put(world.smear(), headers={"Accession-Number": accession})
    expect(answer, 404, code)
    assert row_counts() == before


def test_an_id_is_never_given_to_other_bytes(
    world: World, microscope: Microscope, row_counts: RowCounts
) -> None:
    image_id = uuid.uuid4()
    microscope.put(world.smear(1), image_id)
    before = row_counts()
    expect(microscope.put(world.smear(2), image_id), 409, "image_id_taken")
    stored = FieldImage.objects.get()
    assert content_digest(world.smear(1)) != content_digest(world.smear(2))
    assert stored.size == len(world.smear(1))
    assert row_counts() == before


def test_an_id_is_never_given_to_another_microscope_or_specimen(
    world: World, microscope: Microscope
) -> None:
    image_id = uuid.uuid4()
    microscope.put(world.smear(1), image_id)
    other = Microscope(world, world.other_key)
    taken = other.put(
        world.smear(1), image_id, headers={"Accession-Number": world.other_specimen.accession}
    )
    expect(taken, 409, "image_id_taken")


@pytest.mark.parametrize(
    "image_id", ["1", "not-a-uuid", "0" * 32, "7c94a8fb-64df-427f-b334-13057fdc52f10"]
)
def test_an_id_must_be_a_uuid(
    world: World, microscope: Microscope, row_counts: RowCounts, image_id: str
) -> None:
    before = row_counts()
    expect(microscope.put(world.smear(), image_id), 400, "bad_image_id")
    expect(microscope.get(image_id), 400, "bad_image_id")
    assert row_counts() == before


@pytest.mark.parametrize(
    ("digest", "code"),
    [
        (None, "digest_missing"),
        ("", "digest_missing"),
        ("md5=:AAAA:", "digest_missing"),
        ("sha-256=AAAA", "digest_missing"),
        ("sha-256=:AAAA:", "digest_mismatch"),
        ("sha-256=:A=A=:", "digest_mismatch"),
        (content_digest(b"something else"), "digest_mismatch"),
    ],
)
def test_bytes_that_were_damaged_on_their_way_are_not_kept(
    world: World,
    microscope: Microscope,
    row_counts: RowCounts,
    digest: str | None,
    code: str,
) -> None:
    before = row_counts()
    answer = microscope.put(world.smear(), headers={"Content-Digest": digest})
    expect(answer, 422, code)
    assert row_counts() == before


@pytest.mark.parametrize(
    "time",
    [
        "yesterday",
        "2026-03-01",
        "2026-03-01T09:30:00",
        "2026-13-01T09:30:00Z",
        "0001-01-01T00:00:00+14:00",
        "1767225600",
    ],
)
def test_a_time_that_cannot_be_read_is_not_guessed(
    world: World, microscope: Microscope, row_counts: RowCounts, time: str
) -> None:
    before = row_counts()
    answer = microscope.put(world.smear(), headers={"Captured-At": time})
    expect(answer, 422, "captured_at_unreadable")
    assert row_counts() == before


def test_a_body_over_the_limit_is_refused(
    world: World, microscope: Microscope, row_counts: RowCounts, settings: Any
) -> None:
    before = row_counts()
    settings.MAX_UPLOAD_BYTES = len(world.smear()) - 1
    expect(microscope.put(world.smear()), 413, "too_large")
    settings.MAX_UPLOAD_BYTES += 1
    assert row_counts() == before
    assert microscope.put(world.smear()).status_code == 201


def _saved(kind: str, frames: int = 1, **options: Any) -> bytes:
    pictures = [Image.new("RGB", (200, 200), (200, 60 * i, 90)) for i in range(frames)]
    buffer = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": pictures[1:]}
    pictures[0].save(buffer, kind, **options)
    return buffer.getvalue()


def _png(width: int, height: int, rows: bytes | None = None) -> bytes:
    """A PNG of black and white pixels, all black: rows compress to next to nothing."""
    packer = zlib.compressobj(1)
    row = b"\0" * (1 + (width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"IDAT", data if rows is None else rows),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


BAD_PICTURES: dict[str, tuple[Callable[[World], bytes], int, str]] = {
    "nothing": (lambda world: b"", 415, "not_an_image"),
    "a text file named .jpg": (lambda world: b"Dear doctor, \n" * 50, 415, "not_an_image"),
    "a web page": (lambda world: b"<!doctype html><script>alert(1)</script>", 415, "not_an_image"),
    "an SVG": (lambda world: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not_an_image"),
    "a GIF": (lambda world: _saved("GIF"), 415, "unsupported_type"),
    "a WebP": (lambda world: _saved("WEBP"), 415, "unsupported_type"),
    "a BMP": (lambda world: _saved("BMP"), 415, "unsupported_type"),
    "half a JPEG": (lambda world: world.smear()[: len(world.smear()) // 2], 422, "truncated"),
    "half a PNG": (lambda world: _saved("PNG")[:150], 422, "truncated"),
    "a bomb": (lambda world: _png(30_000, 30_000), 422, "too_many_pixels"),
    "an animated PNG": (lambda world: _saved("PNG", frames=3), 422, "animated"),
    "a TIFF of several pages": (lambda world: _saved("TIFF", frames=2), 422, "animated"),
    "a picture without width": (lambda world: _png(0, 10), 422, "zero_area"),
}


@pytest.mark.parametrize("what", BAD_PICTURES)
def test_what_is_no_usable_picture_is_refused_at_the_door(
    world: World, microscope: Microscope, row_counts: RowCounts, what: str
) -> None:
    make, status, code = BAD_PICTURES[what]
    body = make(world)
    before = row_counts()
    expect(microscope.put(body, content_type="image/jpeg"), status, code)
    assert row_counts() == before


def test_a_microscope_that_sends_too_fast_is_told_when_to_go_on(
    world: World, microscope: Microscope, row_counts: RowCounts, settings: Any
) -> None:
    settings.UPLOADS_PER_MINUTE = 1
    image_id = uuid.uuid4()
    microscope.put(world.smear(1), image_id)
    before = row_counts()

    answer = microscope.put(world.smear(2))

    expect(answer, 429, "too_many_uploads")
    assert int(answer["Retry-After"]) > 0
    assert row_counts() == before
    # What is safe already may be confirmed at any speed.
    assert microscope.put(world.smear(1), image_id).status_code == 200


def test_when_too_much_is_waiting_microscopes_keep_their_pictures(
    world: World, microscope: Microscope, row_counts: RowCounts, settings: Any
) -> None:
    settings.MAX_QUEUED_ANALYSES = 1
    microscope.put(world.smear(1))
    before = row_counts()
    answer = microscope.put(world.smear(2))
    expect(answer, 503, "overloaded")
    assert int(answer["Retry-After"]) > 0
    assert row_counts() == before


def test_a_full_disk_loses_nothing_silently(
    world: World, microscope: Microscope, row_counts: RowCounts, monkeypatch: Any
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hospital.base.files.put", full)
    before = row_counts()
    answer = microscope.put(world.smear())
    expect(answer, 503, "storage_unavailable")
    assert int(answer["Retry-After"]) > 0
    assert row_counts() == before


def test_a_failure_half_way_through_leaves_no_row(
    world: World, microscope: Microscope, row_counts: RowCounts, monkeypatch: Any
) -> None:
    from django.db import OperationalError

    def broken(*_: Any, **__: Any) -> None:
        raise OperationalError("the database went away")

    monkeypatch.setattr("diagnostics.services.intake.reports.count_in", broken)
    before = row_counts()
    expect(microscope.put(world.smear()), 503, "storage_unavailable")
    assert row_counts() == before


def test_unknown_addresses_and_methods_answer_in_the_same_form(
    world: World, microscope: Microscope
) -> None:
    expect(microscope.client.get("/api/device/v1/nothing"), 404, "not_found")
    expect(microscope.client.post("/api/device/v2/heartbeat"), 404, "not_found")
    headers = {"Authorization": f"Bearer {world.key}"}
    address = f"/api/device/v1/images/{uuid.uuid4()}"
    expect(microscope.client.delete(address, headers=headers), 405, "method_not_allowed")
