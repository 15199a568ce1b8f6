"""The parts of the embedded stack, each by itself and without Django's processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
import redis

from hospital.config.stack import child as child_module
from hospital.config.stack import processes
from hospital.config.stack.broker import Broker
from hospital.config.stack.child import EX_CONFIG, Child, Standing
from hospital.config.stack.ports import LOOPBACK, free_port
from hospital.config.stack.record import (
    AlreadyRunning,
    is_running,
    note_path,
    only_stack,
    read_note,
    write_note,
)
from hospital.config.stack.supervisor import Supervisor
from tests.stack.harness import alive


def until(condition, patience=20.0):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def python(code, tmp_path, name="child", **options):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return Child(name, command, os.environ, tmp_path / "logs" / f"{name}.log", **options)


# --- the folder ------------------------------------------------------------------------------


def test_a_folder_is_held_by_one_stack_at_a_time(tmp_path):
    assert not is_running(tmp_path)
    with only_stack(tmp_path):
        write_note(tmp_path, {"pid": 4711, "url": "http://127.0.0.1:1234"})
        assert is_running(tmp_path)
        with (
            pytest.raises(AlreadyRunning, match=r"4711.*http://127\.0\.0\.1:1234.*LEUKOLENS_VAR"),
            only_stack(tmp_path),
        ):
            pass
        # The refused one has not spoilt the note of the one that runs.
        assert read_note(tmp_path)["pid"] == 4711
    assert not is_running(tmp_path)
    assert read_note(tmp_path) is None


def test_a_note_left_by_a_killed_stack_is_not_believed(tmp_path):
    write_note(tmp_path, {"pid": 1, "url": "http://gone"})
    with only_stack(tmp_path):
        assert read_note(tmp_path) is None


def test_the_note_is_for_its_owner_only(tmp_path):
    write_note(tmp_path, {"broker_url": "redis://:secret@127.0.0.1/0"})
    assert note_path(tmp_path).stat().st_mode & 0o077 == 0


def test_a_port_that_is_wanted_and_free_is_given():
    port = free_port()
    assert free_port(port) == port


def test_a_port_that_is_taken_is_not_given():
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port


# --- the broker ------------------------------------------------------------------------------


def test_the_broker_keeps_its_queue_over_a_crash_in_a_folder_with_a_space(tmp_path):
    broker = Broker(tmp_path / 'my "own" broker')
    process = subprocess.Popen(broker.command(), stdout=subprocess.DEVNULL)
    try:
        until(broker.answers)
        client = redis.Redis.from_url(broker.url)
        client.rpush("queue", "a job")
        client.execute_command("WAITAOF", 1, 0, 5000)
        process.kill()
        process.wait()

        process = subprocess.Popen(broker.command(), stdout=subprocess.DEVNULL)
        until(broker.answers)
        assert redis.Redis.from_url(broker.url).lrange("queue", 0, -1) == [b"a job"]
    finally:
        process.kill()
        process.wait()


def test_the_broker_wants_its_password_and_keeps_it_out_of_the_command_line(tmp_path):
    broker = Broker(tmp_path)
    command = broker.command()
    assert broker.password not in " ".join(command)
    assert (tmp_path / "valkey.conf").stat().st_mode & 0o077 == 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(broker.answers)
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=broker.port).ping()
    finally:
        process.kill()
        process.wait()


# --- one process -----------------------------------------------------------------------------


def test_pauses_grow_and_a_good_run_makes_them_short_again(tmp_path, monkeypatch):
    child = python("raise SystemExit(3)", tmp_path)
    pauses = []
    for _ in range(8):
        child.start()
        until(child.notice_death)
        pauses.append(round(child.due - time.monotonic(), 1))
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert (child.last_exit, child.restarts) == (3, 8)

    monkeypatch.setattr(child_module, "GOOD_RUN", 0.0)
    child.start()
    until(child.notice_death)
    assert child.due - time.monotonic() <= 0.5


def test_what_is_set_up_wrongly_is_not_hurried(tmp_path):
    child = python(f"raise SystemExit({EX_CONFIG})", tmp_path)
    child.start()
    until(child.notice_death)
    assert child.due - time.monotonic() > 25


def test_a_process_that_ignores_the_request_is_killed_with_all_it_started(tmp_path):
    child = python(
        """
        import signal, subprocess, sys
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
        signal.pause()
        """,
        tmp_path,
    )
    child.start()
    until(lambda: child.log.read_text().strip())
    grandchild = int(child.log.read_text())
    child.ask_to_stop()
    child.await_end(time.monotonic() + 0.2)
    assert child.pid is None
    until(lambda: not alive(grandchild))


def test_a_process_dies_with_whoever_started_it(tmp_path):
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import os, pathlib, signal, sys
                from hospital.config.stack.child import Child
                child = Child("c", ["sleep", "600"], os.environ, pathlib.Path(sys.argv[1]))
                child.start()
                print(child.pid, flush=True)
                signal.pause()
                """
            ),
            str(tmp_path / "log"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(starter.stdout.readline())
    assert alive(pid)
    starter.kill()
    starter.wait()
    until(lambda: not alive(pid))


def test_a_log_that_has_grown_large_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(child_module, "LOG_LIMIT", 10)
    child = python("print('new')", tmp_path)
    child.log.parent.mkdir()
    child.log.write_text("old and long enough\n")
    child.start()
    until(child.notice_death)
    assert child.log.read_text() == "new\n"
    assert child.log.with_suffix(".log.1").read_text() == "old and long enough\n"


# --- all of them -----------------------------------------------------------------------------


def supervise(children, stop_when):
    """Run a supervisor until `stop_when`; returns what it said."""
    said = []

    def changed(supervisor):
        if stop_when(supervisor):
            os.kill(os.getpid(), signal.SIGTERM)

    Supervisor(children, say=said.append, changed=changed).run()
    return said


def test_what_dies_is_started_again_and_all_is_stopped_in_the_end(tmp_path):
    flag = tmp_path / "flag"
    mortal = python(
        f"""
        import pathlib, signal
        flag = pathlib.Path({str(flag)!r})
        if not flag.exists():
            flag.touch()
            raise SystemExit("out of luck")
        signal.pause()
        """,
        tmp_path,
        name="web",
    )
    lasting = python("import signal; signal.pause()", tmp_path, name="beat", stop_order=1)

    said = supervise([mortal, lasting], lambda s: s.ready and mortal.restarts == 1)

    assert any("web ended with code 1: out of luck" in line for line in said)
    assert mortal.pid is None
    assert lasting.pid is None
    assert {child.standing for child in (mortal, lasting)} == {Standing.STOPPED}


def test_the_others_wait_for_the_broker(tmp_path):
    gate = tmp_path / "gate"
    broker = python(
        f"""
        import pathlib, signal, time
        time.sleep(0.3)
        pathlib.Path({str(gate)!r}).touch()
        signal.pause()
        """,
        tmp_path,
        name="broker",
        ready=lambda child: gate.exists(),
    )
    web = python(
        f"import os, signal; print(os.path.exists({str(gate)!r}), flush=True); signal.pause()",
        tmp_path,
        name="web",
        ready=lambda child: child.log.read_text() != "",
    )
    web.after = broker

    supervise([broker, web], lambda s: s.ready)

    assert web.log.read_text() == "True\n"


def test_what_goes_on_failing_is_said_once(tmp_path, monkeypatch):
    monkeypatch.setattr(child_module, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(child_module, "LONGEST_PAUSE", 0.0)
    child = python("raise SystemExit('no model')", tmp_path, name="analyses")
    child._pause = 0.0

    said = supervise([child], lambda s: child.restarts >= 3)

    assert sum("no model" in line for line in said) == 1


def test_messages_of_the_note_are_json(tmp_path):
    write_note(tmp_path, {"standing": Standing.READY})
    assert json.loads(note_path(tmp_path).read_text()) == {"standing": "ready"}


# --- the web ---------------------------------------------------------------------------------


def test_several_web_processes_share_an_address_and_one_that_dies_leaves_it_answered(tmp_path):
    port = free_port()
    told = processes.environment(tmp_path, redis_url="redis://127.0.0.1:1/0")
    told["DATABASE_URL"] = f"sqlite:///{tmp_path / 'none.sqlite3'}"
    webs = [processes.web(port, told, tmp_path, tmp_path, number=n) for n in (1, 2)]
    try:
        for web in webs:
            web.start()
        # Each is ready by its own word: the address alone would answer for the other.
        for web in webs:
            until(web.notice_readiness, patience=60.0)
        os.kill(webs[0].pid, signal.SIGKILL)
        until(webs[0].notice_death)
        for _ in range(5):
            with socket.create_connection((LOOPBACK, port), timeout=5):
                pass
    finally:
        for web in webs:
            web.ask_to_stop()
            web.await_end(time.monotonic() + 10)
    assert [web.pid for web in webs] == [None, None]
