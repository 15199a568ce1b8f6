"""Microscopes over HTTP for staff: a key is shown once, revoked at once."""

import json
from typing import Any

import pytest
from django.test import Client

from devices.models import Device, DeviceKey
from devices.services import keys, registry
from hospital.accounts.models import User
from hospital.base.states import IllegalTransition
from tests.devices.conftest import Microscope
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def post(user: User, address: str, **body: Any) -> Any:
    return signed_in(user).post(f"/api/v1/devices/{address}", body, content_type="application/json")


def test_from_registration_to_the_first_heartbeat(world: World) -> None:
    new = {"clinic": str(world.clinic.pk), "name": "B", "make": "M", "model": "X", "serial": "9"}
    device = post(world.device_manager, "", **new).json()
    assert device["state"] == "pending"

    issued = post(world.device_manager, f"{device['id']}/keys/")

    assert issued.status_code == 201
    assert issued["Cache-Control"] == "no-store"
    assert Microscope(world, issued.json()["key"]).heartbeat("{}").status_code == 200
    assert Device.objects.get(pk=device["id"]).state == "active"


def test_a_key_is_shown_once_and_stored_hashed(world: World) -> None:
    key = post(world.device_manager, f"{world.device.pk}/keys/").json()["key"]
    listed = signed_in(world.device_manager).get(f"/api/v1/devices/{world.device.pk}/keys/")
    assert listed.status_code == 200
    assert len(listed.json()) == 2
    secret = key.split("_", 2)[2]
    assert secret not in listed.content.decode()
    assert all(secret not in json.dumps(row, default=str) for row in DeviceKey.objects.values())


def test_a_revoked_key_stops_at_once_and_the_others_go_on(world: World) -> None:
    newer = post(world.device_manager, f"{world.device.pk}/keys/").json()["key"]
    old = world.device.keys.get(prefix=world.key.split("_")[1])
    address = f"/api/v1/devices/{world.device.pk}/keys/{old.pk}/"

    assert signed_in(world.device_manager).delete(address).status_code == 204

    assert Microscope(world, world.key).heartbeat("{}").status_code == 401
    assert Microscope(world, newer).heartbeat("{}").status_code == 200


def test_a_key_is_revoked_only_through_its_own_microscope(world: World) -> None:
    others = world.other_device.keys.get()
    address = f"/api/v1/devices/{world.device.pk}/keys/{others.pk}/"
    assert signed_in(world.device_manager).delete(address).status_code == 404
    others.refresh_from_db()
    assert others.revoked_at is None


def test_suspending_and_the_way_back(world: World) -> None:
    microscope = Microscope(world, world.key)
    for state, status in [("suspended", 403), ("active", 200), ("retired", 401)]:
        changed = post(world.device_manager, f"{world.device.pk}/state/", state=state)
        assert (changed.status_code, changed.json()["state"]) == (200, state)
        assert microscope.heartbeat("{}").status_code == status
    back = post(world.device_manager, f"{world.device.pk}/state/", state="active")
    assert (back.status_code, back.json()["code"]) == (409, "illegal_transition")


def test_a_microscope_becomes_active_by_its_first_key_and_not_by_being_told_to(
    world: World,
) -> None:
    new = registry.register_device(
        actor=SETUP, clinic=world.clinic, name="New", make="Wi", model="W1", serial="W1-77"
    )
    told = post(world.device_manager, f"{new.pk}/state/", state="active")
    assert (told.status_code, told.json()["code"]) == (409, "illegal_transition")
    assert "first key" in told.json()["detail"]
    new.refresh_from_db()
    assert new.state == "pending"
    assert post(world.device_manager, f"{new.pk}/keys/").status_code == 201
    new.refresh_from_db()
    assert new.state == "active"


def test_what_came_back_from_retirement_waits_for_a_key_as_well(world: World) -> None:
    """None of its old keys opens the door: to be active would promise what it cannot do."""
    registry.change_state(actor=SETUP, device=world.device, to="retired")
    registry.reinstate(actor=SETUP, device=world.device, reason="repaired")
    with pytest.raises(IllegalTransition, match="first key"):
        registry.change_state(actor=SETUP, device=world.device, to="active")
    keys.issue_key(actor=SETUP, device=world.device)
    assert world.device.state == "active"


@pytest.mark.parametrize("state", ["pending", "broken", ""])
def test_a_state_nobody_can_choose_is_refused(world: World, state: str) -> None:
    answer = post(world.device_manager, f"{world.device.pk}/state/", state=state)
    assert answer.status_code == 400
    world.device.refresh_from_db()
    assert world.device.state == "active"


def test_a_technician_sees_microscopes_and_may_not_touch_them(world: World) -> None:
    client = signed_in(world.technician)
    assert client.get(f"/api/v1/devices/{world.device.pk}/").status_code == 200
    assert post(world.technician, f"{world.device.pk}/keys/").status_code == 403
    assert client.get(f"/api/v1/devices/{world.device.pk}/keys/").status_code == 403
    assert post(world.technician, f"{world.device.pk}/state/", state="retired").status_code == 403
    assert DeviceKey.objects.filter(device=world.device).count() == 1


def test_another_clinics_microscope_does_not_exist_here(world: World) -> None:
    client = signed_in(world.device_manager)
    other = world.other_device.pk
    assert client.get(f"/api/v1/devices/{other}/").status_code == 404
    assert post(world.device_manager, f"{other}/keys/").status_code == 404
    assert post(world.device_manager, f"{other}/state/", state="retired").status_code == 404
    listed = client.get("/api/v1/devices/").json()["results"]
    assert [row["id"] for row in listed] == [str(world.device.pk)]
