"""The fleet drill's own eyes: it sees in the database's rows what must not be there."""

import uuid

import pytest

from devices.simulator.fleet import Standing
from devices.simulator.ledger import Fate, Ledger, Line
from devices.simulator.taken import Taken
from tests.drills.fleet import Wreck, discrepancies

ONE, TWO, THREE = (uuid.UUID(int=n) for n in (1, 2, 3))


class Rows:
    """A stack of which only the database is asked."""

    def __init__(self, images, analyses):
        self.answers = [images, analyses]

    def rows(self, query):
        return self.answers.pop(0)


def line(image_id, sha256, accession, fate=Fate.REPORTED):
    taken = Taken(0, image_id, sha256, 1, accession, "2026-11-20T09:30:00+00:00")
    return Line("scope-1", taken, fate)


def ledger():
    return Ledger(
        [line(ONE, "aa", "A-1"), line(TWO, "bb", "A-2"), line(THREE, "cc", "A-1", Fate.REFUSED)]
    )


def seen(images=None, analyses=None):
    images = images or [(ONE, "aa", "A-1", "scope-1"), (TWO, "bb", "A-2", "scope-1")]
    analyses = analyses or [(ONE, "succeeded"), (TWO, "failed")]
    return discrepancies(Rows(images, analyses), ledger())


def test_rows_that_agree_are_no_discrepancy():
    assert seen() == []
    # As SQLite writes ids.
    bare = [(ONE.hex, "aa", "A-1", "scope-1"), (TWO.hex, "bb", "A-2", "scope-1")]
    assert seen(bare, [(ONE.hex, "succeeded"), (TWO.hex, "succeeded")]) == []


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([(ONE, "aa", "A-1", "scope-1")], "None"),
        ([(ONE, "aa", "A-1", "scope-1"), (TWO, "bb", "A-1", "scope-1")], "A-2"),
        ([(ONE, "aa", "A-1", "scope-1"), (TWO, "bb", "A-2", "scope-2")], "scope-2"),
        ([(ONE, "aa", "A-1", "scope-1"), (TWO, "aa", "A-2", "scope-1")], "same bytes"),
    ],
)
def test_a_picture_that_is_missing_misplaced_or_there_twice_is_seen(images, words):
    assert any(words in sentence for sentence in seen(images))


def test_a_refused_picture_that_is_there_all_the_same_is_seen():
    images = [
        (ONE, "aa", "A-1", "scope-1"),
        (TWO, "bb", "A-2", "scope-1"),
        (THREE, "cc", "A-1", "scope-1"),
    ]
    analyses = [(one, "succeeded") for one in (ONE, TWO, THREE)]
    [sentence] = seen(images, analyses)
    assert str(THREE) in sentence


@pytest.mark.parametrize(
    "analyses",
    [
        [(ONE, "succeeded")],
        [(ONE, "succeeded"), (TWO, "running")],
        [(ONE, "succeeded"), (TWO, "succeeded"), (TWO, "succeeded")],
    ],
)
def test_each_picture_has_one_analysis_and_that_is_over(analyses):
    [sentence] = seen(analyses=analyses)
    assert str(TWO) in sentence or str(ONE) in sentence


def test_servers_fail_once_each_when_so_much_is_delivered():
    fallen = []
    wreck = Wreck(
        [(0.2, "web", lambda: fallen.append("web")), (0.5, "disk", lambda: fallen.append("disk"))]
    )
    for delivered in (0, 1, 2, 3, 3, 9):
        wreck(Standing(10, 10, delivered, 0, 0, 0))
    assert fallen == ["web", "disk"]
    assert [sentence.rpartition(": ")[2] for sentence in wreck.said] == ["web", "disk"]
