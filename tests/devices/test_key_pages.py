"""What a device manager does in the browser, or by the staff API, about codes and keys."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from devices.models import Device, DeviceKey, Enrolment
from devices.services import enrolment, keys, registry
from hospital.accounts.models import User
from tests.hands import page, send, signed_in
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db

CODE = re.compile(r'id="code">([0-9A-Z-]{14})<')


def post(user: User, address: str, **body: Any) -> Any:
    return signed_in(user).post(f"/api/v1/devices/{address}", body, content_type="application/json")


def test_a_code_is_asked_for_shown_once_and_works(world: World) -> None:
    name, pk = "devices_device_code", world.device.pk
    assert page(world.device_manager, name, pk).status_code == 200
    assert not Enrolment.objects.exists()

    shown = send(world.device_manager, name, pk)

    assert "no-store" in shown["Cache-Control"]
    text = shown.content.decode()
    found = CODE.search(text)
    assert found is not None
    code = found.group(1)
    plain = re.sub("<[^>]+>", "", text)
    assert f"leukolens-agent enrol {code} --server http://testserver" in plain
    for said in ["Bench SN-1", "North Clinic", "http://testserver", "15 minutes", "UTC"]:
        assert said in text
    later = page(world.device_manager, "devices_device_change", pk).content.decode()
    assert code not in later
    assert "10 tries left" in later
    device, _ = enrolment.exchange(code=code)
    assert device == world.device


def test_the_sheet_needs_no_script_and_no_inline_style(world: World) -> None:
    text = send(world.device_manager, "devices_device_code", world.device.pk).content.decode()
    sheet = text[text.index('class="sheet"') :]
    sheet = sheet[: sheet.index("</ol>")]
    assert "style=" not in sheet
    assert "<script" not in sheet
    assert 'src="data:image/svg+xml' in sheet


def test_the_qr_code_says_server_code_and_serial_number() -> None:
    uri = enrolment.uri(code="K7QM-4T9X-2HWD", server="https://h.example", serial="W 1&2")
    assert uri.startswith("leukolens-enrol:?server=https%3A%2F%2Fh.example&code=K7QM-4T9X-2HWD")
    assert parse_qs(urlsplit(uri).query) == {
        "server": ["https://h.example"],
        "code": ["K7QM-4T9X-2HWD"],
        "serial": ["W 1&2"],
    }


def test_a_suspended_microscope_has_no_button_and_gets_no_code(world: World) -> None:
    registry.change_state(actor=SETUP, device=world.device, to="suspended")
    shown = page(world.device_manager, "devices_device_change", world.device.pk).content.decode()
    assert "Make a code" not in shown
    refused = send(world.device_manager, "devices_device_code", world.device.pk)
    assert "activate it first" in refused.content.decode()


def test_rotation_asks_first_and_the_list_shows_it(world: World) -> None:
    name, pk = "devices_device_rotate", world.device.pk
    assert page(world.device_manager, name, pk).status_code == 200
    assert not keys.should_renew(world.device.keys.get())
    text = send(world.device_manager, name, pk).content.decode()
    assert keys.should_renew(world.device.keys.get())
    assert "Valid; ends with its successor" in text


def test_reinstating_asks_why(world: World) -> None:
    name, pk = "devices_device_reinstate", world.device.pk
    registry.change_state(actor=SETUP, device=world.device, to="retired")
    shown = page(world.device_manager, "devices_device_change", pk).content.decode()
    assert reverse(f"admin:{name}", args=[pk]) in shown
    assert send(world.device_manager, name, pk, reason=" ").status_code == 200
    world.device.refresh_from_db()
    assert world.device.state == "retired"
    text = send(world.device_manager, name, pk, reason="repaired").content.decode()
    assert "Make a code for it" in text
    world.device.refresh_from_db()
    assert world.device.state == "pending"


@pytest.mark.parametrize(
    "name", ["devices_device_code", "devices_device_rotate", "devices_device_reinstate"]
)
def test_nothing_happens_without_the_csrf_token(world: World, name: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.device_manager)
    address = reverse(f"admin:{name}", args=[world.device.pk])
    assert client.post(address, {"reason": "x"}).status_code == 403
    assert not Enrolment.objects.exists()


def test_another_clinics_microscope_is_out_of_reach(world: World) -> None:
    other = world.other_device
    for name in ["devices_device_code", "devices_device_rotate", "devices_device_reinstate"]:
        assert send(world.device_manager, name, other.pk, reason="x").status_code == 403
    for address in ["code/", "rotate/", "reinstate/"]:
        assert post(world.device_manager, f"{other.pk}/{address}", reason="x").status_code == 404
    assert not Enrolment.objects.exists()
    assert other.keys.get().expires_at is None


def test_the_staff_api_does_the_same(world: World) -> None:
    manager, pk = world.device_manager, world.device.pk
    made = post(manager, f"{pk}/code/")
    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    told = made.json()
    assert set(told) == {"code", "uri", "expires_at"}
    assert parse_qs(urlsplit(told["uri"]).query)["code"] == [told["code"]]
    enrolment.exchange(code=told["code"])

    listed = post(manager, f"{pk}/rotate/").json()
    assert [row["standing"] for row in listed] == ["ending", "revoked"]

    assert post(manager, f"{pk}/state/", state="retired").status_code == 200
    assert post(manager, f"{pk}/code/").json()["code"] == "device_retired"
    again = {"clinic": str(world.clinic.pk), "name": "Again", "make": "Optika", "model": "W1"}
    refused = post(manager, "", **again, serial="sn-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "serial_retired")
    assert "Reinstate" in refused.json()["detail"]

    assert post(manager, f"{pk}/reinstate/").status_code == 400
    back = post(manager, f"{pk}/reinstate/", reason="repaired")
    assert (back.status_code, back.json()["state"]) == (200, "pending")
    assert not DeviceKey.objects.filter(device=pk).live().exists()
    assert Device.objects.get(pk=pk).state == "pending"
