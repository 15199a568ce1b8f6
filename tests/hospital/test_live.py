"""Promises of the socket: yours at once, others' never, and what you missed when you come back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model

from hospital.accounts.models import Membership
from hospital.accounts.selectors import clinic_topic
from hospital.live import consumers, pusher
from hospital.live.models import Event
from hospital.live.services import publish
from patients.services import revoke_portal_access
from tests.hospital.sockets import a_result_arrives, close_code, is_event, socket, until
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db(transaction=True)


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
