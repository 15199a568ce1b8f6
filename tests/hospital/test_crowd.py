"""Promises of the door: a crowd of microscopes is told to come again, and no page waits for it."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.http import HttpResponse
from django.urls import reverse

from hospital.config import asgi
from hospital.config.crowd import RETRY_AFTER_SECONDS, Crowd
from hospital.config.cutshort import KeepCutShort
from hospital.config.threads import ThreadedHandler

LIMIT = 1_000_000


def scope(size: int | None) -> dict[str, Any]:
    headers = [(b"transfer-encoding", b"chunked")]
    if size is not None:
        headers = [(b"content-length", str(size).encode())]
    return {"type": "http", "method": "PUT", "path": "/", "query_string": b"", "headers": headers}


def half_a_body() -> Any:
    """What is received from a sender that vanishes: nobody says that the connection is gone."""
    pieces = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.Event().wait()
        return pieces.pop()

    return receive


async def whole_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"x", "more_body": False}


class Hospital:
    """Answers each request when it is told to."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def status_of(
    app: Any, size: int | None, path: str = "/"
) -> tuple[int, dict[bytes, bytes], bytes]:
    said: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await app(scope(size) | {"path": path}, whole_body, send)
    return said[0]["status"], dict(said[0]["headers"]), said[1]["body"]


async def begun(app: Any, *sizes: int | None) -> list["asyncio.Task[Any]"]:
    """So many requests under way."""
    tasks = [asyncio.create_task(status_of(app, size)) for size in sizes]
    await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize(
    ("in_hand", "one_more"),
    [
        ([100_000, 100_000], 100_000),  # too many
        ([600_000], 500_000),  # too large together
        ([600_000], None),  # of unknown length, so perhaps too large
    ],
)
async def test_who_comes_beyond_what_is_in_hand_is_told_when_to_come_again(
    in_hand: list[int], one_more: int | None
) -> None:
    hospital = Hospital()
    crowd = Crowd(hospital, most=2, most_bytes=LIMIT, limit=LIMIT)
    attended = await begun(crowd, *in_hand)
    status, headers, body = await status_of(crowd, one_more)
    assert (status, json.loads(body)["code"]) == (503, "overloaded")
    assert headers[b"retry-after"] == str(RETRY_AFTER_SECONDS).encode()

    hospital.may_answer.set()
    # Those in hand are served, and then there is room again: nobody has to start anything anew.
    assert [(await one)[0] for one in attended] == [201] * len(in_hand)
    assert (await status_of(crowd, one_more))[0] == 201


async def test_a_heartbeat_is_let_through_the_crowd() -> None:
    hospital = Hospital()
    crowd = Crowd(hospital, most=1, most_bytes=LIMIT, limit=LIMIT)
    attended = await begun(crowd, 100_000, 200)
    hospital.may_answer.set()
    assert [(await one)[0] for one in attended] == [201, 201]


async def test_a_picture_larger_than_all_the_room_is_let_in_by_itself() -> None:
    hospital = Hospital()
    hospital.may_answer.set()
    crowd = Crowd(hospital, most=4, most_bytes=1_000, limit=LIMIT)
    assert (await status_of(crowd, 500_000))[0] == 201


async def test_a_microscope_that_vanishes_in_mid_body_gives_its_place_back(
    monkeypatch: Any,
) -> None:
    path = reverse("api:device-images")
    monkeypatch.setattr(asgi.application.application_mapping["http"], "patience", 0.05)
    monkeypatch.setattr(asgi._microscopes, "_most", 1)
    monkeypatch.setattr(
        asgi._microscopes.app, "_serve", lambda scope, body: (HttpResponse(status=201), b"")
    )
    told: list[Any] = []
    vanished = asgi.application(scope(100_000) | {"path": path}, half_a_body(), told.append)
    await asyncio.wait_for(vanished, 10)
    assert told == []
    assert (await status_of(asgi.application, 100_000, path))[0] == 201


@pytest.mark.parametrize(("at_a_time", "arrives"), [(1, False), (1_000, True)])
async def test_who_sends_a_byte_now_and_then_counts_as_gone_and_who_is_slow_does_not(
    at_a_time: int, arrives: bool
) -> None:
    pieces = [{"type": "http.request", "body": b"x" * at_a_time, "more_body": True}] * 60
    pieces = [{"type": "http.request", "body": b"", "more_body": False}, *pieces]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.03)
        return pieces.pop()

    async def read(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive()).get("more_body"):
            pass
        ended.append(message["type"] == "http.request")

    ended: list[bool] = []
    door = KeepCutShort(read, below="/kept/", patience=1.5, slowest=10_000)
    await door(scope(100_000), receive, None)
    assert ended == [arrives]


async def test_microscopes_leave_threads_to_people(monkeypatch: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        microscopes, people = ThreadedHandler(pool, most=1), ThreadedHandler(pool, most=2)
        over = threading.Event()

        def busy(scope: Any, body: Any) -> tuple[HttpResponse, bytes]:
            over.wait(30)
            return HttpResponse(status=201), b""

        monkeypatch.setattr(microscopes, "_serve", busy)
        monkeypatch.setattr(people, "_serve", lambda scope, body: (HttpResponse(), b"page"))
        sending = await begun(microscopes, *[100_000] * 5)
        try:
            assert (await status_of(people, None))[0] == 200
        finally:
            over.set()
        assert [(await one)[0] for one in sending] == [201] * 5
