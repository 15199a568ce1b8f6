"""The demonstration as a person runs it, and what a worker says that cannot work."""

import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from hospital.config.stack.child import EX_CONFIG, tied_to_this_process
from ml.packages import COMMITTED
from tests.stack.harness import PATIENCE, ROOT, alive, environment, wait_until
from tests.stack.smears import smears

pytestmark = pytest.mark.stack


def folder_of(path, **pictures):
    path.mkdir()
    for name, body in pictures.items():
        (path / f"{name}.jpg").write_bytes(body)
    return path


def demo(var, *arguments):
    command = [sys.executable, "manage.py", "demo", *map(str, arguments)]
    return {"args": command, "cwd": ROOT, "env": environment(var), "text": True}


@contextmanager
def staying_demo(var, images):
    """A demonstration that stays up; gives its process and the file with what it has said."""
    said = var.parent / "said"
    with said.open("w") as out:
        process = subprocess.Popen(
            **demo(var, "--images", images),
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509
        )
    try:
        yield process, said
    finally:
        process.kill()
        process.wait()


def children_of(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found] + [
        one for child in found for one in children_of(int(child))
    ]


def test_the_demonstration_from_the_first_picture_to_ctrl_c(tmp_path):
    var = tmp_path / "var"
    first, second, third, fourth = smears(4)
    images = folder_of(tmp_path / "first", a=first, b=second)

    with staying_demo(var, images) as (process, said):

        def staying():
            assert process.poll() is None, said.read_text()
            return "Ctrl-C stops everything" in said.read_text()

        wait_until(staying, "a demonstration that stays up")
        assert "2 of 2 reported, 0 lost" in said.read_text()
        assert "guardian of Amina Rahman" in said.read_text()

        # Once more in another terminal: it posts to the one that runs.
        images = folder_of(tmp_path / "second", c=third)
        again = subprocess.run(
            **demo(var, "--images", images, "--exit"), capture_output=True, check=False
        )
        assert again.returncode == 0, again.stdout + again.stderr
        assert "1 of 1 reported, 0 lost" in again.stdout

        # What is refused is no report, and the exit code says so.
        images = folder_of(tmp_path / "third", d=fourth, e=b"I am a text.")
        refused = subprocess.run(
            **demo(var, "--images", images, "--exit"), capture_output=True, check=False
        )
        assert refused.returncode == 1
        assert "1 of 2 reported, 1 lost" in refused.stdout
        assert "not_an_image" in refused.stdout

        family = children_of(process.pid)
        assert len(family) >= 6
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 0
    assert not any(alive(pid) for pid in family)


def test_a_real_hospital_is_not_played_with(embedded):
    refused = subprocess.run(**demo(embedded.var, "--exit"), capture_output=True, check=False)
    assert refused.returncode == 1
    assert "not a demonstration" in refused.stderr
    assert not (embedded.var / "demo-logins.json").exists()


@pytest.mark.parametrize("damage", ["missing", "tampered"])
def test_a_worker_without_a_sound_model_refuses_to_start(tmp_path, damage):
    package = tmp_path / "package"
    shutil.copytree(COMMITTED, package)
    weights = package / "head.safetensors"
    if damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:-1] + b"\0")

    command = "-m celery -A hospital.config worker --pool solo --queues analyses"
    worker = subprocess.run(
        [sys.executable, *command.split()],
        cwd=ROOT,
        env=environment(tmp_path / "var", MODEL_PACKAGE=str(package)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert worker.returncode == EX_CONFIG
    assert "head.safetensors" in worker.stderr
    assert "Traceback" not in worker.stderr
