"""The probe against real processes: it comes through, and says where when it does not."""

import os
import signal
import subprocess
import sys

import pytest

from tests.stack.harness import ROOT

pytestmark = pytest.mark.stack


def send(stack, *how):
    """`manage.py probe`, as an operator types it."""
    return subprocess.run(
        [sys.executable, "manage.py", "probe", "--url", stack.url, *how],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def left(stack):
    """How many pictures and reports there are in the probe's clinic."""
    ours = "WHERE clinic_id IN (SELECT id FROM accounts_clinic WHERE probe)"
    tables = ("diagnostics_specimen", "diagnostics_diagnosticreport")
    return [stack.rows(f"SELECT count(*) FROM {table} {ours}")[0][0] for table in tables]


@pytest.mark.parametrize("kind", ["embedded", "hospital"])
def test_a_drawn_smear_comes_back_as_a_report_on_a_screen(kind, request):
    stack = request.getfixturevalue(kind)
    done = send(stack)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[:3]] == [
        "listening",
        "taken",
        "reported",
    ]
    assert left(stack) == [0, 0]


def test_a_worker_that_hangs_is_what_the_probe_says(embedded):
    worker = embedded.pid("analyses")
    os.kill(worker, signal.SIGSTOP)
    try:
        done = send(embedded, "--limit", "8")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert done.returncode == 1
    assert "taken" in done.stdout
    assert "look at workers" in done.stderr
    assert left(embedded) == [0, 0]
