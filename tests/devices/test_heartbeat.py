"""A microscope says that it lives, and its words are checked like anyone's."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.devices.conftest import Microscope
from tests.world import World

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
