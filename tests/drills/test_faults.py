"""The fault drill's own eyes: it sees a picture or an event that is not where it belongs."""

import time
import uuid

import pytest

from devices.simulator.ledger import Fate, Ledger, Line
from devices.simulator.taken import Taken
from hospital.live.consumers import OVERLAP
from tests.drills.faults import account
from tests.drills.faults.orders import Orders, Struck
from tests.drills.faults.screens import LOOKS_BACK, Heard


def line(fate, *, sha256="aa", wrong="", code="", detail=""):
    taken = Taken(0, uuid.UUID(int=1), sha256, 1, "A-1", "2026-11-20T09:30:00+00:00", wrong)
    return Line("scope-1", taken, fate, code, detail)


@pytest.mark.parametrize(
    ("one", "good"),
    [
        (line(Fate.REPORTED), True),
        (line(Fate.REFUSED, wrong="not_an_image", code="not_an_image"), True),
        (line(Fate.FAILED, sha256="poison", detail="worker_lost"), True),
        (line(Fate.REFUSED, wrong="not_an_image", code="too_large"), False),
        (line(Fate.REFUSED, code="not_an_image"), False),
        (line(Fate.FAILED, detail="worker_lost"), False),
        (line(Fate.REPORTED, sha256="poison"), False),
        (line(Fate.FAILED, sha256="poison", detail="internal"), False),
        (line(Fate.LOST), False),
        (line(Fate.PENDING), False),
    ],
)
def test_a_picture_is_reported_or_refused_as_it_was_meant_or_the_poison(one, good):
    seen = list(account._pictures(Ledger([one]), {"poison"}))
    assert (seen == []) is good


def told(heard, *messages):
    heard.connected()
    for message in messages:
        heard.take({"event": {"id": message}} if isinstance(message, int) else message)


def test_a_screen_that_was_not_told_is_seen_and_what_was_before_it_does_not_count():
    heard = Heard("clinic.1")
    told(heard, {"hello": 10}, 11, 12, 14)
    assert heard.missing(dict.fromkeys(range(9, 15), 0.0)) == {13}


def test_an_event_that_comes_again_over_another_line_is_no_fault_over_the_same_one_it_is():
    heard = Heard("clinic.1")
    told(heard, {"hello": 0}, 1, 2)
    told(heard, 2, {"hello": 2}, 3, 3)
    assert (dict(heard.again), dict(heard.twice), heard.lines) == ({2: 1}, {3: 1}, 2)


def test_what_a_page_was_told_to_read_anew_is_not_missing():
    heard = Heard("clinic.1")
    told(heard, {"hello": 0}, 1)
    told(heard, {"reload": True}, {"hello": 5}, 6)
    assert heard.missing(dict.fromkeys(range(1, 8), 0.0)) == {7}


def test_what_had_been_overtaken_is_read_anew_too_but_only_if_it_was_lately():
    heard = Heard("clinic.1")
    told(heard, {"hello": 0}, 1, 4)
    told(heard, {"reload": True}, {"hello": 5})
    lately, once = time.time() - LOOKS_BACK / 2, time.time() - 2 * LOOKS_BACK
    assert heard.missing({1: once, 2: once, 3: lately, 4: lately, 5: lately}) == {2}


def test_the_drill_looks_as_far_back_as_the_server_does():
    assert OVERLAP.total_seconds() == LOOKS_BACK


def test_an_order_strikes_once(tmp_path):
    orders = Orders(tmp_path)
    orders.arm("claimed", "kill")
    assert [orders.strike("claimed"), orders.strike("claimed")] == ["kill", ""]
    [struck] = orders.struck()
    assert isinstance(struck, Struck)
    assert (struck.step, orders.armed()) == ("claimed", set())
