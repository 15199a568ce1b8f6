"""What a microscope is told is checked, counted, audited, and set by those who may."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from devices.models import Device
from devices.services.configuration import FIELDS, configuration_of, configure
from hospital.accounts.models import User
from hospital.audit.models import Entry
from hospital.base.states import StaleState
from hospital.live.models import Event
from tests.hands import page, send, signed_in
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


def test_a_microscope_is_told_its_own_values_over_the_hospitals(
    world: World, settings: Any
) -> None:
    settings.DEVICE_CONFIGURATION = {"heartbeat_seconds": 60, "keep_days": 3, "minimum_focus": None}
    assert configuration_of(world.device).as_told() == {"heartbeat_seconds": 60, "keep_days": 3}
    configure(actor=SETUP, device=world.device, values={"keep_days": 0, "minimum_focus": 1.3})
    told = {"heartbeat_seconds": 60, "keep_days": 0, "minimum_focus": 1.3}
    assert configuration_of(world.device).as_told() == told


def test_every_change_counts_and_is_audited_and_no_change_is_not(world: World) -> None:
    device = world.device
    assert configure(actor=SETUP, device=device, values={"keep_days": 7})
    assert not configure(actor=SETUP, device=device, values={"keep_days": 7})
    assert configure(actor=SETUP, device=device, values={"keep_days": None})
    assert (device.revision, device.configuration) == (3, {})
    entries = Entry.objects.filter(action="device.configured").order_by("pk")
    assert [entry.detail["changes"] for entry in entries] == [
        {"keep_days": [None, 7]},
        {"keep_days": [7, None]},
    ]
    assert Event.objects.filter(kind="device.changed").count() == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("heartbeat_seconds", 4),
        ("heartbeat_seconds", 3601),
        ("heartbeat_seconds", 10.5),
        ("heartbeat_seconds", True),
        ("heartbeat_seconds", "soon"),
        ("heartbeat_seconds", [60]),
        ("minimum_firmware", "newest"),
        ("minimum_focus", float("nan")),
        ("maximum_clipped", 1.1),
        ("keep_days", -1),
        ("colour", "red"),
    ],
)
def test_what_makes_no_sense_is_refused_whole(world: World, name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refusal:
        configure(actor=SETUP, device=world.device, values={"keep_days": 1, name: value})
    assert name in refusal.value.message_dict
    stored = Device.objects.get(pk=world.device.pk)
    assert (stored.configuration, stored.revision) == ({}, 1)


def test_of_two_who_change_it_at_once_the_second_is_told(world: World) -> None:
    stale = Device.objects.get(pk=world.device.pk)
    configure(actor=SETUP, device=world.device, values={"keep_days": 7})
    with pytest.raises(StaleState):
        configure(actor=SETUP, device=stale, values={"keep_days": 9})
    assert Device.objects.get(pk=world.device.pk).configuration == {"keep_days": 7}


# --- the staff API ------------------------------------------------------------------------------


def patch(user: User, world: World, body: Any) -> Any:
    client: Client = signed_in(user)
    address = f"/api/v1/devices/{world.device.pk}/configuration/"
    return client.patch(address, body, content_type="application/json")


def test_a_manager_sets_it_over_the_api(world: World) -> None:
    answer = patch(world.device_manager, world, {"heartbeat_seconds": 30, "keep_days": 2})
    assert answer.status_code == 200
    assert answer.json() == {
        "revision": 2,
        "taken_over": False,
        "own": {"heartbeat_seconds": 30, "keep_days": 2},
        "told": {"heartbeat_seconds": 30, "keep_days": 2},
    }
    back = patch(world.device_manager, world, {"keep_days": None})
    assert back.json()["own"] == {"heartbeat_seconds": 30}


def test_the_api_names_the_field_that_is_wrong(world: World) -> None:
    answer = patch(world.device_manager, world, {"minimum_firmware": "newest", "keep_days": 1})
    assert answer.status_code == 400
    assert "minimum_firmware" in answer.json()["errors"]
    assert Device.objects.get(pk=world.device.pk).configuration == {}


# --- the admin ----------------------------------------------------------------------------------

PAGE = "devices_device_configuration"


def test_a_manager_sets_it_in_the_admin(world: World) -> None:
    shown = page(world.device_manager, PAGE, world.device.pk).content.decode()
    for field in FIELDS:
        assert field.label in shown
    send(world.device_manager, PAGE, world.device.pk, heartbeat_seconds="45", keep_days="")
    assert Device.objects.get(pk=world.device.pk).configuration == {"heartbeat_seconds": 45}


def test_the_form_says_beside_the_field_what_is_wrong(world: World) -> None:
    answer = send(world.device_manager, PAGE, world.device.pk, minimum_firmware="newest")
    assert "Give a version such as 1.4.2." in answer.content.decode()
    answer = send(world.device_manager, PAGE, world.device.pk, heartbeat_seconds="1")
    assert "greater than or equal to 5" in answer.content.decode()
    assert Device.objects.get(pk=world.device.pk).revision == 1
