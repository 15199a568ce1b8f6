"""What the product promises, kept by real processes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hospital.config.demo.screen import Screen
from tests.stack.conftest import USUAL_PORTS
from tests.stack.harness import PATIENCE, ROOT, wait_until
from tests.stack.smears import smears

pytestmark = pytest.mark.stack

PICTURES = 40


@contextlib.asynccontextmanager
async def watching(stack):
    """A haematologist's screen and the queue of what comes over its socket."""
    queue = asyncio.Queue()

    async def listen(screen):
        async for message in screen.messages():
            await queue.put(message)

    async with Screen(stack.url) as screen:
        await stack.sign_in(screen)
        listening = asyncio.create_task(listen(screen))
        try:
            greeting = await asyncio.wait_for(queue.get(), PATIENCE)
            assert "hello" in greeting
            yield screen, queue
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


async def reported(screen, queue, images):
    """Read the socket, fetch what it names, until every one of `images` has an outcome."""
    outcomes = {}
    while len(outcomes) < len(images):
        message = await asyncio.wait_for(queue.get(), PATIENCE)
        if "event" not in message:
            continue
        assert set(message["event"]) == {"id", "kind", "subject", "version"}
        report = await screen.report(message["event"]["subject"])
        for image in report["images"]:
            if image["id"] in images and image["analysis_state"] == "succeeded":
                outcomes[image["id"]] = image["outcome"]
    return outcomes


@pytest.mark.parametrize("kind", ["embedded", "hospital"])
async def test_every_picture_is_reported_on_the_screen(kind, request):
    stack = request.getfixturevalue(kind)
    pictures = smears(PICTURES if kind == "embedded" else 8)
    async with watching(stack) as (screen, queue):
        receipts = [
            receipt
            for start in range(0, len(pictures), 4)
            for receipt in await asyncio.to_thread(
                stack.send, pictures[start : start + 4], stack.specimen()
            )
        ]
        images = {str(receipt.id) for receipt in receipts}
        outcomes = await reported(screen, queue, images)
    assert set(outcomes) == images
    for receipt in receipts:
        assert stack.analyses(receipt.id) == [("succeeded", 1)]


def test_the_usual_ports_may_be_taken(embedded):
    port = int(embedded.url.rpartition(":")[2])
    broker_port = int(embedded.note()["broker_url"].rpartition(":")[2].partition("/")[0])
    assert not {port, broker_port} & set(USUAL_PORTS)


def test_the_same_picture_twice_is_one_picture(embedded):
    [body] = smears(1)
    accession = embedded.specimen()
    with embedded.microscope() as microscope:
        first = microscope.send(body, accession=accession)
        again = microscope.send(body, accession=accession, image_id=first.id)
    assert (first.created, again.created) == (True, False)
    assert again.sha256 == first.sha256
    embedded.await_finished(first.id)
    assert embedded.analyses(first.id) == [("succeeded", 1)]


def test_a_worker_killed_in_mid_analysis_costs_time_and_nothing_else(embedded):
    worker = embedded.pid("analyses")
    receipts = embedded.send(smears(12), embedded.specimen())
    embedded.await_running()
    os.kill(worker, signal.SIGKILL)

    for receipt in receipts:
        embedded.await_finished(receipt.id)

    runs = [embedded.analyses(receipt.id) for receipt in receipts]
    assert [[state for state, _ in run] for run in runs] == [["succeeded"]] * len(receipts)
    # It really was in the middle of something, and that was done again.
    assert max(attempts for [(_, attempts)] in runs) == 2
    assert embedded.pid("analyses") != worker


def test_a_worker_told_to_stop_finishes_what_it_holds(embedded):
    worker = embedded.pid("analyses")
    receipts = embedded.send(smears(12), embedded.specimen())
    embedded.await_running()
    os.kill(worker, signal.SIGTERM)

    for receipt in receipts:
        embedded.await_finished(receipt.id)

    # Once each: nothing it had claimed was left for the sweep.
    for receipt in receipts:
        assert embedded.analyses(receipt.id) == [("succeeded", 1)]
    wait_until(lambda: embedded.pid("analyses") != worker, "another worker")


def test_uploads_do_not_need_the_broker(hospital, hospital_redis):
    hospital_redis.stop()
    try:
        receipts = hospital.send(smears(3), hospital.specimen())
        assert [receipt.created for receipt in receipts] == [True] * 3
        assert [hospital.analyses(r.id) for r in receipts] == [[("queued", 0)]] * 3
    finally:
        hospital_redis.start()

    for receipt in receipts:
        assert hospital.await_finished(receipt.id)["analysis"]["state"] == "succeeded"
        assert hospital.analyses(receipt.id) == [("succeeded", 1)]


def test_a_broker_that_dies_is_started_again(embedded):
    os.kill(embedded.pid("broker"), signal.SIGKILL)
    [receipt] = embedded.send(smears(1), embedded.specimen())
    assert embedded.await_finished(receipt.id)["analysis"]["state"] == "succeeded"


async def test_an_idle_socket_stays_open(embedded):
    async with watching(embedded) as (screen, queue):
        with pytest.raises(TimeoutError):
            # Nothing may come: no event, and no second greeting, which a reconnection would bring.
            await asyncio.wait_for(queue.get(), 12)
        [receipt] = await asyncio.to_thread(embedded.send, smears(1), embedded.specimen())
        message = await asyncio.wait_for(queue.get(), PATIENCE)
        assert "event" in message
        await reported(screen, queue, {str(receipt.id)})


def test_only_the_analyses_worker_has_a_network_library(embedded):
    def has(name: str) -> bool:
        mapped = Path(f"/proc/{embedded.pid(name)}/maps").read_text()
        return "libopenvino" in mapped or "libtensorflow" in mapped

    assert has("analyses")
    for name in ("web", "housekeeping", "beat"):
        assert not has(name), name


def test_two_stacks_do_not_share_a_folder(embedded):
    second = subprocess.run(
        [sys.executable, "manage.py", "stack"],
        cwd=ROOT,
        env=embedded.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "already running" in second.stderr
    assert embedded.url in second.stderr
    assert "Traceback" not in second.stderr


def test_logs_hold_no_names(embedded):
    said = "".join(path.read_text(errors="replace") for path in embedded.var.glob("logs/*.log"))
    assert "T-000" not in said
    for name in ("Rahman", "Amina", "Okafor", "Chidi"):
        assert name not in said
