"""Promises of the socket: yours at once, others' never, and what you missed when you come back."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from socket import create_server
from typing import Any

import pytest
import time_machine
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper
from django.test import Client
from prometheus_client import REGISTRY

from diagnostics.models import DiagnosticReport
from hospital.accounts.models import Membership
from hospital.accounts.selectors import clinic_topic
from hospital.config.asgi import application
from hospital.live import consumers, layer, pusher
from hospital.live.layer import PatientLayer
from hospital.live.models import Event
from hospital.live.services import publish, user_group
from patients.services import revoke_portal_access
from tests.servers import redis
from tests.world import PASSWORD, SETUP, World

pytestmark = pytest.mark.django_db(transaction=True)

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


async def test_a_result_reaches_the_clinics_open_page_with_ids_only(world: World) -> None:
    async with socket("/ws/clinic/", world.haematologist) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        report = await a_result_arrives(world)
        event = (await until(page, is_event))["event"]
        assert event["subject"] == str(report.pk)
        assert set(event) == {"id", "kind", "subject", "version"}


async def test_another_clinics_page_hears_nothing(world: World) -> None:
    async with socket("/ws/clinic/", world.outsider) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        await a_result_arrives(world)
        ticks = [await page.receive_json_from(timeout=5) for _ in range(3)]
        assert all("tick" in message for message in ticks)


async def test_a_page_that_was_away_gets_what_it_missed_once(world: World) -> None:
    report = await a_result_arrives(world)
    first = await Event.objects.order_by("id").afirst()
    assert first is not None
    async with socket(f"/ws/clinic/?since={first.pk}", world.haematologist) as page:
        await page.connect()
        missed = []
        while "hello" not in (message := await page.receive_json_from(timeout=5)):
            missed.append(message["event"])
        assert missed[-1]["version"] == report.version
        ids = [event["id"] for event in missed]
        assert len(set(ids)) == len(ids)


async def test_a_page_that_missed_too_much_is_told_to_reload(
    world: World, monkeypatch: Any
) -> None:
    monkeypatch.setattr(consumers, "REPLAY_LIMIT", 1)
    first = await sync_to_async(Event.objects.count)()
    await a_result_arrives(world)
    async with socket(f"/ws/clinic/?since={first}", world.haematologist) as page:
        await page.connect()
        assert await until(page, lambda m: "reload" in m)
        # And that is that: what it has read anew is not told again, nor is it told to read again.
        assert "hello" in await page.receive_json_from(timeout=5)
        assert set(await page.receive_json_from(timeout=5)) == {"tick"}


async def test_an_event_whose_push_was_lost_still_comes(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr("hospital.live.pusher.push", lambda events: None)
    async with socket("/ws/clinic/", world.haematologist) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        report = await a_result_arrives(world)
        assert (await until(page, is_event))["event"]["subject"] == str(report.pk)


async def test_an_event_that_commits_late_is_told_though_its_workers_clock_is_wrong(
    world: World, monkeypatch: Any
) -> None:
    """Its id is behind what the page has seen; what was lately is told by the database's clock."""
    monkeypatch.setattr("hospital.live.pusher.push", lambda events: None)
    gap = await sync_to_async(a_little_event)(world, 9)
    now = await sync_to_async(a_little_event)(world, 1)
    await sync_to_async(Event.objects.filter(pk=gap.pk).delete)()
    async with socket(f"/ws/clinic/?since={now.pk}", world.haematologist) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
            late = await sync_to_async(a_little_event)(world, 2)
        await sync_to_async(Event.objects.filter(pk=late.pk).update)(id=gap.pk)
        told = await until(page, lambda m: m.get("event", {}).get("version") == 2)
    assert told["event"]["id"] == gap.pk


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


def a_little_event(world: World, version: int) -> Event:
    topic = clinic_topic(world.clinic.pk)
    publish("report.changed", world.specimen.pk, version=version, topics=[topic])
    return Event.objects.get(version=version, subject=world.specimen.pk)


async def test_a_patient_is_told_only_when_the_release_rule_lets_the_report_through(
    world: World,
) -> None:
    async with socket("/ws/portal/", world.guardian) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        await a_result_arrives(world)
        assert "tick" in await page.receive_json_from(timeout=5)
        await sync_to_async(world.at_once)()
        report = await a_result_arrives(world, seed=1)
        assert (await until(page, is_event))["event"]["subject"] == str(report.pk)


@pytest.mark.parametrize("path", ["/ws/clinic/", "/ws/portal/"])
async def test_nobody_listens_without_signing_in(world: World, path: str) -> None:
    async with socket(path) as page:
        await page.connect()
        assert await close_code(page) == 4401


async def test_a_guardian_has_no_place_on_the_clinics_socket_nor_staff_on_the_portals(
    world: World,
) -> None:
    for path, user in [("/ws/clinic/", world.guardian), ("/ws/portal/", world.haematologist)]:
        async with socket(path, user) as page:
            await page.connect()
            assert await close_code(page) == 4403


@sync_to_async
def role_taken(world: World) -> None:
    Membership.objects.filter(user=world.haematologist).delete()


@sync_to_async
def account_closed(world: World) -> None:
    get_user_model().objects.filter(pk=world.haematologist.pk).update(is_active=False)


@sync_to_async
def signed_out(world: World) -> None:
    from django.contrib.sessions.models import Session

    Session.objects.all().delete()


@pytest.mark.parametrize("loss", [role_taken, account_closed, signed_out])
async def test_who_loses_the_right_loses_the_socket(world: World, loss: Any) -> None:
    async with socket("/ws/clinic/", world.haematologist) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        await loss(world)
        assert await close_code(page) == 4403


async def test_a_guardian_whose_access_is_revoked_loses_the_socket(world: World) -> None:
    async with socket("/ws/portal/", world.guardian) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        access = await world.guardian.portal_access.select_related("patient").aget()
        await sync_to_async(revoke_portal_access)(actor=SETUP, access=access)
        assert await close_code(page) == 4403


@pytest.mark.parametrize("query", ["since=abc", "since=-1", "since=" + "9" * 40, "since", "%ff"])
async def test_a_nonsense_since_is_no_since(world: World, query: str) -> None:
    async with socket(f"/ws/clinic/?{query}", world.haematologist) as page:
        await page.connect()
        assert "hello" in await page.receive_json_from(timeout=5)


async def test_a_rolled_back_write_tells_nobody(world: World) -> None:
    from django.db import transaction

    def attempt() -> None:
        try:
            with transaction.atomic():
                topic = f"clinic.{world.clinic.pk}"
                publish("report.changed", world.specimen.pk, version=1, topics=[topic])
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    before = await sync_to_async(Event.objects.count)()
    await sync_to_async(attempt)()
    assert await sync_to_async(Event.objects.count)() == before


async def test_events_are_pushed_in_order_and_a_process_that_ends_has_pushed_them(
    world: World,
) -> None:
    topic = f"clinic.{world.clinic.pk}"

    def write() -> None:
        for version in range(1, 6):
            publish("report.changed", world.specimen.pk, version=version, topics=[topic])

    async with socket("/ws/clinic/", world.haematologist) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        await sync_to_async(write)()
        await sync_to_async(pusher.flush)()
        said = [(await until(page, is_event))["event"]["version"] for _ in range(5)]
        assert said == [1, 2, 3, 4, 5]


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
