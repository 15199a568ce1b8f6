"""A retired serial number does not come back by itself; a person brings it back and says why."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from devices.models import Device
from devices.services import enrolment, registry
from hospital.audit.models import Entry
from hospital.base.problems import Refusal
from hospital.base.states import IllegalTransition
from tests.hands import errors, send
from tests.permissions.scene import new_device
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


@pytest.fixture
def retired(world: World) -> Device:
    registry.change_state(actor=SETUP, device=world.device, to="retired")
    return world.device


def register(world: World, *, serial: str = "SN-1", make: str = "Optika", **other: Any) -> Device:
    clinic = other.get("clinic", world.clinic)
    return registry.register_device(
        actor=SETUP, clinic=clinic, name="Again", make=make, model="W1", serial=serial
    )


@pytest.mark.parametrize(("make", "serial"), [("Optika", "SN-1"), ("OPTIKA", "sn-1")])
def test_registered_again_it_is_refused_with_the_way_back(
    world: World, retired: Device, make: str, serial: str
) -> None:
    with pytest.raises(registry.SerialRetired, match="Reinstate") as refusal:
        register(world, make=make, serial=serial)
    assert refusal.value.code == "serial_retired"
    assert Device.objects.filter(clinic=world.clinic).count() == 1


def test_another_microscope_cannot_be_renamed_into_it(world: World, retired: Device) -> None:
    other = register(world, serial="SN-9")
    other.serial = "SN-1"
    with pytest.raises(registry.SerialRetired):
        registry.save_device(actor=SETUP, device=other)


def test_another_clinic_learns_no_more_than_that_it_is_taken(world: World, retired: Device) -> None:
    with pytest.raises(ValidationError) as refusal:
        register(world, clinic=world.other_clinic)
    said = str(refusal.value)
    assert "another clinic" in said
    assert "Bench SN-1" not in said
    assert "retired" not in said


def test_a_living_ones_number_is_taken(world: World) -> None:
    with pytest.raises(ValidationError, match="registered already as Bench SN-1"):
        register(world)


def test_the_form_says_it_beside_the_field(world: World, retired: Device) -> None:
    fields = {**new_device_fields(world), "make": "Optika", "serial": "SN-1"}
    answer = send(world.device_manager, "devices_device_add", **fields)
    assert "Reinstate" in errors(answer)


def new_device_fields(world: World) -> dict[str, Any]:
    class Scene:
        pass

    scene: Any = Scene()
    scene.world = world
    return new_device(scene)


def test_reinstated_it_waits_for_a_new_code(world: World, retired: Device) -> None:
    registry.reinstate(actor=SETUP, device=retired, reason="  repaired by the maker ")
    assert retired.state == "pending"
    entry = Entry.objects.get(action="device.reinstated")
    assert entry.detail == {"reason": "repaired by the maker"}
    code = enrolment.make_code(actor=SETUP, device=retired).code
    device, _ = enrolment.exchange(code=code)
    assert (device.pk, device.state) == (retired.pk, "active")


def test_a_reason_is_asked_for(retired: Device) -> None:
    with pytest.raises(Refusal) as refusal:
        registry.reinstate(actor=SETUP, device=retired, reason="  ")
    assert refusal.value.code == "reason_missing"
    with pytest.raises(registry.Refusal) as refusal:
        registry.reinstate(actor=SETUP, device=retired, reason="r" * 201)
    assert refusal.value.code == "reason_too_long"
    retired.refresh_from_db()
    assert retired.state == "retired"


def test_only_a_retired_one_is_reinstated(world: World) -> None:
    with pytest.raises(IllegalTransition):
        registry.reinstate(actor=SETUP, device=world.device, reason="why not")


@pytest.mark.parametrize("to", ["pending", "active", "suspended"])
def test_no_other_way_leads_back(retired: Device, to: str) -> None:
    with pytest.raises(IllegalTransition):
        registry.change_state(actor=SETUP, device=retired, to=to)
    retired.refresh_from_db()
    assert retired.state == "retired"
