"""A picture sent in pieces by tus-js-client, under node, to a running hospital."""

import json
import os
import signal
import subprocess
import uuid

import pytest
from tusclient.client import TusClient

from tests.stack.harness import ROOT, alive, wait_until
from tests.stack.smears import smears
from tests.tus import ADDRESS, particulars

pytestmark = pytest.mark.stack


@pytest.fixture(scope="session")
def tus_js():
    """The folder in which node finds tus-js-client."""
    brought = subprocess.run(
        ["sh", "bin/tus-js"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert brought.returncode == 0, brought.stderr
    return brought.stdout.strip()


def test_tus_js_client_sends_a_picture_that_is_reported(embedded, tus_js, tmp_path):
    [body] = smears(1)
    path = tmp_path / "smear.jpg"
    path.write_bytes(body)
    image_id = uuid.uuid4()
    told = {
        "endpoint": embedded.url + ADDRESS,
        "key": embedded.world["key"],
        "path": str(path),
        "metadata": particulars(body, embedded.specimen(), image_id),
    }

    sent = subprocess.run(
        ["node", "tests/stack/tus_upload.cjs", json.dumps(told)],
        cwd=ROOT,
        env={**os.environ, "NODE_PATH": tus_js},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert sent.returncode == 0, sent.stderr
    happened = json.loads(sent.stdout)
    assert len(set(happened["places"])) == 1
    # What it believes to begin it finds begun, then complete.
    found = ["POST 201", "PATCH 409", "HEAD 200"]
    assert happened["requests"] == ["POST 201", "PATCH 204", *found, *["PATCH 204"] * 3, *found]
    assert embedded.await_finished(image_id)["analysis"]["state"] == "succeeded"
    assert embedded.analyses(image_id) == [("succeeded", 1)]


def test_an_upload_goes_on_with_another_web_process(embedded, tmp_path):
    """The one it began with is killed in between; nothing of an upload is only in its memory."""
    [body] = smears(1)
    path = tmp_path / "smear.jpg"
    path.write_bytes(body)
    image_id = uuid.uuid4()
    key = embedded.world["key"]
    client = TusClient(embedded.url + ADDRESS, headers={"Authorization": f"Bearer {key}"})
    told = particulars(body, embedded.specimen(), image_id)
    uploader = client.uploader(
        str(path), metadata=told, chunk_size=len(body) // 3, retries=60, retry_delay=1
    )
    uploader.upload_chunk()
    web = embedded.pid("web")

    os.kill(web, signal.SIGKILL)
    wait_until(lambda: not alive(web), "the end of the web process")
    uploader.upload()

    assert embedded.pid("web") != web
    assert embedded.await_finished(image_id)["analysis"]["state"] == "succeeded"
