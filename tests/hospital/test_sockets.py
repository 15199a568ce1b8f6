"""Whatever strangers send to a socket: it stays what it is, and nobody else's page notices."""

import random
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from hospital.live.models import Event
from tests.hospital.sockets import a_result_arrives, is_event, socket, until
from tests.world import World

pytestmark = pytest.mark.django_db(transaction=True)

NASTY = [
    {"text": ""},
    {"text": "{"},
    {"text": "null"},
    {"text": "[" * 60_000},
    {"text": '{"event": {"id": 99, "kind": "report.changed"}}'},
    {"text": '{"type": "events.happened", "events": []}'},
    {"text": '{"since": -1, "topics": ["clinic.everything"]}'},
    {"text": "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace")},
    {"text": "x" * 65_000},
    {"bytes": b""},
    {"bytes": b"\x00" * 65_000},
    {"bytes": b"\x89PNG\r\n\x1a\n"},
]


def frames(seed: int, count: int) -> list[dict[str, Any]]:
    """The nasty ones, and as many more of noise."""
    rng = random.Random(seed)
    noise = [
        {"bytes": rng.randbytes(rng.randrange(200))}
        if rng.random() < 0.5
        else {"text": "".join(chr(rng.choice((rng.randrange(128), 0x1F600))) for _ in range(40))}
        for _ in range(count - len(NASTY))
    ]
    return rng.sample([*NASTY, *noise], count)


async def test_no_frame_disturbs_a_socket_or_makes_it_talk(world: World) -> None:
    async with (
        socket("/ws/clinic/", world.technician) as talker,
        socket("/ws/clinic/", world.haematologist) as reader,
    ):
        for page in (talker, reader):
            await page.connect()
            await until(page, lambda m: "hello" in m)
        events = await sync_to_async(Event.objects.count)()
        for frame in frames(seed=1, count=500):
            await talker.send_input({"type": "websocket.receive", **frame})
        assert await sync_to_async(Event.objects.count)() == events
        # It was read to the end, changed nothing, and both still hear what is theirs.
        report = await a_result_arrives(world)
        for page in (talker, reader):
            event = (await until(page, is_event))["event"]
            assert event["subject"] == str(report.pk)


@pytest.mark.parametrize(
    "origin",
    [
        b"null",
        b"http://evil.example",
        b"http://localhost.evil.example",
        b"http://localhost@evil.example",
        b"http://evil.example/localhost",
        b"",
        b"javascript:alert(1)",
    ],
)
async def test_a_page_of_another_site_opens_no_socket_with_somebodys_cookie(
    world: World, origin: bytes
) -> None:
    async with socket("/ws/clinic/", world.haematologist, origin=origin) as page:
        connected, _ = await page.connect()
        assert not connected
