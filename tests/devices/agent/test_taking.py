"""From the folder into the queue: every file is taken once, whole, and for its own specimen."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from devices.agent import durable
from devices.agent.picture import Limits as PictureLimits
from devices.agent.queue import Limits, Queue, QueueFull, State
from devices.agent.taking import BETWEEN, Taken, Taker
from devices.agent.watch import Watch
from tests.devices.agent.conftest import ROOM
from tests.world import jpeg

LONG = 3600.0
NUMBER = "N-2026-0001"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "camera"
    path.mkdir()
    return path


@pytest.fixture
def taker(queue):
    return Taker(queue)


def save(folder, name=f"{NUMBER}_1.jpg", body=None, note=""):
    path = folder / name
    path.write_bytes(jpeg(1) if body is None else body)
    if note:
        path.with_name(f"{name}.txt").write_text(note)
    return path


def left_in(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != BETWEEN
    )


def test_a_picture_is_in_the_queue_and_out_of_the_folder(folder, queue, taker):
    path = save(folder, note=NUMBER)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    os.utime(path.with_name(f"{path.name}.txt"), (1_700_000_000, 1_700_000_000))

    assert taker.take(path, quiet_for=LONG) is Taken.WAITING

    [item] = queue.in_state(State.WAITING)
    assert (item.accession, queue.body(item)) == (NUMBER, jpeg(1))
    assert item.captured_at.timestamp() == 1_700_000_000
    assert item.captured_at.tzinfo is not None
    assert item.source_gone
    assert left_in(folder) == []


def test_taken_files_may_be_moved_instead(folder, queue, tmp_path):
    taker = Taker(queue, done=tmp_path / "done")
    for seed in (1, 2):
        taker.take(save(folder, body=jpeg(seed), note=NUMBER), quiet_for=LONG)

    moved = sorted((tmp_path / "done").glob("*.jpg"))
    assert {path.read_bytes() for path in moved} == {jpeg(1), jpeg(2)}
    assert (tmp_path / "done" / f"{NUMBER}_1.jpg") in moved


def test_the_file_stays_until_the_queue_has_it(folder, queue, taker, monkeypatch):
    path = save(folder)

    def full(*_, **__):
        assert path.exists()
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(durable, "write", full)
    with pytest.raises(OSError, match="no space"):
        taker.take(path, quiet_for=LONG)
    assert path.read_bytes() == jpeg(1)
    assert queue.counts().waiting == 0


class PowerCut(BaseException):
    """The machine goes off: nothing after this happens."""


@pytest.mark.parametrize(
    ("module", "name", "skip"),
    [
        (durable, "write", 0),
        (Queue, "source_removed", 0),
        (Taker, "_put_away", 0),
        (Taker, "_remove", 0),  # before the note goes
        (Taker, "_remove", 1),  # between note and picture
        (Taker, "_lay_down", 0),
        (Taker, "_lay_down", 1),  # renamed, not yet gone
    ],
)
def test_a_cut_at_any_step_loses_nothing_and_takes_nothing_twice(
    folder, tmp_path, monkeypatch, module, name, skip
):
    path = save(folder, name="smear.jpg", note=NUMBER)
    real, calls = getattr(module, name), []

    def cut(*args, **kwargs):
        calls.append(1)
        if len(calls) > skip:
            raise PowerCut
        return real(*args, **kwargs)

    before = Queue(tmp_path / "queue", limits=ROOM)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, cut)
        with pytest.raises(PowerCut):
            Taker(before).take(path, quiet_for=LONG)

    after = Queue(tmp_path / "queue", limits=ROOM)
    taker = Taker(after)
    taker.tidy(folder)
    watch = Watch(folder, taker, after, settle=0)
    watch.look()

    [item] = after.in_state(State.WAITING)
    assert (item.accession, after.body(item)) == (NUMBER, jpeg(1))
    assert after.counts().refused == 0
    assert left_in(folder) == []


def test_after_a_cut_the_next_picture_of_that_name_is_not_taken_for_the_last(
    folder, tmp_path, monkeypatch
):
    path = save(folder, name="smear.jpg", note=NUMBER)
    before = Queue(tmp_path / "queue", limits=ROOM)
    with monkeypatch.context() as patch:
        patch.setattr(Taker, "_put_away", lambda *_: (_ for _ in ()).throw(PowerCut))
        with pytest.raises(PowerCut):
            Taker(before).take(path, quiet_for=LONG)
    save(folder, name="smear.jpg", body=jpeg(2), note="N-2026-0002")

    after = Queue(tmp_path / "queue", limits=ROOM)
    taker = Taker(after)
    taker.tidy(folder)
    taker.take(path, quiet_for=LONG)

    found = {item.accession: after.body(item) for item in after.in_state(State.WAITING)}
    assert found == {NUMBER: jpeg(1), "N-2026-0002": jpeg(2)}


def test_a_picture_saved_over_another_while_that_is_taken_is_not_lost(folder, queue, monkeypatch):
    path = save(folder)
    real = Queue.put

    def put(self, *args, **kwargs):
        item = real(self, *args, **kwargs)
        save(folder, body=jpeg(2))
        return item

    with monkeypatch.context() as patch:
        patch.setattr(Queue, "put", put)
        Taker(queue).take(path, quiet_for=LONG)

    assert path.read_bytes() == jpeg(2)
    Taker(queue).take(path, quiet_for=LONG)
    assert [queue.body(item) for item in queue.in_state(State.WAITING)] == [jpeg(1), jpeg(2)]


def test_a_note_that_changes_while_it_is_read_is_read_again(folder, queue, taker, monkeypatch):
    path = save(folder, name="smear.jpg", note=NUMBER)
    real = Taker._judge

    def judge(self, *args):
        judged = real(self, *args)
        path.with_name("smear.jpg.txt").write_text("N-2026-0002, of another slide")
        return judged

    monkeypatch.setattr(Taker, "_judge", judge)

    assert taker.take(path, quiet_for=LONG) is Taken.LATER
    assert queue.counts().waiting == 0
    assert path.exists()


def test_the_same_picture_again_is_sent_once(folder, queue, taker):
    taker.take(save(folder), quiet_for=LONG)
    assert taker.take(save(folder), quiet_for=LONG) is Taken.KNOWN
    assert taker.take(save(folder, f"{NUMBER}_copy.jpg"), quiet_for=LONG) is Taken.KNOWN
    assert queue.counts().waiting == 1
    assert left_in(folder) == []


def test_the_same_picture_for_another_specimen_is_a_question_for_a_person(folder, queue, taker):
    taker.take(save(folder), quiet_for=LONG)

    assert taker.take(save(folder, "N-2026-0002.jpg"), quiet_for=LONG) is Taken.REFUSED
    assert taker.take(save(folder, "N-2026-0002.jpg"), quiet_for=LONG) is Taken.KNOWN

    [dead] = queue.in_state(State.REFUSED)
    assert dead.code == "taken_before"
    assert [item.accession for item in queue.in_state(State.WAITING)] == [NUMBER]


def test_no_number_or_two_are_dead_letters_with_the_picture_kept(folder, queue, taker):
    taker.take(save(folder, "smear.jpg"), quiet_for=LONG)
    taker.take(save(folder, body=jpeg(2), note="N-2026-0002"), quiet_for=LONG)

    dead = queue.in_state(State.REFUSED)
    assert [item.code for item in dead] == ["accession_missing", "accession_unclear"]
    assert [queue.body(item) for item in dead] == [jpeg(1), jpeg(2)]
    assert queue.counts().waiting == 0
    assert left_in(folder) == []


def test_put_there_again_with_its_number_it_is_sent(folder, queue, taker):
    taker.take(save(folder, "smear.jpg"), quiet_for=LONG)
    [dead] = queue.in_state(State.REFUSED)

    assert taker.take(save(folder, "smear.jpg", note=NUMBER), quiet_for=LONG) is Taken.WAITING

    [item] = queue.in_state(State.WAITING)
    assert (item.id, item.accession) == (dead.id, NUMBER)


def test_a_note_may_come_a_little_later_than_its_picture(folder, queue, taker):
    path = save(folder, "smear.jpg")
    assert taker.take(path, quiet_for=1) is Taken.LATER
    save(folder, "smear.jpg", note=NUMBER)
    assert taker.take(path, quiet_for=1) is Taken.WAITING


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_file_that_may_still_grow_is_waited_for_and_then_refused(folder, queue, taker, share):
    path = save(folder, body=jpeg(1)[: int(len(jpeg(1)) * share)])

    assert taker.take(path, quiet_for=1) is Taken.LATER
    assert taker.take(path, quiet_for=LONG) is Taken.REFUSED

    [dead] = queue.in_state(State.REFUSED)
    assert (dead.code, dead.accession) == ("truncated", NUMBER)
    assert "again" in dead.detail


def test_what_cannot_be_read_is_refused_at_once(folder, queue, taker):
    assert taker.take(save(folder, body=b"no picture"), quiet_for=1) is Taken.REFUSED
    assert queue.in_state(State.REFUSED)[0].code == "not_an_image"


def test_poor_light_and_focus_are_only_warned_of(folder, queue):
    harsh = PictureLimits(minimum_focus=9)
    Taker(queue, limits=lambda: harsh).take(save(folder), quiet_for=LONG)
    [item] = queue.in_state(State.WAITING)
    assert item.warnings == "out_of_focus"


def test_unless_the_bench_wants_it_stricter(folder, queue):
    harsh = PictureLimits(minimum_focus=9)
    Taker(queue, limits=lambda: harsh, strict=True).take(save(folder), quiet_for=LONG)
    [dead] = queue.in_state(State.REFUSED)
    assert dead.code == "out_of_focus"
    assert "take it again" in dead.detail


def test_a_full_queue_leaves_new_pictures_where_they_are_and_says_so(folder, tmp_path):
    queue = Queue(
        tmp_path / "small", limits=Limits(most=max(len(jpeg(1)), len(jpeg(2))), keep_free=0)
    )
    watch = Watch(folder, Taker(queue), queue, settle=0)
    save(folder, note=NUMBER)
    watch.look()
    path = save(folder, f"{NUMBER}_2.jpg", body=jpeg(2), note=NUMBER)

    assert watch.look() == 0

    assert left_in(folder) == [f"{NUMBER}_2.jpg", f"{NUMBER}_2.jpg.txt"]
    assert path.read_bytes() == jpeg(2)
    assert "Nothing more is taken" in queue.notes()["full"]
    queue.delivered(queue.in_state(State.WAITING)[0])
    assert watch.look() == 1
    assert queue.notes()["full"] == ""


def test_a_file_that_can_never_fit_is_said_to_be_the_trouble(folder, tmp_path):
    queue = Queue(tmp_path / "small", limits=Limits(most=10, keep_free=0))
    save(folder, note=NUMBER)
    assert Watch(folder, Taker(queue), queue, settle=0).look() == 0
    assert "larger than the whole queue" in queue.notes()["full"]


def test_a_full_queue_is_noticed_before_anything_is_read(folder, tmp_path):
    queue = Queue(tmp_path / "small", limits=Limits(most=10, keep_free=0))
    with pytest.raises(QueueFull):
        Taker(queue).take(save(folder, body=b"x" * 11), quiet_for=LONG)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(folder, taker, queue, clock):
    return Watch(folder, taker, queue, settle=2, clock=clock)


def test_it_waits_until_a_file_has_stopped_growing(folder, watch, clock, queue):
    half = jpeg(1)[:500]
    save(folder, body=half)
    for _ in range(4):
        watch.look()
        clock.now += 1.5
        with (folder / f"{NUMBER}_1.jpg").open("ab") as file:
            file.write(b"x")
    assert queue.counts().waiting == queue.counts().refused == 0

    save(folder)
    watch.look()
    clock.now += 2
    watch.look()
    assert queue.counts().waiting == 1


def test_it_takes_what_was_there_before_and_what_lies_deeper(folder, watch, clock, queue):
    (folder / "monday").mkdir()
    save(folder)
    save(folder, "monday/N-2026-0002.PNG", body=jpeg(2))
    watch.look()
    clock.now += 2
    assert watch.look() == 2


def test_it_leaves_alone_what_is_no_picture_or_hidden(folder, watch, clock, queue):
    (folder / ".trash").mkdir()
    for name in ("notes.txt", ".N-2026-0001.jpg", ".trash/N-2026-0001.jpg", "scan.bmp"):
        save(folder, name)
    watch.look()
    clock.now += 60
    assert watch.look() == 0
    assert len(left_in(folder)) == 5


def test_a_specimens_pictures_are_taken_in_the_order_of_their_saving(folder, watch, clock, queue):
    for seed, name in enumerate(["c", "a", "b"]):
        path = save(folder, f"{NUMBER}_{name}.jpg", body=jpeg(seed))
        os.utime(path, (1_700_000_000 + seed,) * 2)
    watch.look()
    clock.now += 2
    watch.look()
    bodies = [queue.body(item) for item in queue.in_state(State.WAITING)]
    assert bodies == [jpeg(seed) for seed in range(3)]


def test_one_file_that_makes_trouble_does_not_stand_in_the_way(folder, watch, clock, queue):
    bad, good = save(folder, "N-2026-0002.jpg"), save(folder, body=jpeg(2))
    os.utime(bad, (1, 1))
    real = Path.read_bytes

    def read(path):
        if path == bad:
            raise OSError(errno.EIO, "bad sector")
        return real(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", read)
        watch.look()
        clock.now += 2
        watch.look()
    assert not good.exists()
    assert bad.exists()
    assert "bad sector" in queue.notes()["folder_trouble"]


def test_a_database_that_is_in_trouble_loses_nothing(folder, watch, clock, queue):
    path = save(folder)
    watch.look()
    clock.now += 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Queue, "put", lambda *_, **__: (_ for _ in ()).throw(sqlite3.Error("full")))
        watch.look()
    assert path.exists()
    watch.look()
    assert queue.counts().waiting == 1
