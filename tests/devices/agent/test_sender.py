"""The sender against the real device API: delivered once, for its specimen, or kept."""

import json
import threading
from datetime import UTC, datetime

import httpx
import pytest

from devices.agent.client import Microscope, Patience, Refused, Unreachable
from devices.agent.fate import Fate, fate_of
from devices.agent.queue import State
from devices.agent.sender import UNREADABLE_TRIES, Sender
from devices.models import DeviceState
from devices.services.registry import change_state
from diagnostics.models import FieldImage
from tests.devices.agent.conftest import BRISK, until_settled
from tests.world import SETUP, add_specimen

pytestmark = pytest.mark.django_db(transaction=True)


def specimen(world, accession):
    return add_specimen(world.patient, accession)


def problem(status, code, **headers):
    body = {"status": status, "code": code, "detail": "A sentence."}
    return httpx.Response(status, json=body, headers=headers)


def test_a_picture_arrives_as_it_was_taken_and_leaves_this_disk(world, queue, sender):
    captured_at = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    item = queue.put(world.smear(1), accession="N-2026-0001", captured_at=captured_at)

    assert sender.run_once() == 1

    image = FieldImage.objects.get()
    assert (image.pk, image.sha256) == (item.id, item.sha256)
    assert (image.specimen.accession, image.captured_at) == ("N-2026-0001", captured_at)
    assert queue.get(item.id).state is State.SENT
    assert not queue.path_of(item).exists()


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")]
)
def test_a_line_that_breaks_costs_nothing(world, queue, sender, line, where, trouble):
    getattr(line, where).extend([trouble] * 3)
    item = queue.put(world.smear(1), accession="N-2026-0001")

    until_settled(sender, queue)

    assert FieldImage.objects.get().pk == item.id
    assert len(line.asked("PUT")) == 4


def test_what_waited_out_an_outage_goes_when_it_ends(world, queue, microscope, line):
    sender = Sender(queue, microscope, patience=Patience(first=0.001, longest=0.001), workers=4)
    line.before.extend([httpx.ConnectError("x")] * 5)
    items = [queue.put(world.smear(n), accession="N-2026-0001") for n in range(3)]

    until_settled(sender, queue)

    assert set(FieldImage.objects.values_list("pk", flat=True)) == {item.id for item in items}
    assert FieldImage.objects.count() == 3


def test_while_nobody_answers_one_picture_at_a_time_asks(world, queue, microscope, line):
    sender = Sender(queue, microscope, patience=Patience(first=600, longest=600), workers=4)
    sender.line.failed(began=sender.line.now())
    sender.line.heard()
    line.before.extend([httpx.ConnectError("x")] * 9)
    for n in range(4):
        specimen(world, f"N-2026-010{n}")
        queue.put(world.smear(n), accession=f"N-2026-010{n}")

    assert sender.run_once() == 1
    assert sender.run_once() == 0
    assert queue.counts().waiting == 4


def test_a_picture_on_which_the_hospital_fails_does_not_keep_a_new_one(
    world, queue, microscope, line
):
    sender = Sender(queue, microscope, patience=Patience(first=600, longest=600))
    poison = queue.put(world.smear(1), accession="N-2026-0001")
    line.before.append(httpx.Response(500))
    sender.run_once()
    specimen(world, "N-2026-0100")
    fresh = queue.put(world.smear(2), accession="N-2026-0100")
    assert sender.run_once() == 0

    sender.line.heard()  # with the next heartbeat

    assert sender.run_once() == 1
    assert queue.get(fresh.id).state is State.SENT
    assert queue.get(poison.id).state is State.WAITING


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<form>Accept our terms of use</form>"),
        httpx.Response(302, headers={"Location": "http://portal.test/"}),
        httpx.Response(404, html="not the hospital"),
        httpx.Response(201, json={"id": "no receipt"}),
        httpx.Response(500, text="oops"),
    ],
)
def test_an_answer_that_is_not_the_hospitals_decides_nothing(world, queue, sender, line, answer):
    line.before.append(answer)
    queue.put(world.smear(1), accession="N-2026-0001")

    assert sender.run_once() == 1
    assert queue.counts().waiting == 1
    until_settled(sender, queue)
    assert FieldImage.objects.count() == 1


@pytest.mark.parametrize("wrong", ["sha256", "accession", "id"])
def test_a_receipt_for_something_else_is_no_receipt(world, queue, sender, line, wrong):
    item = queue.put(world.smear(1), accession="N-2026-0001")
    receipt = {
        "id": str(item.id),
        "accession": item.accession,
        "state": "received",
        "sha256": item.sha256,
        "received_at": "2026-11-20T09:30:00Z",
    }
    other = {"sha256": "0" * 64, "accession": "N-1", "id": "0" * 8 + "-0000-4000-8000-" + "0" * 12}
    line.before.append(httpx.Response(201, json={**receipt, wrong: other[wrong]}))

    sender.run_once()

    assert queue.get(item.id).state is State.WAITING
    assert queue.body(item) == world.smear(1)


def test_the_hospital_says_how_long_to_wait(world, queue, sender, line):
    line.before.append(problem(503, "overloaded", **{"Retry-After": "100"}))
    queue.put(world.smear(1), accession="N-2026-0001")

    sender.run_once()

    assert 99 < sender.line.closed_for <= 101
    sender.line.heard()
    assert sender.line.closed_for > 99
    assert sender.run_once() == 0
    assert queue.counts().waiting == 1


def test_a_dead_letter_keeps_the_picture_and_its_reason_and_holds_up_nobody(world, queue, sender):
    bad = queue.put(b"\xff\xd8\xff but no picture", accession="N-2026-0001")
    good = queue.put(world.smear(1), accession="N-2026-0001")

    until_settled(sender, queue)

    [dead] = queue.in_state(State.REFUSED)
    assert (dead.id, dead.code) == (bad.id, "truncated")
    assert dead.detail.endswith(".")
    assert queue.body(dead) == b"\xff\xd8\xff but no picture"
    assert FieldImage.objects.get().pk == good.id


def test_another_clinics_specimen_is_a_dead_letter_and_does_not_stop_the_rest(world, queue, sender):
    queue.put(world.smear(1), accession="S-2026-0001")
    good = queue.put(world.smear(2), accession="N-2026-0001")

    until_settled(sender, queue)

    assert [dead.code for dead in queue.in_state(State.REFUSED)] == ["other_clinic"]
    assert FieldImage.objects.get().pk == good.id
    assert not sender.line.stopped


def test_a_label_may_be_registered_after_its_picture(world, queue, microscope):
    sender = Sender(queue, microscope, patience=BRISK, unknown_pause=0.001)
    item = queue.put(world.smear(1), accession="N-2026-0777")
    sender.run_once()
    assert queue.get(item.id).code == "unknown_accession"

    specimen(world, "N-2026-0777")
    until_settled(sender, queue)

    assert FieldImage.objects.get().specimen.accession == "N-2026-0777"


def test_a_label_that_nobody_registers_becomes_a_dead_letter(world, queue, microscope, line):
    sender = Sender(queue, microscope, patience=BRISK, unknown_pause=0.001, unknown_tries=3)
    queue.put(world.smear(1), accession="N-2026-0777")

    until_settled(sender, queue)

    [dead] = queue.in_state(State.REFUSED)
    assert dead.code == "unknown_accession"
    assert len(line.asked("PUT")) == 3


def test_a_suspended_microscope_stops_keeps_everything_and_goes_on(world, queue, sender, line):
    change_state(actor=SETUP, device=world.device, to=DeviceState.SUSPENDED)
    items = [queue.put(world.smear(n), accession="N-2026-0001") for n in range(2)]

    sender.run_once()
    assert "suspended" in sender.line.stopped
    assert sender.run_once() == 0
    assert len(line.requests) == 1
    assert "suspended" in queue.notes()["stopped"]
    assert queue.counts().waiting == 2

    change_state(actor=SETUP, device=world.device, to=DeviceState.ACTIVE)
    sender.resume()
    until_settled(sender, queue)
    assert FieldImage.objects.count() == len(items)
    assert queue.notes()["stopped"] == ""


def test_a_wrong_key_stops_it(world, queue, live_server):
    with Microscope(live_server.url, "llk_000000000000_x") as stranger:
        sender = Sender(queue, stranger, patience=BRISK)
        queue.put(world.smear(1), accession="N-2026-0001")
        sender.run_once()
    assert "invalid_key" in sender.line.stopped
    assert queue.counts().waiting == 1


def test_a_damaged_transfer_is_sent_again(world, queue, sender, line):
    line.before.append(problem(422, "digest_mismatch"))
    queue.put(world.smear(1), accession="N-2026-0001")
    until_settled(sender, queue)
    assert FieldImage.objects.count() == 1


def test_bytes_that_rot_on_this_disk_are_not_passed_off_as_the_picture(world, queue, sender, line):
    item = queue.put(world.smear(1), accession="N-2026-0001")
    queue.path_of(item).write_bytes(world.smear(2))

    sender.run_once()

    assert line.requests == []
    assert queue.get(item.id).code == "damaged_here"


def spoil(queue, item):
    """Make the picture's file one that is there and cannot be read; returns where the good one is.

    A link to itself: the system says ELOOP, as it says EIO of a bad sector.
    """
    path = queue.path_of(item)
    good = path.parent.parent / "good"
    path.rename(good)
    path.symlink_to(path)
    return good


def test_a_picture_whose_file_cannot_be_read_keeps_no_other_waiting(world, queue, microscope):
    sender = Sender(queue, microscope, patience=Patience(first=600, longest=600), workers=1)
    specimen(world, "N-2026-0100")
    locked = queue.put(world.smear(1), accession="N-2026-0100")
    other = queue.put(world.smear(2), accession="N-2026-0001")
    spoil(queue, locked)

    sender.run_once()

    assert FieldImage.objects.get().pk == other.id
    assert (queue.get(locked.id).state, queue.get(locked.id).code) == ("waiting", "unreadable_here")
    assert not sender.line.troubled


def test_a_lock_that_opens_in_the_middle_of_an_upload_costs_the_picture_nothing(
    world, queue, microscope, line
):
    sender = Sender(queue, microscope, patience=BRISK, workers=1, large=1)
    item = queue.put(world.smear(1), accession="N-2026-0001")
    answer, held = line.handle_request, []

    def locks_it(request):
        if request.method == "POST" and not held:
            held.append(spoil(queue, item))
        return answer(request)

    line.handle_request = locks_it
    sender.run_once()
    assert queue.get(item.id).code == "unreadable_here"
    held[0].replace(queue.path_of(item))

    until_settled(sender, queue)
    assert FieldImage.objects.get().sha256 == item.sha256


def test_a_file_that_stays_unreadable_is_set_aside_and_goes_when_it_can_be_read(
    world, queue, sender
):
    item = queue.put(world.smear(1), accession="N-2026-0001")
    # A long outage before is no reason to give it up sooner.
    queue.postpone(item, seconds=0, attempts=50, code="not_delivered", detail="")
    behind = queue.put(world.smear(2), accession="N-2026-0001")
    good = spoil(queue, item)

    sender.run_once()
    assert queue.get(item.id).state is State.WAITING
    until_settled(sender, queue)
    aside = queue.get(item.id)
    assert (aside.state, aside.code) == (State.REFUSED, "unreadable_here")
    assert aside.attempts == UNREADABLE_TRIES
    assert "cannot be read" in aside.detail
    assert FieldImage.objects.get().pk == behind.id

    good.replace(queue.path_of(item))
    queue.retry(aside)
    until_settled(sender, queue)
    assert FieldImage.objects.count() == 2


def test_a_specimens_pictures_go_in_order_and_specimens_side_by_side(world, queue, microscope):
    sender = Sender(queue, microscope, patience=BRISK, workers=4)
    numbers = [f"N-2026-010{n}" for n in range(3)]
    for number in numbers:
        specimen(world, number)
    items = [queue.put(world.smear(n), accession=numbers[n % 3]) for n in range(9)]

    until_settled(sender, queue)

    for number in numbers:
        sent = [item.id for item in items if item.accession == number]
        images = FieldImage.objects.filter(specimen__accession=number).order_by("received_at")
        assert [image.pk for image in images] == sent


def test_a_restart_finds_everything(world, queue, tmp_path, microscope):
    put = [queue.put(world.smear(n), accession="N-2026-0001") for n in range(3)]
    queue.close()
    from devices.agent.queue import Queue

    again = Queue(tmp_path / "queue")
    until_settled(Sender(again, microscope, patience=BRISK), again)
    assert set(FieldImage.objects.values_list("pk", flat=True)) == {item.id for item in put}


def test_it_runs_until_it_is_told_to_stop(world, queue, microscope):
    sender = Sender(queue, microscope, patience=BRISK)
    stop = threading.Event()
    thread = threading.Thread(target=sender.run, args=(stop,))
    thread.start()
    queue.put(world.smear(1), accession="N-2026-0001")
    while queue.counts().waiting:
        stop.wait(0.05)
    stop.set()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert FieldImage.objects.count() == 1


@pytest.mark.parametrize(
    ("status", "code", "fate"),
    [
        (401, "invalid_key", Fate.STOPPED),
        (401, "certificate_missing", Fate.STOPPED),
        (403, "device_retired", Fate.STOPPED),
        (403, "no_explanation", Fate.STOPPED),
        (403, "other_clinic", Fate.REFUSED),
        (404, "unknown_accession", Fate.UNKNOWN),
        (404, "accession_missing", Fate.REFUSED),
        (404, "no_explanation", Fate.LATER),
        (409, "image_id_taken", Fate.REFUSED),
        (413, "too_large", Fate.REFUSED),
        (413, "no_explanation", Fate.REFUSED),
        (415, "not_an_image", Fate.REFUSED),
        (422, "truncated", Fate.REFUSED),
        (422, "digest_mismatch", Fate.LATER),
        (400, "incomplete_body", Fate.LATER),
        (400, "no_explanation", Fate.LATER),
        (500, "no_explanation", Fate.LATER),
        (302, "no_explanation", Fate.LATER),
    ],
)
def test_each_answer_has_its_fate(status, code, fate):
    assert fate_of(Refused(status, code, "")) is fate


def test_no_answer_means_later():
    assert fate_of(Unreachable("x")) is Fate.LATER
    assert json.dumps(Fate.LATER) == '"later"'
