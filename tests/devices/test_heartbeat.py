"""A microscope says that it lives, and its words are checked like anyone's."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from devices.models import AlertKind, Device, DeviceState, Heartbeat
from devices.services import firmware, watch
from devices.services.alerts import raise_alert
from devices.services.configuration import configure
from devices.services.registry import change_state
from devices.services.watch import close_of_inactive, prune_heartbeats, watch_silence
from tests.devices.conftest import Microscope
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


def test_a_heartbeat_is_noted_and_answered_with_the_time(
    world: World, microscope: Microscope, settings: Any
) -> None:
    said = {"firmware": "2.0.1", "queue_length": 3, "uptime_seconds": 60, "free_bytes": 10**9}

    answer = microscope.heartbeat(json.dumps(said))

    assert answer.status_code == 200
    told = answer.json()
    assert told["interval_seconds"] == settings.DEVICE_HEARTBEAT_SECONDS
    assert timezone.now() - datetime.fromisoformat(told["server_time"]) < timedelta(seconds=30)
    world.device.refresh_from_db()
    assert world.device.last_heartbeat == said
    assert world.device.firmware == "2.0.1"
    assert timezone.now() - world.device.last_heartbeat_at < timedelta(seconds=30)


@pytest.mark.parametrize("body", ["", "{}", " {}\n"])
def test_a_heartbeat_may_say_nothing_else(world: World, microscope: Microscope, body: str) -> None:
    assert microscope.heartbeat(body).status_code == 200
    world.device.refresh_from_db()
    assert world.device.last_heartbeat == {}
    assert world.device.firmware == ""


def test_the_content_type_is_not_trusted(microscope: Microscope) -> None:
    assert microscope.heartbeat("{}", content_type="text/plain").status_code == 200


def test_what_we_do_not_know_is_not_kept(world: World, microscope: Microscope) -> None:
    microscope.heartbeat('{"queue_length": 1, "patient_name": "Amina", "x": {"y": [1]}}')
    world.device.refresh_from_db()
    assert world.device.last_heartbeat == {"queue_length": 1}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", "malformed_json"),
        ("\xff\xfe", "malformed_json"),
        ('{"temperature_celsius": NaN}', "malformed_json"),
        ("[" * 10_000, "malformed_json"),
        ("[]", "invalid"),
        ('"alive"', "invalid"),
        ('{"queue_length": -1}', "invalid"),
        ('{"queue_length": 1e400}', "invalid"),
        ('{"uptime_seconds": 1' + "0" * 100 + "}", "invalid"),
        ('{"firmware": "' + "1" * 41 + '"}', "invalid"),
        ('{"firmware": "1\\u0000"}', "invalid"),
        ('{"note": "' + "n" * 501 + '"}', "invalid"),
        ('{"clock": "noon"}', "invalid"),
    ],
)
def test_a_heartbeat_that_cannot_be_read_changes_nothing(
    world: World, microscope: Microscope, body: str, code: str
) -> None:
    answer = microscope.heartbeat(body.encode("latin-1"))

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer["Content-Type"] == "application/problem+json"
    world.device.refresh_from_db()
    assert world.device.last_heartbeat_at is None


def test_a_heartbeat_is_short(world: World, microscope: Microscope) -> None:
    answer = microscope.heartbeat(json.dumps({"note": "n" * 20_000}))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    world.device.refresh_from_db()
    assert world.device.last_heartbeat_at is None


# --- what is kept, and what is answered ---------------------------------------------------------


def beat(microscope: Microscope, **said: Any) -> Any:
    answer = microscope.heartbeat(json.dumps(said))
    assert answer.status_code == 200, answer.content
    return answer.json()


def clock(seconds: float) -> str:
    """A clock that is so many seconds ahead of ours."""
    return (timezone.now() + timedelta(seconds=seconds)).isoformat()


def open_kinds(world: World) -> set[str]:
    rows = world.device.alerts.filter(cleared_at=None)
    return set(rows.values_list("kind", flat=True))


def test_every_heartbeat_is_kept(world: World, microscope: Microscope) -> None:
    beat(microscope, queue_length=3, oldest_unsent_seconds=40, free_bytes=10**10, wifi_dbm=-61)
    beat(microscope, refused=2, last_error="x" * 500, clock=clock(30))
    first, second = Heartbeat.objects.order_by("pk")
    assert (first.queue_length, first.oldest_unsent_seconds, first.wifi_dbm) == (3, 40, -61)
    assert first.clock_offset_seconds is None
    assert second.refused == 2
    assert second.last_error == "x" * 200
    assert second.clock_offset_seconds == pytest.approx(30, abs=10)


def test_a_refused_heartbeat_leaves_no_row(microscope: Microscope) -> None:
    microscope.heartbeat('{"queue_length": -1}')
    assert not Heartbeat.objects.exists()


def test_the_configuration_is_told_until_the_microscope_has_it(
    world: World, microscope: Microscope
) -> None:
    first = beat(microscope)
    assert first["configuration"] == {"heartbeat_seconds": 60}
    assert first["renew_key"] is False
    assert "configuration" not in beat(microscope, revision=first["revision"])

    configure(actor=SETUP, device=fresh(world), values={"heartbeat_seconds": 20, "keep_days": 7})

    told = beat(microscope, revision=first["revision"])
    assert told["revision"] == first["revision"] + 1
    assert told["configuration"] == {"heartbeat_seconds": 20, "keep_days": 7}
    assert told["interval_seconds"] == 20
    assert "configuration" not in beat(microscope, revision=told["revision"])


def test_a_change_of_the_hospitals_defaults_reaches_every_microscope(
    microscope: Microscope, settings: Any
) -> None:
    before = beat(microscope)["revision"]
    settings.DEVICE_CONFIGURATION = {"heartbeat_seconds": 30, "minimum_firmware": "2.0"}
    told = beat(microscope, revision=before)
    assert (told["revision"], told["interval_seconds"]) == (before + 1, 30)
    assert told["minimum_firmware"] == "2.0"
    assert "configuration" not in beat(microscope, revision=told["revision"])


# --- alerts -------------------------------------------------------------------------------------


def test_a_clock_that_is_off_is_told_and_mended(world: World, microscope: Microscope) -> None:
    beat(microscope, clock=clock(-300))
    assert open_kinds(world) == {AlertKind.CLOCK}
    beat(microscope, clock=clock(-90))  # better, and not yet well
    beat(microscope)  # says nothing of its clock
    assert open_kinds(world) == {AlertKind.CLOCK}
    beat(microscope, clock=clock(1))
    assert open_kinds(world) == set()
    beat(microscope, clock=clock(90))
    assert open_kinds(world) == set()


def test_a_full_disk_is_told_and_mended(world: World, microscope: Microscope) -> None:
    beat(microscope, free_bytes=10**8)
    assert open_kinds(world) == {AlertKind.DISK}
    beat(microscope, free_bytes=int(1.5e9))
    assert open_kinds(world) == {AlertKind.DISK}
    beat(microscope, free_bytes=3 * 10**9)
    assert open_kinds(world) == set()


def test_pictures_that_pile_up_are_told_and_mended(world: World, microscope: Microscope) -> None:
    beat(microscope, queue_length=40, oldest_unsent_seconds=899)
    assert open_kinds(world) == set()
    beat(microscope, queue_length=40, oldest_unsent_seconds=7200)
    assert world.device.alerts.get().detail == "The oldest of 40 pictures has waited for 2 hours."
    beat(microscope, queue_length=10, oldest_unsent_seconds=800)
    assert open_kinds(world) == {AlertKind.BACKLOG}
    beat(microscope, queue_length=0)
    assert open_kinds(world) == set()


def test_old_firmware_is_told_until_it_is_renewed(world: World, microscope: Microscope) -> None:
    configure(actor=SETUP, device=world.device, values={"minimum_firmware": "1.10"})
    beat(microscope, firmware="1.9.3")
    assert open_kinds(world) == {AlertKind.FIRMWARE}
    beat(microscope)  # does not say; it is what it was
    assert open_kinds(world) == {AlertKind.FIRMWARE}
    beat(microscope, firmware="1.10.0")
    assert open_kinds(world) == set()


@pytest.mark.parametrize(
    ("version", "minimum", "below"),
    [
        ("1.9", "1.10", True),
        ("1.10.0", "1.10", False),
        ("v2.0", "1.99.99", False),
        ("1.10-rc1", "1.10", True),
        ("1.10.dev2", "1.10", True),
        ("1.10+build.7", "1.10", False),
        ("1.11-beta", "1.10", False),
        ("2026.1", "1.10", False),
        ("simulated 1.0", "1.10", False),
        ("r17", "1.10", False),
        ("", "1.10", False),
        ("1.0", "", False),
        ("1.0", "newest", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, minimum: str, below: bool) -> None:
    """What is not understood is never called old."""
    assert firmware.is_below(version, minimum) is below


# --- silence ------------------------------------------------------------------------------------


def nothing(devices: Any) -> dict[Any, Any]:
    """No pictures."""
    return {}


def heard(world: World, seconds: float) -> None:
    at = timezone.now() - timedelta(seconds=seconds)
    Device.objects.filter(pk=world.device.pk).update(last_heartbeat_at=at)


def test_three_missed_heartbeats_are_silence(world: World, microscope: Microscope) -> None:
    heard(world, 170)
    assert watch_silence(nothing) == 0
    heard(world, 190)
    assert watch_silence(nothing) == 1
    assert watch_silence(nothing) == 0
    assert open_kinds(world) == {AlertKind.SILENT}
    beat(microscope)
    assert open_kinds(world) == set()
    assert watch_silence(nothing) == 0


def test_a_microscope_is_waited_for_by_its_own_interval(world: World) -> None:
    configure(actor=SETUP, device=world.device, values={"heartbeat_seconds": 600})
    heard(world, 1700)
    assert watch_silence(nothing) == 0
    heard(world, 1900)
    assert watch_silence(nothing) == 1


def test_nobody_is_silent_who_has_not_heard_of_the_shorter_interval(
    world: World, microscope: Microscope
) -> None:
    beat(microscope)
    configure(actor=SETUP, device=fresh(world), values={"heartbeat_seconds": 5})
    heard(world, 60)
    assert watch_silence(nothing) == 0
    beat(microscope)
    heard(world, 60)
    assert watch_silence(nothing) == 1


def test_who_never_sends_heartbeats_cannot_miss_one(world: World) -> None:
    """A script with curl, a DICOM modality."""
    assert world.device.last_heartbeat_at is None
    assert watch_silence(nothing) == 0


def test_an_upload_is_a_sign_of_life(world: World) -> None:
    heard(world, 1000)
    assert watch_silence(lambda ids: {pk: timezone.now() for pk in ids}) == 0
    assert watch_silence(nothing) == 1
    assert watch_silence(lambda ids: {pk: timezone.now() for pk in ids}) == 1
    assert open_kinds(world) == set()


@pytest.mark.parametrize("state", [DeviceState.SUSPENDED, DeviceState.RETIRED])
def test_out_of_service_is_no_alarm(world: World, state: str) -> None:
    heard(world, 1000)
    raise_alert(device=world.device, kind=AlertKind.CONTROL_OVERDUE)
    watch_silence(nothing)
    change_state(actor=SETUP, device=fresh(world), to=state)
    assert close_of_inactive() == 2
    assert watch_silence(nothing) == 0
    assert open_kinds(world) == set()


def test_old_heartbeats_go_and_young_ones_stay(
    world: World, microscope: Microscope, monkeypatch: Any
) -> None:
    monkeypatch.setattr(watch, "BITE", 3)
    old = timezone.now() - timedelta(days=31)
    for _ in range(5):
        Heartbeat.objects.create(device=world.device, received_at=old)
    beat(microscope)
    assert [prune_heartbeats() for _ in range(3)] == [3, 2, 0]
    assert Heartbeat.objects.count() == 1


def fresh(world: World) -> Device:
    return Device.objects.get(pk=world.device.pk)
