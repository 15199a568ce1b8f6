"""docs/device-api.md is kept by these: its line and its program run, its codes are all there."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devices.admin_keys import curl_line
from devices.services.enrolment import make_code
from devices.services.keys import authenticate
from diagnostics.models import FieldImage
from diagnostics.services import intake
from hospital.base.problems import Overloaded
from ml.images import Refusal
from tests.world import SETUP, World

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "device-api.md").read_text()


def block(language: str, number: int = 0) -> str:
    """The first block of that language, or a later one."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found[number].strip()


def run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    """The command's end, whatever it is."""
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, **options
    )


PROGRAM = [sys.executable, "-c", block("python")]


@pytest.fixture
def picture(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "smear.jpg"
    path.write_bytes(world.smear(1))
    return path


@pytest.mark.django_db(transaction=True)
def test_the_curl_line_sends_a_picture(world: World, live_server: Any, picture: Path) -> None:
    line = block("sh").replace("KEY", world.key).replace("http://127.0.0.1:8000", live_server.url)
    done = run(["bash", "-c", line], cwd=picture.parent)
    assert done.returncode == 0, done.stderr
    receipt, status = done.stdout.strip().rsplit("\n", 1)
    assert (json.loads(receipt)["accession"], status) == ("N-2026-0001", "201")
    assert FieldImage.objects.get().size == picture.stat().st_size


@pytest.mark.django_db(transaction=True)
def test_the_python_program_sends_a_picture(world: World, live_server: Any, picture: Path) -> None:
    done = run([*PROGRAM, live_server.url, world.key, "N-2026-0001", str(picture)])
    assert done.returncode == 0, done.stderr
    assert FieldImage.objects.get().size == picture.stat().st_size
    assert len(block("python").splitlines()) <= 15


@pytest.mark.django_db(transaction=True)
def test_the_python_program_tries_again_when_told_to_wait(
    world: World, live_server: Any, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [Overloaded("Wait.", retry_after=0)] * 2
    receive = intake.receive

    def receive_later(**what: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return receive(**what)

    monkeypatch.setattr(intake, "receive", receive_later)
    done = run([*PROGRAM, live_server.url, world.key, "N-2026-0001", str(picture)])
    assert done.returncode == 0, done.stderr
    assert FieldImage.objects.count() == 1
    assert not refusals


@pytest.mark.django_db(transaction=True)
def test_the_enrol_line_brings_a_key(world: World, live_server: Any) -> None:
    code = make_code(actor=SETUP, device=world.device).code
    line = block("sh", 1).replace("K7QM-4T9X-2HWD", code).replace("W1-0042", "SN-1")
    done = run(["bash", "-c", line.replace("http://127.0.0.1:8000", live_server.url)])
    assert done.returncode == 0, done.stderr
    assert authenticate(json.loads(done.stdout)["key"]).device == world.device


@pytest.mark.django_db(transaction=True)
def test_the_python_program_says_why_not(world: World, live_server: Any, picture: Path) -> None:
    done = run([*PROGRAM, live_server.url, world.key, "X-404", str(picture)])
    assert done.returncode == 1
    assert "unknown_accession" in done.stderr


@pytest.mark.django_db(transaction=True)
def test_the_python_program_sends_many(world: World, live_server: Any, tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed}.jpg" for seed in range(3)]
    for seed, path in enumerate(paths):
        path.write_bytes(world.smear(seed))
    paths[1].write_bytes(b"no picture")
    program = [sys.executable, "-c", block("python", 1)]
    done = run([*program, live_server.url, world.key, "N-2026-0001", *map(str, paths)])
    assert done.returncode == 0, done.stderr
    assert [(line.split()[0], line.split()[2]) for line in done.stdout.splitlines()] == [
        ("201", "safe"),
        ("415", "not_an_image"),
        ("201", "safe"),
    ]
    assert FieldImage.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_curl_lines_send_a_picture_in_pieces(
    world: World, live_server: Any, picture: Path
) -> None:
    lines = block("sh", 2).replace("KEY", world.key)
    lines = lines.replace("http://127.0.0.1:8000", live_server.url)
    # The first piece goes astray after a few bytes; the last two lines, once more, do the rest.
    *begin, ask, piece = lines.splitlines()
    cut_short = piece.replace("| tus", "| head -c 1000 | tus")
    done = run(
        ["bash", "-c", "\n".join([*begin, ask, cut_short, ask, "echo $HAVE", piece])],
        cwd=picture.parent,
    )
    assert done.stdout.split() == ["204", "1000", "204"], done.stderr
    assert FieldImage.objects.get().size == picture.stat().st_size


@pytest.mark.django_db(transaction=True)
def test_the_tuspy_program_sends_a_picture(world: World, live_server: Any, picture: Path) -> None:
    program = [sys.executable, "-c", block("python", 2)]
    done = run([*program, live_server.url, world.key, "N-2026-0001", str(picture)])
    assert done.returncode == 0, done.stderr
    assert FieldImage.objects.get().size == picture.stat().st_size


def test_the_admin_shows_the_same_line() -> None:
    line = curl_line("KEY", "http://127.0.0.1:8000/api/device/v1/images/")
    assert line == block("sh")


def test_every_code_is_explained() -> None:
    table = set(re.findall(r"^\| \d{3} \| `(\w+)` \|", PAGE, re.MULTILINE))
    raised = {code.value for code in Refusal}
    for source in [
        "devices/services/keys.py",
        "devices/services/enrolment.py",
        "devices/services/brake.py",
        "devices/api/authentication.py",
        "devices/api/door.py",
        "diagnostics/api/device.py",
        "diagnostics/api/bulk.py",
        "diagnostics/api/uploads.py",
        "diagnostics/services/uploads.py",
        "diagnostics/services/intake.py",
        "diagnostics/services/slides.py",
        "diagnostics/services/capacity.py",
        "hospital/base/api.py",
    ]:
        text = (ROOT / source).read_text()
        raised |= set(re.findall(r'\bcode(?:: str)? ?= ?"(\w+)"', text))
    # Names that only serve as a base and never reach the wire from these addresses.
    raised -= {"unauthenticated", "device_not_active"}
    assert raised <= table, raised - table
