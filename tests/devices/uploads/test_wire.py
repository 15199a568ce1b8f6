"""Uploads over real connections: senders that break off, and the public client tuspy."""

import base64
import contextlib
import hashlib
import io
import socket
import threading
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from PIL import Image
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from diagnostics.models import FieldImage, Upload
from diagnostics.services import intake, uploads
from hospital.base import files
from hospital.config.asgi import application, http, limited
from hospital.config.bodylimit import BodyLimit
from hospital.config.cutshort import KeepCutShort
from tests.browser.hospital import WebServer
from tests.tus import ADDRESS, PIECE, Sender, particulars
from tests.world import World, content_digest

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60.0


@pytest.fixture(scope="module")
def large() -> bytes:
    """A picture of 3 MB that no file format makes smaller."""
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "TIFF")
    return buffer.getvalue()


@pytest.fixture
def server(world: World) -> Iterator[WebServer]:
    """The product's own application in uvicorn."""
    running = WebServer(application)
    running.start()
    yield running
    running.stop()


def begun(world: World, body: bytes) -> Upload:
    """An upload that waits for its first piece."""
    return uploads.begin(
        device=world.device,
        image_id=uuid.uuid4(),
        accession=world.specimen.accession,
        content_digest=content_digest(body),
        captured_at=None,
        length=len(body),
    )


def place(upload: Upload) -> str:
    """Its address."""
    return f"{ADDRESS}/{upload.pk}"


# --- what is left of a request that breaks off -------------------------------------------------


def talk(
    world: World,
    app: Any,
    path: str,
    *,
    method: str = "PATCH",
    **more: str,
) -> ApplicationCommunicator:
    headers = {
        "host": "localhost",
        "authorization": f"Bearer {world.key}",
        "tus-resumable": "1.0.0",
        "upload-offset": "0",
        "content-type": PIECE,
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return ApplicationCommunicator(
        app,
        {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        },
    )


async def answer(talking: ApplicationCommunicator) -> dict[str, str]:
    """Status and headers of the one answer."""
    start = await talking.receive_output(timeout=20)
    await talking.receive_output(timeout=20)
    assert await talking.receive_nothing()
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return headers | {"status": str(start["status"])}


async def cut_off(talking: ApplicationCommunicator, body: bytes) -> None:
    """Send `body` in two messages and vanish."""
    half = len(body) // 2
    for part in (body[:half], body[half:]):
        await talking.send_input({"type": "http.request", "body": part, "more_body": True})
    await talking.send_input({"type": "http.disconnect"})


async def test_what_came_before_the_connection_broke_is_kept(world: World) -> None:
    body = world.smear(1)
    upload = await sync_to_async(begun)(world, body)
    talking = talk(world, application, place(upload), content_length=str(len(body)))

    await cut_off(talking, body[:600])

    assert (await answer(talking))["upload-offset"] == "600"
    await upload.arefresh_from_db()
    assert upload.offset == 600
    assert await sync_to_async(files.read_joined)(upload.pieces) == body[:600]


async def test_what_came_before_the_network_fell_silent_is_kept(world: World) -> None:
    """A microscope carried out of reach: nobody says that the connection is gone."""
    body = world.smear(1)
    upload = await sync_to_async(begun)(world, body)
    talking = talk(world, KeepCutShort(limited, below=ADDRESS, patience=0.1), place(upload))

    await talking.send_input({"type": "http.request", "body": body[:600], "more_body": True})

    assert (await answer(talking))["upload-offset"] == "600"


async def test_a_piece_with_a_checksum_is_kept_whole_or_not_at_all(world: World) -> None:
    body = world.smear(1)
    upload = await sync_to_async(begun)(world, body)
    checksum = f"sha256 {base64.b64encode(hashlib.sha256(body).digest()).decode()}"
    talking = talk(world, application, place(upload), upload_checksum=checksum)

    await cut_off(talking, body[:600])

    assert (await answer(talking))["status"] == "460"
    await upload.arefresh_from_db()
    assert (upload.offset, upload.pieces) == (0, [])


async def test_everywhere_else_a_request_that_breaks_off_never_arrives(world: World) -> None:
    body = world.smear(1)
    said = {"content_digest": content_digest(body), "accession_number": "N-2026-0001"}
    path = f"/api/device/v1/images/{uuid.uuid4()}"
    putting = talk(world, application, path, method="PUT", **said)

    await cut_off(putting, body)
    await putting.wait(timeout=20)

    assert await putting.receive_nothing()
    assert not await FieldImage.objects.aexists()


async def test_a_piece_beyond_every_limit_is_stopped_and_answered_once(
    world: World, settings: Any
) -> None:
    body = world.smear(1)
    upload = await sync_to_async(begun)(world, body)
    narrow = BodyLimit(http, limit=100)
    talking = talk(world, KeepCutShort(narrow, below=ADDRESS), place(upload))

    await cut_off(talking, body[:600])

    assert (await answer(talking))["status"] == "413"
    await upload.arefresh_from_db()
    assert upload.offset == 0


# --- real connections -------------------------------------------------------------------------


class Cutter:
    """Stands between a sender and the server and cuts connections, each after so many bytes.

    Args:
        after: bytes that the first, second, … connection may send; beyond the list any number.
    """

    def __init__(self, server: WebServer, after: list[int]) -> None:
        self._server = server
        self._after = iter(after)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}{ADDRESS}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                sender, _ = self._door.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server.port))
            left = next(self._after, 1 << 40)
            for ends in [(sender, server, left), (server, sender, 1 << 40)]:
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, left: int) -> None:
        with contextlib.suppress(OSError):
            while left > 0 and (data := source.recv(min(left, 1 << 16))):
                target.sendall(data)
                left -= len(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def tus_client(world: World, url: str) -> TusClient:
    return TusClient(url, headers={"Authorization": f"Bearer {world.key}"})


def stored() -> bytes:
    """The one picture that is here."""
    return files.read(FieldImage.objects.get().storage_key)


@pytest.mark.parametrize("checksum", [False, True])
def test_tuspy_sends_a_picture_in_pieces(
    world: World, server: WebServer, large: bytes, checksum: bool
) -> None:
    uploader = tus_client(world, server.url + ADDRESS).uploader(
        file_stream=io.BytesIO(large),
        metadata=particulars(large, world.specimen.accession),
        chunk_size=1_000_000,
        upload_checksum=checksum,
    )
    uploader.upload()
    assert stored() == large
    assert Upload.objects.get().finished


def test_tuspy_gets_through_a_network_that_drops(
    world: World, server: WebServer, large: bytes
) -> None:
    # The beginning gets through, the piece is cut off, then a question, then another piece.
    cutter = Cutter(server, [1 << 20, 1_200_000, 1 << 20, 900_000])
    uploader = tus_client(world, cutter.url).uploader(
        file_stream=io.BytesIO(large),
        metadata=particulars(large, world.specimen.accession),
        retries=20,
        retry_delay=0,
    )
    uploader.upload()
    cutter.close()
    assert stored() == large
    assert FieldImage.objects.count() == 1


def test_tuspy_finds_its_upload_again_after_losing_everything(
    world: World, server: WebServer, large: bytes
) -> None:
    """The computer at the microscope was switched off; only the picture and its id are left."""
    told = particulars(large, world.specimen.accession)
    client = tus_client(world, server.url + ADDRESS)
    first = client.uploader(file_stream=io.BytesIO(large), metadata=told, chunk_size=1_000_000)
    first.upload_chunk()

    again = client.uploader(file_stream=io.BytesIO(large), metadata=told, retries=1, retry_delay=0)
    again.upload()

    assert again.url == first.url
    assert stored() == large
    # And once more, now that it is all here.
    client.uploader(file_stream=io.BytesIO(large), metadata=told, retries=1, retry_delay=0).upload()
    assert FieldImage.objects.count() == 1


def test_tuspy_hears_why_not(world: World, server: WebServer) -> None:
    body = b"no picture" * 100
    client = tus_client(world, server.url + ADDRESS)
    refused = client.uploader(file_stream=io.BytesIO(body), metadata=particulars(body, "X-404"))
    with pytest.raises(TusCommunicationError) as at_once:
        refused.upload()
    assert at_once.value.status_code == 404
    assert b"unknown_accession" in at_once.value.response_content

    told = particulars(body, world.specimen.accession)
    with pytest.raises(TusCommunicationError) as at_last:
        client.uploader(file_stream=io.BytesIO(body), metadata=told).upload()
    assert at_last.value.status_code == 415
    assert b"not_an_image" in at_last.value.response_content
    assert not FieldImage.objects.exists()


def test_a_plug_pulled_in_the_middle_costs_little(
    world: World, server: WebServer, large: bytes
) -> None:
    upload = begun(world, large)
    sent = large[:2_000_000]
    head = (
        f"PATCH {ADDRESS}/{upload.pk} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {world.key}\r\nTus-Resumable: 1.0.0\r\n"
        f"Upload-Offset: 0\r\nContent-Type: {PIECE}\r\nContent-Length: {len(large)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as plug:
        plug.sendall(head.encode() + sent)

    deadline = time.monotonic() + PATIENCE
    while not Upload.objects.get().offset and time.monotonic() < deadline:
        time.sleep(0.05)
    kept = Upload.objects.get()
    # What uvicorn held and had not handed on yet is lost with the connection: its buffer.
    assert len(sent) // 2 < kept.offset <= len(sent)
    assert files.read_joined(kept.pieces) == large[: kept.offset]

    sender = Sender(world.key)
    assert sender.append(place(upload), kept.offset, large[kept.offset :]).status_code == 204
    assert stored() == large


# --- memory -----------------------------------------------------------------------------------


def most_held(do: Callable[[], Any]) -> int:
    """Bytes of memory that were in use at once while it was done."""
    tracemalloc.start()
    do()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_a_large_picture_in_pieces_needs_no_more_memory_than_in_one(world: World) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3600, 3600, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=93, subsampling=0)
    body, piece = buffer.getvalue(), 4 << 20
    assert len(body) > 25_000_000
    upload, whole = begun(world, body), begun(world, body)
    for start in range(0, len(body), piece):
        uploads.append(upload=upload, offset=start, body=body[start : start + piece])
    told = {name: getattr(whole, name) for name in ("image_id", "accession", "content_digest")}

    in_one = len(body) + most_held(lambda: intake.receive(device=world.device, body=body, **told))
    in_pieces = most_held(lambda: uploads.finish(upload))

    assert FieldImage.objects.get(pk=upload.image_id).size == len(body)
    assert in_pieces < in_one + 0.2 * len(body), (in_pieces, in_one)
