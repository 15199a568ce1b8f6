"""The released web and worker beside the new ones on the new schema: no pause for an upgrade."""

import os
import signal
import subprocess
import sys

import pytest

from devices.agent.client import Microscope
from hospital.config.stack.child import tied_to_this_process
from hospital.config.stack.ports import LOOPBACK, free_port
from tests import upgrade
from tests.stack.harness import ROOT, wait_until
from tests.stack.smears import smears

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def released_code(tmp_path_factory):
    """The released version in a folder of its own."""
    try:
        commit = upgrade.commit_of_release()
    except LookupError as why:
        pytest.skip(f"RELEASED VERSION NOT TRIED: {why}")
    folder = tmp_path_factory.mktemp("released")
    packed = subprocess.run(
        ["git", "archive", commit], cwd=ROOT, capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
    return folder


@pytest.fixture
def released(released_code, hospital):
    """Starts a process of the released version in the hospital, until the test ends."""
    running = []

    def start(*command, **told):
        said = released_code / f"{len(running)}.log"
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=released_code,
            env={**hospital.environment, **told},
            stdin=subprocess.DEVNULL,
            stdout=said.open("wb"),
            stderr=subprocess.STDOUT,
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509
        )
        running.append(process)
        return process, said

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=60)


def test_what_the_released_web_takes_in_the_released_worker_reads_on_the_new_schema(
    hospital, released, released_code
):
    port, ready = free_port(), released_code / "ready"
    web, web_said = released(
        *("hospital.config.serve", "--host", LOOPBACK, "--port", str(port)),
        LEUKOLENS_READY_FILE=str(ready),
    )
    worker, worker_said = released(
        *("celery", "-A", "hospital.config", "worker", "--pool", "solo", "--queues", "analyses"),
        *("--hostname", "released@%h"),
        LEUKOLENS_READY_FILE=f"{ready}-worker",
    )
    for process, said in ((web, web_said), (worker, worker_said)):
        mark = ready if process is web else ready.with_name("ready-worker")
        wait_until(lambda mark=mark: mark.exists(), f"ready; {said}")
        assert process.poll() is None, said.read_text()[-2000:]

    new_worker = hospital.pid("analyses")
    os.kill(new_worker, signal.SIGSTOP)  # so that it is the released one that reads
    try:
        with Microscope(f"http://{LOOPBACK}:{port}", hospital.world["key"]) as microscope:
            sent = microscope.send(smears(1)[0], accession=hospital.specimen())
        told = hospital.await_finished(sent.id)  # asked of the new web
    finally:
        os.kill(new_worker, signal.SIGCONT)

    assert told["analysis"]["state"] == "succeeded", worker_said.read_text()[-2000:]
    assert told["report"]["status"] == "partial"
    # And back: what the new web takes in may be read by either.
    [receipt] = hospital.send(smears(1), hospital.specimen())
    assert hospital.await_finished(receipt.id)["analysis"]["state"] == "succeeded"
