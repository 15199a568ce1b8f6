"""A page's socket to test with, through the whole ASGI application."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client

from diagnostics.models import DiagnosticReport
from hospital.config.asgi import application
from tests.world import PASSWORD, World

ORIGIN = b"http://localhost"


def cookie_of(user: Any) -> bytes:
    client = Client()
    assert client.login(username=user.username, password=PASSWORD)
    return "; ".join(f"{k}={v.value}" for k, v in client.cookies.items()).encode()


@asynccontextmanager
async def socket(
    path: str, user: Any = None, *, origin: bytes = ORIGIN
) -> AsyncIterator[WebsocketCommunicator]:
    """A page's socket through the whole ASGI application, origin check and session included."""
    headers = [(b"origin", origin), (b"host", b"localhost")]
    if user is not None:
        headers.append((b"cookie", await sync_to_async(cookie_of)(user)))
    communicator = WebsocketCommunicator(application, path, headers=headers)
    try:
        yield communicator
    finally:
        await communicator.disconnect()


async def until(communicator: WebsocketCommunicator, wanted: Callable[[Any], bool]) -> Any:
    """The first message that is `wanted`; ticks and others are passed over."""
    for _ in range(50):
        message = await communicator.receive_json_from(timeout=5)
        if wanted(message):
            return message
    raise AssertionError("it never came")


async def close_code(communicator: WebsocketCommunicator) -> int:
    while True:
        message = await communicator.receive_output(timeout=5)
        if message["type"] == "websocket.close":
            return message["code"]


def is_event(message: dict[str, Any]) -> bool:
    return "event" in message


@sync_to_async
def a_result_arrives(world: World, seed: int = 0) -> DiagnosticReport:
    world.succeed(world.receive(seed))
    return DiagnosticReport.objects.get(specimen=world.specimen)
