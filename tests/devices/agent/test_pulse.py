"""Heartbeats, keys and configuration: what the agent tells, hears, and keeps."""

import json
import stat
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from devices.agent import durable
from devices.agent.client import Microscope
from devices.agent.home import AlreadyRunning, Credentials, Home, NotEnrolled, invitation
from devices.agent.pulse import Pulse, is_older, keep_days_told, limits_told
from devices.agent.sender import Sender
from devices.models import DeviceState
from devices.services.registry import change_state
from tests.devices.agent.conftest import BRISK
from tests.world import SETUP


class Hospital:
    """Answers heartbeats; knows which keys it takes."""

    def __init__(self):
        self.keys = {"old"}
        self.answer = {"interval_seconds": 30}
        self.beats, self.used, self.issued = [], [], 0
        self.now = datetime.now(UTC)

    def __call__(self, request):
        key = request.headers["Authorization"].removeprefix("Bearer ")
        self.used.append(key)
        if key not in self.keys:
            return problem(401, "invalid_key")
        if key == "new":
            self.keys.discard("old")  # as the real one: the first use ends it
        if request.url.path.endswith("/key"):
            self.issued += 1
            self.keys.add("new")
            return httpx.Response(201, json={"key": "new", "old_key_ends": "2026-12-01T00:00:00Z"})
        self.beats.append(json.loads(request.content))
        return httpx.Response(200, json={"server_time": self.now.isoformat(), **self.answer})


def problem(status, code):
    return httpx.Response(status, json={"status": status, "code": code, "detail": "A sentence."})


@pytest.fixture
def hospital():
    return Hospital()


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    made.save(Credentials(server="http://hospital.test", key="old"))
    return made


@pytest.fixture
def start(home, queue, hospital):
    """Starts a pulse as the agent does, as often as wanted."""

    def begin():
        known = home.credentials()
        line = Microscope(known.server, known.key, transport=httpx.MockTransport(hospital))
        sender = Sender(queue, line, patience=BRISK)
        return Pulse(home, queue, sender, line, firmware="1.4.2"), sender

    return begin


def test_it_tells_how_the_microscope_is(queue, hospital, start):
    queue.put(b"x", accession="A-1")
    queue.put(b"x", accession="A-1", code="corrupt", detail="x")
    item = queue.due(most=1)[0]
    queue.postpone(item, seconds=1, attempts=1, code="x", detail="No answer.")

    assert start()[0].beat()

    [beat] = hospital.beats
    assert beat["firmware"] == "1.4.2"
    assert (beat["queue_length"], beat["refused"], beat["revision"]) == (1, 1, 0)
    assert beat["last_error"] == "No answer."
    assert beat["free_bytes"] > 0
    assert beat["uptime_seconds"] >= 0
    assert abs(datetime.fromisoformat(beat["clock"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_full_queue_is_the_first_thing_to_tell(queue, hospital, start):
    queue.note(full="No room.")
    start()[0].beat()
    assert hospital.beats[0]["last_error"] == "No room."


@pytest.mark.parametrize("ahead", [-3600, 0, 90])
def test_it_learns_how_wrong_its_clock_is(queue, hospital, start, ahead):
    hospital.now = datetime.now(UTC) - timedelta(seconds=ahead)
    start()[0].beat()
    assert queue.notes()["clock_offset"] == pytest.approx(ahead, abs=30)


def test_it_takes_what_it_is_told_and_says_so(queue, hospital, start):
    pulse, _ = start()
    hospital.answer |= {
        "revision": 7,
        "configuration": {"minimum_focus": 1.7, "keep_days": 3},
        "minimum_firmware": "2.0",
    }
    pulse.beat()
    hospital.answer = {"interval_seconds": 30, "revision": 7}
    pulse.beat()

    assert hospital.beats[1]["revision"] == 7
    assert limits_told(queue).minimum_focus == 1.7
    assert limits_told(queue).minimum_brightness == 130
    assert keep_days_told(queue) == 3


def test_a_new_key_is_on_the_disk_before_it_is_used(home, hospital, start, monkeypatch):
    pulse, _ = start()
    hospital.answer["renew_key"] = True
    real = durable.write

    def write(path, data, **options):
        assert "new" not in hospital.used or b'"next_key": ""' in data
        real(path, data, **options)

    monkeypatch.setattr(durable, "write", write)
    pulse.beat()

    assert hospital.used == ["old", "old", "new"]
    assert (home.credentials().key, home.credentials().next_key) == ("new", "")


@pytest.mark.parametrize("old_lives", [True, False])
def test_a_cut_between_two_keys_locks_nobody_out(home, hospital, start, old_lives):
    """The new key was written down; whether it was used, nobody knows."""
    home.save(Credentials(server="http://hospital.test", key="old", next_key="new"))
    hospital.keys = {"old"} if old_lives else {"new"}

    pulse, sender = start()

    assert pulse.beat()
    assert not sender.line.stopped
    assert home.credentials().key == ("old" if old_lives else "new")
    assert home.credentials().next_key == ""


def test_a_key_that_cannot_be_fetched_is_asked_for_again(home, hospital, start, monkeypatch):
    pulse, _ = start()
    hospital.answer["renew_key"] = True
    lost = [True]
    real = Microscope.renew_key

    def renew_key(self):
        key = real(self)
        if lost.pop():
            from devices.agent.client import Unreachable

            raise Unreachable("the answer was lost")
        return key

    monkeypatch.setattr(Microscope, "renew_key", renew_key)
    assert pulse.beat()
    assert home.credentials().key == "old"
    lost.append(False)
    assert pulse.beat()
    assert (home.credentials().key, hospital.issued) == ("new", 2)


def test_a_revoked_key_stops_the_sender_until_somebody_enrols_again(home, queue, hospital, start):
    hospital.keys = {"another"}
    pulse, sender = start()

    assert not pulse.beat()
    assert "invalid_key" in sender.line.stopped
    assert "invalid_key" in queue.notes()["stopped"]

    home.save(Credentials(server="http://hospital.test", key="another"))
    assert pulse.beat()
    assert not sender.line.stopped
    assert queue.notes()["stopped"] == ""


def test_no_answer_stops_nothing(queue, hospital, start):
    pulse, sender = start()
    hospital.answer = {"error": "a proxy's page"}
    assert not pulse.beat()
    assert not sender.line.stopped
    assert queue.notes()["heartbeat_trouble"]


@pytest.mark.django_db(transaction=True)
def test_the_real_hospital_hears_it_and_lets_it_in_again(
    world, live_server, home, queue, microscope
):
    home.save(Credentials(server=live_server.url, key=world.key))
    sender = Sender(queue, microscope, patience=BRISK)
    pulse = Pulse(home, queue, sender, microscope, firmware="1.4.2")

    assert pulse.beat()
    world.device.refresh_from_db()
    assert world.device.last_heartbeat["firmware"] == "1.4.2"
    assert world.device.last_heartbeat["queue_length"] == 0

    change_state(actor=SETUP, device=world.device, to=DeviceState.SUSPENDED)
    assert not pulse.beat()
    assert "suspended" in sender.line.stopped
    change_state(actor=SETUP, device=world.device, to=DeviceState.ACTIVE)
    assert pulse.beat()
    assert not sender.line.stopped


def test_the_key_is_for_its_owner_only(home):
    file, folder = home.folder / "credentials.json", home.folder
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, folder)] == [0o600, 0o700]


def test_only_one_sends_from_a_home(home):
    with home.only_one(), pytest.raises(AlreadyRunning), home.only_one():
        raise AssertionError("two at once")
    with home.only_one():
        pass


def test_without_a_key_it_says_what_to_do(tmp_path):
    with pytest.raises(NotEnrolled, match="leukolens-agent enrol"):
        Home(tmp_path / "empty").credentials()


def test_a_code_may_be_typed_or_scanned():
    assert invitation(" K7QM-4T9X-2HWD ").code == "K7QM-4T9X-2HWD"
    scanned = invitation(
        "leukolens-enrol:?server=https%3A%2F%2Fhospital.example&code=K7QM-4T9X-2HWD&serial=W1%2042"
    )
    assert (scanned.server, scanned.code, scanned.serial) == (
        "https://hospital.example",
        "K7QM-4T9X-2HWD",
        "W1 42",
    )
    with pytest.raises(ValueError, match="Scan"):
        invitation("leukolens-enrol:?server=x")


@pytest.mark.parametrize(
    ("version", "minimum", "older"),
    [
        ("1.4.2", "1.4.10", True),
        ("1.4.2", "1.4.2", False),
        ("2.0", "1.9", False),
        ("1.4.2", "", False),
        ("unknown", "1.0", False),
    ],
)
def test_versions_are_compared_with_care(version, minimum, older):
    assert is_older(version, minimum) is older


@pytest.mark.django_db(transaction=True)
def test_the_real_hospitals_wishes_are_followed(world, live_server, home, queue, microscope):
    configuration = pytest.importorskip("devices.services.configuration")
    from devices.services import keys

    home.save(Credentials(server=live_server.url, key=world.key))
    pulse = Pulse(
        home, queue, Sender(queue, microscope, patience=BRISK), microscope, firmware="1.4.2"
    )
    values = {"minimum_focus": 1.7, "keep_days": 2}
    configuration.configure(actor=SETUP, device=world.device, values=values)
    keys.rotate_keys(actor=SETUP, device=world.device)

    assert pulse.beat()

    assert limits_told(queue).minimum_focus == 1.7
    assert keep_days_told(queue) == 2
    known = home.credentials()
    assert known.key != world.key
    assert known.next_key == ""
    with pytest.raises(keys.Unauthenticated):
        keys.authenticate(world.key)
    assert pulse.beat()
