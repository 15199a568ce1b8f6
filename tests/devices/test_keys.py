"""A microscope changes its key without ever standing before a closed door; a person closes it."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from devices.models import DeviceKey
from devices.services import keys, registry
from hospital.audit.models import Entry
from tests.devices.conftest import Microscope
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db

WEEK = timedelta(days=7)


def renew(key: str) -> Any:
    """Ask for another key with this one."""
    return Client(enforce_csrf_checks=True).post(
        "/api/device/v1/key", headers={"Authorization": f"Bearer {key}"}
    )


def opens(world: World, key: str) -> bool:
    """Whether the key opens the door; asking is using it."""
    return Microscope(world, key).heartbeat("{}").status_code == 200


def row(key: str) -> DeviceKey:
    return DeviceKey.objects.select_related("device").get(prefix=key.split("_")[1])


# --- renewing -----------------------------------------------------------------------------------


def test_the_old_key_ends_when_the_new_one_is_first_used(world: World) -> None:
    answer = renew(world.key)
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    new = answer.json()["key"]
    ends = datetime.fromisoformat(answer.json()["old_key_ends"])
    assert abs(ends - timezone.now() - WEEK) < timedelta(minutes=1)

    assert opens(world, world.key)  # both live
    assert opens(world, new)
    assert not opens(world, world.key)
    assert opens(world, new)
    assert row(world.key).standing == "revoked"
    assert row(new).standing == "live"


def test_the_old_key_ends_after_a_week_at_the_latest(world: World) -> None:
    new = renew(world.key).json()["key"]
    with time_machine.travel(timezone.now() + WEEK - timedelta(minutes=1)):
        assert opens(world, world.key)
    with time_machine.travel(timezone.now() + WEEK + timedelta(minutes=1)):
        assert not opens(world, world.key)
        assert row(world.key).standing == "ended"
        assert renew(world.key).json()["code"] == "invalid_key"
        assert opens(world, new)


def test_a_lost_answer_locks_nobody_out(world: World) -> None:
    lost = renew(world.key).json()["key"]
    again = renew(world.key).json()
    assert not opens(world, lost)
    assert opens(world, world.key)
    assert opens(world, again["key"])
    assert not opens(world, world.key)
    assert row(again["key"]).replaces == row(world.key)


def test_asking_again_does_not_put_the_end_off(world: World) -> None:
    first = renew(world.key).json()["old_key_ends"]
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        assert renew(world.key).json()["old_key_ends"] == first


def test_keys_follow_one_another(world: World) -> None:
    key = world.key
    for _ in range(3):
        newer = renew(key).json()["key"]
        assert opens(world, newer)
        assert not opens(world, key)
        key = newer
    assert DeviceKey.objects.filter(device=world.device).live().count() == 1


def test_renewing_with_a_key_is_using_it(world: World) -> None:
    second = renew(world.key).json()["key"]
    third = renew(second).json()["key"]
    assert not opens(world, world.key)
    assert opens(world, third)


@pytest.mark.parametrize("state", ["suspended", "retired"])
def test_out_of_service_there_is_no_new_key(world: World, state: str) -> None:
    registry.change_state(actor=SETUP, device=world.device, to=state)
    assert renew(world.key).status_code in {401, 403}
    assert DeviceKey.objects.filter(device=world.device).count() == 1


def test_without_a_key_there_is_no_other(world: World) -> None:
    assert Client().post("/api/device/v1/key").json()["code"] == "key_missing"


# --- being told to ------------------------------------------------------------------------------


def test_a_young_key_need_not_be_renewed_an_old_one_should(world: World, settings: Any) -> None:
    assert not keys.should_renew(row(world.key))
    with time_machine.travel(timezone.now() + timedelta(days=91)):
        assert keys.should_renew(row(world.key))
        assert opens(world, world.key)  # by its age alone it does not end
        settings.KEY_RENEW_DAYS = 0
        assert not keys.should_renew(row(world.key))


def test_a_manager_asks_for_rotation(world: World) -> None:
    assert keys.rotate_keys(actor=SETUP, device=world.device) == 1
    assert keys.should_renew(row(world.key))
    assert opens(world, world.key)
    new = renew(world.key).json()["key"]
    assert keys.should_renew(row(world.key))  # until the new one is used
    assert opens(world, new)
    assert not keys.should_renew(row(new))


def test_rotation_ends_every_key_of_today(world: World) -> None:
    by_hand = keys.issue_key(actor=SETUP, device=world.device)
    keys.rotate_keys(actor=SETUP, device=world.device)
    assert opens(world, renew(world.key).json()["key"])
    assert opens(world, by_hand)
    with time_machine.travel(timezone.now() + WEEK + timedelta(minutes=1)):
        assert not opens(world, by_hand)


def test_rotation_of_nothing_is_nothing(world: World) -> None:
    keys.revoke_key(actor=SETUP, key=row(world.key))
    assert keys.rotate_keys(actor=SETUP, device=world.device) == 0
    assert not Entry.objects.filter(action="device_key.rotation_asked").exists()


# --- being ended --------------------------------------------------------------------------------


def test_with_a_revoked_key_goes_what_was_fetched_with_it(world: World) -> None:
    heir = renew(world.key).json()["key"]
    keys.revoke_key(actor=SETUP, key=row(world.key))
    assert not opens(world, world.key)
    assert not opens(world, heir)


def test_a_key_at_work_outlives_the_revoked_ones_of_others(world: World) -> None:
    by_hand = keys.issue_key(actor=SETUP, device=world.device)
    keys.revoke_key(actor=SETUP, key=row(world.key))
    assert opens(world, by_hand)


def test_a_reinstated_microscope_has_none_of_its_old_keys(world: World) -> None:
    unused = renew(world.key).json()["key"]
    registry.change_state(actor=SETUP, device=world.device, to="retired")
    registry.reinstate(actor=SETUP, device=world.device, reason="repaired by the maker")
    assert world.device.state == "pending"
    keys.issue_key(actor=SETUP, device=world.device)
    assert not opens(world, world.key)
    assert not opens(world, unused)


def test_everything_is_in_the_trail(world: World) -> None:
    keys.rotate_keys(actor=SETUP, device=world.device)
    renew(world.key)
    assert opens(world, renew(world.key).json()["key"])
    told = [
        (entry.action, entry.actor_kind)
        for entry in Entry.objects.filter(action__startswith="device_key.").order_by("id")
    ][-5:]
    assert told == [
        ("device_key.rotation_asked", "system"),
        ("device_key.issued", "device"),
        ("device_key.revoked", "device"),  # the one nobody used
        ("device_key.issued", "device"),
        ("device_key.revoked", "device"),  # the old one
    ]


# --- at the same moment -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_used_and_asked_for_again_at_once_one_key_is_left_to_work_with(
    world: World, round_: int
) -> None:
    """The successor is used while the old key asks for yet another: no deadlock, no lockout."""
    successor = renew(world.key).json()["key"]
    got: dict[str, Any] = {}
    start = threading.Barrier(3)

    def do(name: str, deed: Any) -> None:
        start.wait()
        try:
            got[name] = deed()
        finally:
            connection.close()

    deeds = {
        "used": lambda: opens(world, successor),
        "used too": lambda: opens(world, successor),
        "again": lambda: renew(world.key),
    }
    threads = [threading.Thread(target=do, args=deed) for deed in deeds.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert set(got) == set(deeds)
    if got["again"].status_code == 201:
        assert opens(world, got["again"].json()["key"])
    else:
        assert got["again"].json()["code"] == "invalid_key"
        assert opens(world, successor)
    assert DeviceKey.objects.filter(device=world.device).live().count() == 1


@pytest.mark.django_db(transaction=True)
def test_revoked_while_it_is_renewed_its_holder_is_out(world: World) -> None:
    start = threading.Barrier(2)
    got: list[Any] = []

    def do(deed: Any) -> None:
        start.wait()
        try:
            got.append(deed())
        finally:
            connection.close()

    deeds = [
        lambda: renew(world.key),
        lambda: keys.revoke_key(actor=SETUP, key=row(world.key)),
    ]
    threads = [threading.Thread(target=do, args=[deed]) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(got) == 2
    assert not DeviceKey.objects.filter(device=world.device).live().exists()


@pytest.mark.django_db(transaction=True)
def test_asked_twice_at_once_the_last_answer_works(world: World) -> None:
    start, answers = threading.Barrier(3), []

    def ask() -> None:
        start.wait()
        try:
            answers.append(renew(world.key))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert [answer.status_code for answer in answers] == [201] * 3
    live = [key for key in (a.json()["key"] for a in answers) if row(key).live]
    assert len(live) == 1
    assert opens(world, live[0])
    assert not opens(world, world.key)
