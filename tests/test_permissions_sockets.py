"""Whoever opens whatever socket hears what the table of permissions says, and nothing else."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator

from hospital.accounts.selectors import clinic_topic, fleet_topic
from hospital.config.asgi import application
from hospital.config.routing import websocket_urlpatterns
from hospital.live import pusher
from hospital.live.consumers import EventConsumer
from hospital.live.services import publish
from patients.selectors import patient_topic
from tests.permissions.asking import cookies_of
from tests.permissions.table import HANDS, SOCKETS
from tests.world import World

# With each tick a socket reads the log; so many after the events, nothing is under way any more.
ENOUGH = 4


def publish_everywhere(world: World) -> dict[str, str]:
    """One event on each topic of both clinics; what each is called in the table, by subject."""
    topics = {
        "cases": (clinic_topic(world.clinic.pk), world.specimen.pk),
        "fleet": (fleet_topic(world.clinic.pk), world.device.pk),
        "child": (patient_topic(world.patient.pk), world.patient.pk),
        "CASES": (clinic_topic(world.other_clinic.pk), world.other_specimen.pk),
        "FLEET": (fleet_topic(world.other_clinic.pk), world.other_device.pk),
        "CHILD": (patient_topic(world.other_patient.pk), world.other_patient.pk),
    }
    for topic, subject in topics.values():
        publish("report.changed", subject, version=1, topics=[topic])
    pusher.flush()
    return {str(subject): name for name, (_, subject) in topics.items()}


async def drained(page: WebsocketCommunicator) -> None:
    """What the server has said so far is read and forgotten, but for a farewell."""
    waiting = page.output_queue
    while waiting.qsize() and "text" in waiting._queue[0]:
        waiting.get_nowait()


async def heard(page: WebsocketCommunicator, names: dict[str, str]) -> str:
    """What the table says of this socket: the code it was closed with, or what it was told."""
    said = set()
    ticks = 0
    while ticks < ENOUGH:
        message = await page.receive_output(timeout=10)
        if message["type"] == "websocket.close":
            return str(message["code"])
        text = message["text"]
        ticks += '"tick"' in text
        said |= {name for subject, name in names.items() if subject in text}
    return "+".join(sorted(said))


@pytest.mark.django_db(transaction=True)
async def test_every_hand_hears_its_own_and_nothing_of_the_others(world: World) -> None:
    cookies = await sync_to_async(cookies_of)(world, HANDS)
    got: dict[str, dict[str, str]] = {path: {} for path in SOCKETS}
    async with AsyncExitStack() as stack:
        pages = {}
        for path in SOCKETS:
            for hand in HANDS:
                pages[path, hand] = page = WebsocketCommunicator(
                    application, f"/{path}", headers=_headers(world, hand, cookies)
                )
                stack.push_async_callback(page.disconnect)
                assert await page.connect(timeout=10)
        for page in pages.values():
            await drained(page)
        names = await sync_to_async(publish_everywhere)(world)
        for (path, hand), page in pages.items():
            got[path][hand] = await heard(page, names)
    expected = {path: dict(zip(HANDS, line.split(), strict=True)) for path, line in SOCKETS.items()}
    assert got == expected


def _headers(world: World, hand: str, cookies: Any) -> list[tuple[bytes, bytes]]:
    headers = [(b"origin", b"http://localhost"), (b"host", b"localhost")]
    if hand in cookies:
        told = "; ".join(f"{name}={morsel.value}" for name, morsel in cookies[hand].items())
        headers.append((b"cookie", told.encode()))
    if hand == "device":
        headers.append((b"authorization", f"Bearer {world.key}".encode()))
    return headers


def test_every_socket_has_its_line() -> None:
    known = {str(pattern.pattern): pattern.callback for pattern in websocket_urlpatterns}
    assert set(known) == set(SOCKETS), "say in SOCKETS who hears what there"
    # One consumer: another one would have rules of its own to be tested.
    assert {view.consumer_class for view in known.values()} == {EventConsumer}
