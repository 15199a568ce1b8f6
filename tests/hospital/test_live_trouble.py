"""Promises of the socket when the database or the broker is away."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper
from prometheus_client import REGISTRY

from hospital.accounts.selectors import clinic_topic
from hospital.live import consumers, layer, pusher
from hospital.live.layer import PatientLayer
from hospital.live.models import Event
from hospital.live.services import publish, user_group
from tests.hospital.sockets import a_result_arrives, close_code, is_event, socket, until
from tests.servers import redis
from tests.world import World

pytestmark = pytest.mark.django_db(transaction=True)


def database_away(*args: Any) -> None:
    raise OperationalError("the database is away")


def listeners(world: World) -> tuple[float | None, int]:
    """How many sockets are counted, and how many the clinic's pushes go to."""
    group = get_channel_layer().groups.get(clinic_topic(world.clinic.pk), {})
    return REGISTRY.get_sample_value("leukolens_sockets"), len(group)


async def test_a_socket_that_can_no_longer_read_the_log_closes_and_its_page_comes_back(
    world: World, monkeypatch: Any
) -> None:
    """Pushes would go on and look like life, and nobody would ask after its session."""
    before = listeners(world)
    async with socket("/ws/clinic/", world.haematologist) as page:
        await page.connect()
        last = (await until(page, lambda m: "hello" in m))["hello"]
        with monkeypatch.context() as outage:
            outage.setattr(CursorWrapper, "execute", database_away)
            assert await close_code(page) == 1011
    assert listeners(world) == before

    report = await a_result_arrives(world)
    async with socket(f"/ws/clinic/?since={last}", world.haematologist) as page:
        await page.connect()
        await until(page, lambda m: m.get("event", {}).get("subject") == str(report.pk))


async def test_a_socket_that_ends_in_trouble_has_left_its_groups_and_is_counted_no_more(
    world: World, monkeypatch: Any, settings: Any
) -> None:
    settings.LIVE_TICK_SECONDS = 3_600.0
    before = listeners(world)
    with pytest.raises(OperationalError), monkeypatch.context() as outage:
        async with socket("/ws/clinic/", world.haematologist) as page:
            await page.connect()
            await until(page, lambda m: "hello" in m)
            outage.setattr(CursorWrapper, "execute", database_away)
            own = user_group(world.haematologist.pk)
            await get_channel_layer().group_send(own, {"type": "rights.changed"})
            await page.wait(timeout=5)
    assert listeners(world) == before


async def test_a_push_on_a_topic_that_is_not_ones_own_any_more_is_not_told(world: World) -> None:
    """The group of such a topic cannot be left while the broker is away."""
    topic = clinic_topic(world.other_clinic.pk)
    await sync_to_async(publish)("report.changed", world.specimen.pk, version=1, topics=[topic])
    event = await Event.objects.aget(subject=world.specimen.pk, topic=topic)
    async with socket("/ws/clinic/", world.haematologist) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        message = {"type": "events.happened", "topic": topic, "events": [event.wire()]}
        await get_channel_layer().group_send(user_group(world.haematologist.pk), message)
        ticks = [await page.receive_json_from(timeout=5) for _ in range(3)]
        assert all("tick" in message for message in ticks)


@contextmanager
def frozen() -> Iterator[int]:
    """A port where the kernel takes calls and nobody ever answers."""
    with create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield listening.getsockname()[1]


@contextmanager
def gone() -> Iterator[int]:
    """A port where nobody listens."""
    yield 1


@pytest.mark.parametrize("broker", [frozen, gone])
async def test_without_a_broker_a_page_keeps_its_socket_and_follows_the_log(
    world: World, monkeypatch: Any, settings: Any, caplog: Any, broker: Any
) -> None:
    monkeypatch.setattr(consumers, "BROKER_SECONDS", 0.1)
    monkeypatch.setattr(pusher, "BROKER_SECONDS", 0.1)
    with broker() as port:
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "hospital.live.layer.PatientLayer",
                "CONFIG": {"hosts": [{"address": f"redis://127.0.0.1:{port}"}]},
            }
        }
        async with socket("/ws/clinic/", world.haematologist) as page:
            await page.connect()
            await until(page, lambda m: "hello" in m)
            for _ in range(3):
                await until(page, lambda m: "tick" in m)
            report = await a_result_arrives(world)
            assert (await until(page, is_event))["event"]["subject"] == str(report.pk)
            await sync_to_async(pusher.flush)()
    # Told in a line each time, for it may be away for long.
    told = [record for record in caplog.records if record.name == pusher.log.name]
    assert told
    assert not any(record.exc_info for record in told)


async def test_who_listens_when_the_broker_dies_hears_the_next_one(monkeypatch: Any) -> None:
    monkeypatch.setattr(layer, "BROKER_SECONDS", 0.1)
    with redis() as broker:
        wire = PatientLayer(hosts=[broker.url])
        channel = await wire.new_channel()
        await wire.group_add("clinic", channel)
        hearing = asyncio.create_task(wire.receive(channel))
        await asyncio.sleep(0.2)
        broker.stop()
        await asyncio.sleep(0.5)
        assert not hearing.done()
        broker.start()
        await wire.group_add("clinic", channel)
        await wire.group_send("clinic", {"type": "news"})
        assert await asyncio.wait_for(hearing, 10) == {"type": "news"}
        await wire.close_pools()


async def away() -> None:
    raise ConnectionError("away")


async def silent() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("trouble", [away, silent])
def test_a_broker_that_is_away_or_silent_stops_neither_the_writer_nor_later_pushes(
    world: World, monkeypatch: Any, trouble: Any
) -> None:
    heard: list[int] = []

    class Layer:
        async def group_send(self, topic: str, message: dict[str, Any]) -> None:
            if not heard:
                heard.append(0)
                await trouble()
            heard.extend(event["message"]["version"] for event in message["events"])

    monkeypatch.setattr(pusher, "get_channel_layer", Layer)
    monkeypatch.setattr(pusher, "BROKER_SECONDS", 0.1)
    for version in (1, 2):
        publish("report.changed", world.specimen.pk, version=version, topics=["clinic.x"])
        pusher.flush()
    assert heard == [0, 2]


def test_of_what_waits_for_the_broker_the_oldest_is_left_to_the_log(
    world: World, monkeypatch: Any
) -> None:
    heard: list[int] = []
    in_hand, answered = threading.Event(), threading.Event()

    class Layer:
        async def group_send(self, topic: str, message: dict[str, Any]) -> None:
            in_hand.set()
            await asyncio.to_thread(answered.wait, 10)
            heard.extend(event["message"]["version"] for event in message["events"])

    monkeypatch.setattr(pusher, "get_channel_layer", Layer)
    monkeypatch.setattr(pusher, "BROKER_SECONDS", 20.0)
    monkeypatch.setattr(pusher, "MOST_WAITING", 2)
    for version in range(1, 6):
        publish("report.changed", world.specimen.pk, version=version, topics=["clinic.x"])
        assert in_hand.wait(10)
    answered.set()
    pusher.flush()
    assert heard == [1, 4, 5]
