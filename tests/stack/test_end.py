"""How a stack ends, in order or not: nothing stays behind."""

import os
import signal

import pytest

from hospital.config.stack.record import read_note
from tests.stack.harness import alive, started_stack, wait_until

pytestmark = pytest.mark.stack


def test_ctrl_c_stops_everything_and_it_can_be_started_again(tmp_path):
    var = tmp_path / "var"
    with started_stack(var) as stack:
        # The model need not have been loaded for this.
        stack.await_ready(but="analyses")
        processes = stack.pids()
        assert len(processes) == 5
        assert all(alive(pid) for pid in processes)
        assert stack.stop() == 0
    assert not any(alive(pid) for pid in processes)
    assert read_note(var) is None


def test_even_a_supervisor_killed_hard_leaves_nothing_behind(tmp_path):
    with started_stack(tmp_path / "var") as stack:
        # The model need not have been loaded for this.
        stack.await_ready(but="analyses")
        processes = stack.pids()
        os.kill(stack.process.pid, signal.SIGKILL)
        stack.process.wait()
        wait_until(
            lambda: not any(alive(pid) for pid in processes), "everything ended", patience=20
        )
