"""The queue's promises: what it has taken it has, until the hospital or a person has decided."""

import hashlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from devices.agent.queue import Limits, Queue, QueueFull, State, WrongState

JPEG = b"\xff\xd8\xff\xe0 and so on"
ROOM = Limits(most=10**9, keep_free=0)


class Clock:
    """A clock that a test sets."""

    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(tmp_path, clock):
    with_room = Queue(tmp_path / "queue", limits=ROOM, clock=clock)
    yield with_room
    with_room.close()


def test_what_was_put_is_there_after_a_crash(tmp_path, queue):
    captured_at = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    put = queue.put(JPEG, accession="A-1", captured_at=captured_at, source="/camera/1.jpg")

    # Opened anew without the first having been closed, as after a crash.
    [found] = Queue(tmp_path / "queue", limits=ROOM).in_state(State.WAITING)

    assert found == put
    assert (found.accession, found.captured_at) == ("A-1", captured_at)
    assert found.sha256 == hashlib.sha256(JPEG).hexdigest()
    assert queue.body(found) == JPEG


def test_bytes_and_name_are_on_the_disk_before_the_row_is(queue, tmp_path, monkeypatch):
    synced = []
    real = os.fsync

    def fsync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        rows = sqlite3.connect(tmp_path / "queue" / "queue.sqlite3").execute(
            "SELECT COUNT(*) FROM picture"
        )
        synced.append(("folder" if path.is_dir() else "file", rows.fetchone()[0]))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    queue.put(JPEG, accession="A-1")

    assert synced == [("file", 0), ("folder", 0)]


def test_a_commit_reaches_the_disk_before_put_returns(queue):
    assert queue._db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert queue._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_row_that_cannot_be_written_leaves_no_picture_behind(queue, tmp_path):
    queue._db.execute("CREATE TRIGGER no BEFORE INSERT ON picture BEGIN SELECT RAISE(FAIL,'x');END")
    with pytest.raises(sqlite3.Error):
        queue.put(JPEG, accession="A-1")
    queue._db.execute("DROP TRIGGER no")

    queue.sweep()

    assert list((tmp_path / "queue" / "pictures").iterdir()) == []
    assert queue.put(JPEG, accession="A-1").state is State.WAITING


def test_the_same_id_again_is_the_same_picture(queue):
    image_id = uuid4()
    first = queue.put(JPEG, accession="A-1", image_id=image_id)

    assert queue.put(JPEG, accession="A-1", image_id=image_id) == first
    with pytest.raises(ValueError, match="another picture"):
        queue.put(JPEG + b"!", accession="A-1", image_id=image_id)
    with pytest.raises(ValueError, match="another picture"):
        queue.put(JPEG, accession="A-2", image_id=image_id)
    assert queue.counts().waiting == 1


def test_nothing_waits_without_a_specimen(queue):
    with pytest.raises(ValueError, match="accession"):
        queue.put(JPEG, accession=" ")
    kept = queue.put(JPEG, accession="", code="accession_missing", detail="Which?")
    assert kept.state is State.REFUSED
    with pytest.raises(ValueError, match="which specimen"):
        queue.retry(kept)


def test_a_specimens_pictures_come_in_their_order_and_specimens_side_by_side(queue):
    first, second, other = (queue.put(JPEG, accession=a) for a in ("A-1", "A-1", "B-1"))

    assert queue.due(most=9) == [first, other]
    assert queue.due(most=9, but={"B-1"}) == [first]
    assert queue.due(most=1) == [first]
    queue.delivered(first)
    assert queue.due(most=9) == [second, other]


def test_what_is_postponed_holds_up_its_own_specimen_only(queue, clock):
    first, second, other = (queue.put(JPEG, accession=a) for a in ("A-1", "A-1", "B-1"))

    queue.postpone(first, seconds=60, attempts=1, code="not_delivered", detail="No answer.")

    assert queue.due(most=9) == [other]
    clock.now += 61
    assert [item.id for item in queue.due(most=9)] == [first.id, other.id]
    assert queue.get(second.id).attempts == 0


def test_a_dead_letter_does_not_hold_up_the_others(queue):
    first, second = (queue.put(JPEG, accession="A-1") for _ in range(2))

    queue.refuse(first, code="corrupt", detail="Take it again.")

    assert queue.due(most=9) == [second]
    [dead] = queue.in_state(State.REFUSED)
    assert (dead.id, dead.code, dead.detail) == (first.id, "corrupt", "Take it again.")
    assert queue.body(dead) == JPEG


def test_a_clock_that_is_set_back_stops_nothing(queue, clock):
    item = queue.put(JPEG, accession="A-1")
    queue.postpone(item, seconds=600, attempts=1, code="x", detail="x")

    clock.now -= 365 * 86_400

    assert [due.id for due in queue.due(most=9)] == [item.id]


def test_delivered_means_gone_from_this_disk_but_remembered(queue):
    item = queue.put(JPEG, accession="A-1")

    queue.delivered(item)

    assert not queue.path_of(item).exists()
    assert [(seen.id, seen.state) for seen in queue.seen(item.sha256)] == [(item.id, State.SENT)]


def test_delivered_is_delivered_though_the_file_cannot_be_deleted_just_now(queue):
    item = queue.put(JPEG, accession="A-1")
    # Where nobody is root a lock would do; a folder cannot be deleted as a file by anybody.
    queue.path_of(item).unlink()
    queue.path_of(item).mkdir()

    queue.delivered(item)

    assert queue.get(item.id).state is State.SENT


def test_delivered_pictures_may_be_kept_some_days(queue, clock):
    item = queue.put(JPEG, accession="A-1")
    queue.delivered(item, keep=True)

    clock.now += 86_400
    queue.sweep(keep_days=2)
    assert queue.path_of(item).exists()
    clock.now += 86_400
    queue.sweep(keep_days=2)
    assert not queue.path_of(item).exists()


def test_sweeping_touches_nothing_that_is_needed(queue, tmp_path):
    waiting = queue.put(JPEG, accession="A-1")
    dead = queue.put(JPEG, accession="A-1", code="corrupt", detail="x")
    orphan = tmp_path / "queue" / "pictures" / str(uuid4())
    orphan.write_bytes(b"a crash left me")

    queue.sweep()

    assert queue.body(waiting) == queue.body(dead) == JPEG
    assert not orphan.exists()


def test_a_full_queue_says_so_and_drops_nothing(tmp_path):
    queue = Queue(tmp_path, limits=Limits(most=2 * len(JPEG), keep_free=0))
    kept = [queue.put(JPEG, accession="A-1") for _ in range(2)]

    with pytest.raises(QueueFull, match="Nothing more is taken"):
        queue.put(JPEG, accession="A-1")

    assert queue.in_state(State.WAITING) == kept
    queue.delivered(kept[0])
    queue.put(JPEG, accession="A-1")


def test_dead_letters_count_as_well(tmp_path):
    queue = Queue(tmp_path, limits=Limits(most=len(JPEG), keep_free=0))
    queue.put(JPEG, accession="A-1", code="corrupt", detail="x")
    with pytest.raises(QueueFull):
        queue.put(JPEG, accession="A-1")


def test_the_disk_is_never_filled_up(tmp_path):
    queue = Queue(tmp_path, limits=Limits(most=10**9, keep_free=10**18))
    with pytest.raises(QueueFull, match="Make room"):
        queue.put(JPEG, accession="A-1")


def test_delivered_pictures_make_way_for_new_ones(tmp_path):
    queue = Queue(tmp_path, limits=Limits(most=2 * len(JPEG), keep_free=0))
    old = [queue.put(JPEG, accession="A-1") for _ in range(2)]
    for item in old:
        queue.delivered(item, keep=True)

    queue.put(JPEG, accession="A-1")

    assert not queue.path_of(old[0]).exists()
    assert queue.path_of(old[1]).exists()


def test_a_person_sends_a_dead_letter_after_all(queue):
    dead = queue.put(JPEG, accession="", code="accession_missing", detail="Which?")

    queue.retry(dead, accession="A-1")

    [due] = queue.due(most=9)
    assert (due.id, due.sha256, due.accession) == (dead.id, dead.sha256, "A-1")


def test_a_person_discards_a_dead_letter_and_nothing_else(queue):
    waiting = queue.put(JPEG, accession="A-1")
    dead = queue.put(JPEG, accession="A-1", code="corrupt", detail="x")

    queue.discard(dead)

    assert not queue.path_of(dead).exists()
    assert queue.get(dead.id).state is State.DISCARDED
    for step in (queue.discard, queue.retry):
        with pytest.raises(WrongState):
            step(waiting)
    assert queue.body(waiting) == JPEG


def test_of_two_who_settle_a_picture_one_is_told(queue):
    item = queue.put(JPEG, accession="A-1")
    queue.delivered(item)
    with pytest.raises(WrongState):
        queue.refuse(item, code="corrupt", detail="x")


def test_counts_tell_how_long_the_oldest_waits(queue, clock):
    queue.delivered(queue.put(JPEG, accession="A-1"))
    clock.now += 10
    queue.put(JPEG, accession="A-1")
    clock.now += 5
    queue.put(JPEG, accession="A-1", code="corrupt", detail="x")

    counts = queue.counts()

    assert (counts.waiting, counts.refused, counts.sent) == (1, 1, 1)
    assert counts.oldest_waiting == 5
    assert counts.stored_bytes == 2 * len(JPEG)


def test_when_the_line_works_again_nobody_waits_out_his_pause(queue):
    item, unknown = (queue.put(JPEG, accession=a) for a in ("A-1", "B-1"))
    queue.postpone(item, seconds=600, attempts=9, code="x", detail="x")
    queue.postpone(unknown, seconds=600, attempts=1, code="x", detail="x", unknown=True)

    queue.hurry()

    assert [due.id for due in queue.due(most=9)] == [item.id]


def test_notes_are_kept(queue, tmp_path):
    queue.note(stopped="why", revision=3)
    queue.note(revision=4, configuration={"minimum_focus": 1.3})
    assert Queue(tmp_path / "queue").notes() == {
        "stopped": "why",
        "revision": 4,
        "configuration": {"minimum_focus": 1.3},
    }
