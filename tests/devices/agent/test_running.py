"""The agent as a whole, in one process: it delivers, and its parts stand and fall together."""

import threading
from contextlib import contextmanager

import pytest

from devices.agent.home import AlreadyRunning, Credentials, Home, NotEnrolled
from devices.agent.page import Page
from devices.agent.queue import Queue
from devices.agent.running import Options, run
from devices.agent.watch import Watch
from diagnostics.models import FieldImage
from tests.stack.harness import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
BRISK = Options(firmware="1.4.2", settle=0.05, every=0.02, hope=0.1)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "camera"
    path.mkdir()
    return path


@pytest.fixture
def home(tmp_path, world, live_server):
    made = Home(tmp_path / "home")
    made.save(Credentials(live_server.url, world.key))
    return made


@contextmanager
def agent(home, queue, folder, options=BRISK):
    """The agent at work; gives a list that has its result in the end."""
    stop, ended = threading.Event(), []
    thread = threading.Thread(
        target=lambda: ended.append(run(home, queue, folder, options, stop=stop))
    )
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join(timeout=30)


def test_a_picture_that_is_saved_is_in_the_hospital_soon(world, home, queue, folder):
    with agent(home, queue, folder) as ended:
        (folder / "N-2026-0001_1.jpg").write_bytes(world.smear(1))
        wait_until(lambda: FieldImage.objects.count() == 1, "the picture", patience=30)
        wait_until(lambda: queue.notes().get("heartbeat_at"), "a heartbeat", patience=30)
        with pytest.raises(AlreadyRunning):
            run(home, queue, folder, BRISK, stop=threading.Event())
    assert ended == [True]
    assert not list(folder.glob("*.jpg"))
    world.device.refresh_from_db()
    assert world.device.firmware in {"", "1.4.2"}


def test_a_taken_port_costs_the_page_and_no_picture(world, home, queue, folder):
    other = Page(lambda: None, port=0)
    port = int(other.url.rstrip("/").rpartition(":")[2])
    options = Options(firmware="1", settle=0, every=0.02, page_port=port)
    with agent(home, queue, folder, options):
        (folder / "N-2026-0001_1.jpg").write_bytes(world.smear(1))
        wait_until(lambda: FieldImage.objects.count() == 1, "the picture", patience=30)
    other.close()


def test_when_a_part_fails_all_end_so_that_it_is_started_again(home, queue, folder, monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Watch, "run", fail)
    with agent(home, queue, folder) as ended:
        wait_until(lambda: ended, "the end", patience=30)
    assert ended == [False]


def test_a_start_forgets_what_stopped_the_last_run(home, queue, folder):
    queue.note(stopped="suspended", full="No room.")
    with agent(home, queue, folder):
        wait_until(lambda: queue.notes().get("heartbeat_at"), "a heartbeat", patience=30)
    assert (queue.notes()["stopped"], queue.notes()["full"]) == ("", "")


def test_a_folder_that_has_gone_is_said(home, queue, folder):
    with agent(home, queue, folder):
        folder.rmdir()
        wait_until(lambda: queue.notes().get("folder_trouble"), "trouble", patience=30)
        folder.mkdir()
        wait_until(lambda: not queue.notes()["folder_trouble"], "no trouble", patience=30)


def test_sweeping_that_fails_ends_nothing(world, home, queue, folder, monkeypatch):
    def fail(*_, **__):
        raise OSError("read-only file system")

    monkeypatch.setattr(Queue, "sweep", fail)
    with agent(home, queue, folder) as ended:
        (folder / "N-2026-0001_1.jpg").write_bytes(world.smear(1))
        wait_until(lambda: FieldImage.objects.count() == 1, "the picture", patience=30)
    assert ended == [True]


def test_it_does_not_begin_without_a_key(tmp_path, queue, folder):
    with pytest.raises(NotEnrolled):
        run(Home(tmp_path / "none"), queue, folder, BRISK, stop=threading.Event())
