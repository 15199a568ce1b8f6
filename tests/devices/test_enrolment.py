"""A one-time code gives a microscope its own key, once, to the right one, within minutes."""

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from devices.models import Device, DeviceKey, Enrolment
from devices.services import enrolment, keys, registry
from hospital.audit.models import Entry
from hospital.audit.services import Actor
from tests.devices.conftest import Microscope
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


@pytest.fixture
def new(world: World) -> Device:
    """A microscope that has never had a key."""
    return registry.register_device(
        actor=SETUP, clinic=world.clinic, name="Bench 9", make="Optika", model="W1", serial="W1-9"
    )


def make(device: Device) -> str:
    return enrolment.make_code(actor=SETUP, device=device).code


def enrol(code: Any, **fields: Any) -> Any:
    """What somebody without any key gets for a code."""
    return Client(enforce_csrf_checks=True).post(
        "/api/device/v1/enrol", {"code": code, **fields}, content_type="application/json"
    )


def refused(answer: Any) -> dict[str, Any]:
    """A refusal in full, but for nothing: what an outsider could compare."""
    assert answer["Content-Type"] == "application/problem+json"
    return {"status": answer.status_code, **answer.json()}


def wrong(code: str) -> str:
    """The same code with another secret."""
    return code[:-1] + ("0" if code[-1] != "0" else "2")


def at_once(*deeds: Callable[[], None]) -> None:
    """Do all of them at the same moment, each in its own thread."""
    start = threading.Barrier(len(deeds))

    def do(deed: Callable[[], None]) -> None:
        start.wait()
        try:
            deed()
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=[deed]) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)


# --- the good way -------------------------------------------------------------------------------


def test_from_the_code_to_the_first_heartbeat(world: World, new: Device, settings: Any) -> None:
    answer = enrol(make(new), serial="W1-9")

    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    told = answer.json()
    assert told["device"] == {"id": str(new.pk), "name": "Bench 9", "clinic": "North Clinic"}
    assert told["interval_seconds"] == settings.DEVICE_HEARTBEAT_SECONDS
    assert {"key", "device", "server_time", "interval_seconds"} == set(told)
    new.refresh_from_db()
    assert new.state == "active"
    assert Microscope(world, told["key"]).heartbeat("{}").status_code == 200


def test_a_code_is_short_and_has_no_letters_that_look_alike(new: Device) -> None:
    for _ in range(50):
        assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){2}[0-9A-HJKMNP-TV-Z]{4}", make(new))


@pytest.mark.parametrize(
    "typed",
    [
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " "),
        lambda code: f"  {code}\n",
        lambda code: code.replace("-", "–"),
        lambda code: code.replace("0", "O").replace("1", "l"),
        lambda code: code.replace("0", "o").replace("1", "I"),
    ],
)
def test_typing_it_otherwise_is_forgiven(
    new: Device, typed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter("10AB10CD10EF")
    monkeypatch.setattr("devices.services.enrolment.secrets.choice", lambda _: next(drawn))
    code = make(new)
    assert code == "10AB-10CD-10EF"
    assert enrol(typed(code)).status_code == 201


def test_neither_code_nor_key_can_be_read_from_the_database(new: Device) -> None:
    code = make(new)
    key = enrol(code).json()["key"]
    plain = code.replace("-", "")
    rows = [str(row) for model in (Enrolment, DeviceKey, Entry) for row in model.objects.values()]
    for row in rows:
        assert plain not in row
        assert plain[4:] not in row
        assert key.split("_", 2)[2] not in row


def test_a_new_computer_takes_over_and_the_old_one_is_out(world: World) -> None:
    old = Microscope(world, world.key)
    code = make(world.device)
    assert old.heartbeat("{}").status_code == 200  # until the code is used
    key = enrol(code).json()["key"]
    assert old.heartbeat("{}").status_code == 401
    assert Microscope(world, key).heartbeat("{}").status_code == 200


# --- what does not work, and looks the same from outside ----------------------------------------


def test_every_bad_code_looks_the_same_from_outside(new: Device, settings: Any) -> None:
    known = make(new)
    looks = [refused(enrol(bad)) for bad in ["0000-0000-0000", "x", "ß", known[:4], wrong(known)]]
    enrol(known)
    looks.append(refused(enrol(known)))  # used
    void = make(new)
    make(new)
    looks.append(refused(enrol(void)))
    expired = make(new)
    with time_machine.travel(timezone.now() + timedelta(minutes=settings.ENROLMENT_MINUTES)):
        looks.append(refused(enrol(expired)))

    assert all(look == looks[0] for look in looks)
    assert (looks[0]["status"], looks[0]["code"]) == (403, "code_refused")
    reasons = Entry.objects.filter(action="enrolment.refused").order_by("id")
    assert [entry.detail["reason"] for entry in reasons] == [
        *["unknown"] * 3,
        *["wrong"] * 2,
        "used",
        "void",
        "expired",
    ]


def test_a_code_is_valid_to_its_last_minute(new: Device, settings: Any) -> None:
    code = make(new)
    almost = timezone.now() + timedelta(minutes=settings.ENROLMENT_MINUTES, seconds=-5)
    with time_machine.travel(almost):
        assert enrol(code).status_code == 201


def test_after_ten_wrong_tries_the_right_one_is_too_late(new: Device) -> None:
    code = make(new)
    for _ in range(10):
        assert enrol(wrong(code)).status_code == 403
    assert refused(enrol(code))["code"] == "code_refused"
    assert Enrolment.objects.get().standing == "void"
    new.refresh_from_db()
    assert new.state == "pending"


def test_the_tenth_try_may_be_the_right_one(new: Device) -> None:
    code = make(new)
    for _ in range(9):
        enrol(wrong(code))
    assert enrol(code).status_code == 201


def test_another_microscopes_code_is_refused_by_the_serial_number(
    world: World, new: Device
) -> None:
    code = make(new)
    answer = refused(enrol(code, serial="SN-1"))
    assert (answer["status"], answer["code"]) == (409, "serial_mismatch")
    assert not DeviceKey.objects.filter(device=new).exists()
    entry = Entry.objects.get(action="enrolment.refused")
    assert entry.detail["reason"] == "serial"
    assert entry.clinic_id == world.clinic.pk
    # The code is still good at the right one, which may spell itself in small letters.
    assert enrol(code, serial="w1-9").status_code == 201


def test_the_serial_number_of_a_wrong_code_is_not_looked_at(new: Device) -> None:
    assert refused(enrol(wrong(make(new)), serial="SN-1"))["code"] == "code_refused"


def test_a_suspended_microscope_does_not_enrol_and_keeps_its_code(world: World) -> None:
    code = make(world.device)
    registry.change_state(actor=SETUP, device=world.device, to="suspended")
    assert refused(enrol(code))["code"] == "device_suspended"
    registry.change_state(actor=SETUP, device=world.device, to="active")
    assert enrol(code).status_code == 201


def test_retiring_ends_the_code(new: Device) -> None:
    code = make(new)
    registry.change_state(actor=SETUP, device=new, to="retired")
    assert refused(enrol(code))["code"] == "code_refused"


@pytest.mark.parametrize("state", ["suspended", "retired"])
def test_no_code_is_made_for_what_may_not_work(world: World, state: str) -> None:
    registry.change_state(actor=SETUP, device=world.device, to=state)
    with pytest.raises(keys.Refusal, match="first"):
        make(world.device)
    assert not Enrolment.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{}", 400, "invalid"),
        ("", 400, "invalid"),
        ('{"code": ""}', 400, "invalid"),
        ('{"code": ["K7QM"]}', 400, "invalid"),
        ('{"code": "' + "K" * 65 + '"}', 400, "invalid"),
        ("[]", 400, "invalid"),
        ("{", 400, "malformed_json"),
        ('{"code": "' + "K" * 5000 + '"}', 413, "too_large"),
    ],
)
def test_what_is_no_question_is_said_to_be_none(body: str, status: int, code: str) -> None:
    answer = Client().post("/api/device/v1/enrol", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


# --- guessing -----------------------------------------------------------------------------------


def test_an_address_that_guesses_has_to_wait(new: Device) -> None:
    code = make(new)
    for _ in range(20):
        assert enrol("0000-0000-0000").status_code == 403
    braked = enrol(code)
    assert (braked.status_code, braked.json()["code"]) == (429, "too_many_tries")
    assert 0 < int(braked["Retry-After"]) <= 601
    # Somebody else's address is free, and nothing was spent of the code.
    other = Client(REMOTE_ADDR="10.1.2.3").post(
        "/api/device/v1/enrol", {"code": code}, content_type="application/json"
    )
    assert other.status_code == 201


def test_the_brake_is_released_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("devices.services.brake.time.monotonic", lambda: now)
    brake = enrolment.Brake(most=2, seconds=60)
    for _ in range(2):
        brake.note("10.1.2.3")
    with pytest.raises(enrolment.Refusal) as refusal:
        brake.ensure("10.1.2.3")
    assert refusal.value.retry_after == 61
    now += 61
    brake.ensure("10.1.2.3")


def test_a_spoilt_forwarded_header_does_not_loosen_the_brake(new: Device) -> None:
    for number in range(20):
        Client(REMOTE_ADDR="10.1.2.3", headers={"X-Forwarded-For": f"10.9.9.{number}"}).post(
            "/api/device/v1/enrol", {"code": "0"}, content_type="application/json"
        )
    answer = Client(REMOTE_ADDR="10.1.2.3").post(
        "/api/device/v1/enrol", {"code": make(new)}, content_type="application/json"
    )
    assert answer.status_code == 429


def test_one_households_many_addresses_count_as_one() -> None:
    brake = enrolment.Brake(most=2, seconds=60)
    brake.note("2001:db8::1")
    brake.note("2001:db8::2")
    with pytest.raises(enrolment.Refusal):
        brake.ensure("2001:db8::3")
    brake.ensure("2001:db8:0:1::1")
    brake.ensure("::ffff:10.0.0.1")


# --- at the same moment -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_that_use_one_code_at_once_one_gets_the_key(new: Device) -> None:
    code = make(new)
    statuses: list[int] = []
    at_once(*[lambda: statuses.append(enrol(code).status_code)] * 4)
    assert sorted(statuses) == [201, 403, 403, 403]
    assert DeviceKey.objects.filter(device=new).count() == 1
    assert Entry.objects.filter(action="enrolment.code_used").count() == 1


@pytest.mark.django_db(transaction=True)
def test_wrong_tries_at_once_are_all_counted(new: Device) -> None:
    bad = wrong(make(new))

    def guess() -> None:
        with pytest.raises(enrolment.CodeRefused):
            enrolment.exchange(code=bad, address=str(threading.get_ident()))

    at_once(*[guess] * 6)
    assert Enrolment.objects.get().tries_left == 4
    at_once(*[guess] * 6)
    row = Enrolment.objects.get()
    assert (row.tries_left, row.standing) == (0, "void")
    reasons = [entry.detail["reason"] for entry in Entry.objects.filter(action="enrolment.refused")]
    assert (reasons.count("wrong"), reasons.count("void")) == (10, 2)


@pytest.mark.django_db(transaction=True)
def test_two_codes_made_at_once_leave_one_open(world: World, new: Device) -> None:
    made: list[str] = []
    at_once(*[lambda: made.append(make(Device.objects.get(pk=new.pk)))] * 4)
    assert len(made) == 4
    assert sorted(enrol(code).status_code for code in made) == [201, 403, 403, 403]


@pytest.mark.django_db(transaction=True)
def test_retired_while_it_enrols_it_has_no_live_key(new: Device) -> None:
    code = make(new)
    at_once(
        lambda: enrol(code) and None,
        lambda: (
            registry.change_state(actor=SETUP, device=Device.objects.get(pk=new.pk), to="retired")
            if Device.objects.get(pk=new.pk).state == "pending"
            else None
        ),
    )
    new.refresh_from_db()
    if new.state == "retired":
        assert not DeviceKey.objects.filter(device=new).live().exists()
    assert Enrolment.objects.get().standing in {"used", "void"}


# --- the trail ----------------------------------------------------------------------------------


def test_everything_is_in_the_trail(world: World, new: Device) -> None:
    manager = Actor.user(world.device_manager)
    code = enrolment.make_code(actor=manager, device=new).code
    enrol(wrong(code))
    enrol(code)
    told = [
        (entry.action, entry.actor_kind, entry.actor_id)
        for entry in Entry.objects.filter(clinic_id=world.clinic.pk).order_by("id")
    ][-4:]
    assert told == [
        ("enrolment.code_made", "user", str(world.device_manager.pk)),
        ("enrolment.refused", "system", ""),
        ("enrolment.code_used", "device", str(new.pk)),
        ("device_key.issued", "device", str(new.pk)),
    ]
    assert Entry.objects.get(action="enrolment.refused").detail["address"] == "127.0.0.1"
