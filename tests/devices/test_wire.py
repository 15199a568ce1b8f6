"""The device API below HTTP libraries: clients that break off, and bodies without a length."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings

from diagnostics.models import FieldImage
from hospital.config.asgi import http
from hospital.config.bodylimit import BodyLimit
from tests.world import World, content_digest

pytestmark = pytest.mark.django_db(transaction=True)


def _talk(
    world: World, body: bytes, *, limit: int, length: int | None, host: str = "localhost"
) -> ApplicationCommunicator:
    headers = {
        "host": host,
        "authorization": f"Bearer {world.key}",
        "content-digest": content_digest(body),
        "accession-number": world.specimen.accession,
    }
    if length is not None:
        headers["content-length"] = str(length)
    return ApplicationCommunicator(
        BodyLimit(http, limit=limit),
        {
            "type": "http",
            "http_version": "1.1",
            "method": "PUT",
            "path": f"/api/device/v1/images/{uuid.uuid4()}",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        },
    )


async def _send(talk: ApplicationCommunicator, body: bytes, *, complete: bool = True) -> None:
    middle = len(body) // 2
    await talk.send_input({"type": "http.request", "body": body[:middle], "more_body": True})
    await talk.send_input(
        {"type": "http.request", "body": body[middle:], "more_body": False}
        if complete
        else {"type": "http.disconnect"}
    )


async def _answer(talk: ApplicationCommunicator) -> tuple[int, dict[str, Any]]:
    start = await talk.receive_output(timeout=20)
    body = b""
    more = True
    while more:
        message = await talk.receive_output(timeout=20)
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return start["status"], json.loads(body)


async def test_a_microscope_that_breaks_off_leaves_nothing(world: World, row_counts: Any) -> None:
    body = world.smear(1)
    before = await sync_to_async(row_counts)()
    talk = _talk(world, body, limit=settings.MAX_UPLOAD_BYTES, length=len(body))

    await _send(talk, body, complete=False)
    await talk.wait(timeout=20)

    assert await talk.receive_nothing()
    assert await sync_to_async(row_counts)() == before


async def test_a_body_without_a_length_is_taken(world: World) -> None:
    """`curl -T -` sends chunks; so do microcontrollers that cannot hold a whole picture."""
    body = world.smear(1)
    talk = _talk(world, body, limit=settings.MAX_UPLOAD_BYTES, length=None)

    await _send(talk, body)

    status, receipt = await _answer(talk)
    assert status == 201
    stored = await FieldImage.objects.aget(pk=receipt["id"])
    assert stored.size == len(body)


@pytest.mark.parametrize("declared", [True, False])
async def test_too_large_a_body_is_stopped_before_it_is_spooled(
    world: World, row_counts: Any, declared: bool
) -> None:
    body = world.smear(1)
    before = await sync_to_async(row_counts)()
    talk = _talk(world, body, limit=len(body) - 1, length=len(body) if declared else None)

    await _send(talk, body)

    status, problem = await _answer(talk)
    assert (status, problem["code"]) == (413, "too_large")
    await asyncio.sleep(0)
    assert await sync_to_async(row_counts)() == before


async def test_who_listens_only_after_sending_everything_still_hears_why(world: World) -> None:
    body = world.smear(1)
    talk = _talk(world, body, limit=len(body) // 3, length=len(body))
    half = len(body) // 2
    await talk.send_input({"type": "http.request", "body": body[:half], "more_body": True})
    assert await talk.receive_nothing()
    await talk.send_input({"type": "http.request", "body": body[half:]})
    status, problem = await _answer(talk)
    assert (status, problem["code"]) == (413, "too_large")


async def test_the_short_way_of_a_microscope_leaves_out_nothing_that_guards_it(
    world: World,
) -> None:
    """No session, no form and no browser, so no cookie; the rest is as everywhere."""
    body = world.smear(1)
    talk = _talk(world, body, limit=settings.MAX_UPLOAD_BYTES, length=len(body))
    await _send(talk, body)
    start = await talk.receive_output(timeout=20)
    headers = {name.lower(): value for name, value in start["headers"]}
    assert start["status"] == 201
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert int(headers[b"content-length"]) > 0
    assert b"set-cookie" not in headers


async def test_a_microscope_that_calls_another_host_is_refused(
    world: World, row_counts: Any
) -> None:
    body = world.smear(1)
    before = await sync_to_async(row_counts)()
    limit = settings.MAX_UPLOAD_BYTES
    talk = _talk(world, body, limit=limit, length=len(body), host="elsewhere.example")
    await _send(talk, body)
    assert (await talk.receive_output(timeout=20))["status"] == 400
    assert await sync_to_async(row_counts)() == before
