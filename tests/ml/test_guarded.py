"""A picture that kills its decoder kills that and nothing else."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ml import guarded, images
from ml.images import ImageRefused
from tests.drills.mutants import pictures
from tests.world import jpeg


@pytest.mark.parametrize("kind", sorted(pictures()))
def test_a_sound_picture_is_judged_as_without_a_guard(kind: str) -> None:
    body = pictures()[kind]
    assert guarded.inspect(body) == images.inspect(body)
    guarded.survives(body)


def test_a_refusal_keeps_its_code_and_its_words() -> None:
    body = jpeg(1)[:-900]
    with pytest.raises(ImageRefused) as plain:
        images.inspect(body)
    with pytest.raises(ImageRefused) as asked:
        guarded.inspect(body)
    assert (asked.value.code, asked.value.message) == (plain.value.code, plain.value.message)


def test_a_decoder_killed_once_is_replaced_and_the_picture_is_taken() -> None:
    guarded.inspect(jpeg(1))
    os.kill(_idle_child(), signal.SIGKILL)
    assert guarded.inspect(jpeg(2)).width == 224


def test_a_picture_that_kills_every_decoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "_PROGRAM", ("-c", "import os, signal; os.kill(0, 0); os.abort()"))
    monkeypatch.setattr(guarded, "_idle", type(guarded._idle)())
    with pytest.raises(guarded.Died) as died:
        guarded.inspect(jpeg(1))
    assert died.value.code == "corrupt"


def test_a_decoder_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "_PROGRAM", ("-c", "import time; time.sleep(600)"))
    monkeypatch.setattr(guarded, "_idle", type(guarded._idle)())
    monkeypatch.setattr(guarded, "PATIENCE", 0.2)
    before = _children()
    with pytest.raises(guarded.Died):
        guarded.inspect(jpeg(1))
    assert _children() <= before


def test_a_decoder_that_only_counts_is_ended_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = (
        "import sys; sys.argv[1:] = []; from ml import guarded; guarded.SECONDS = 1\n"
        "guarded._begin_to_count()\nwhile True: pass"
    )
    done = subprocess.run([sys.executable, "-c", endless], check=False, timeout=120)
    assert done.returncode == -signal.SIGXCPU


def test_a_decoder_has_a_limit_of_memory_and_knows_no_secret() -> None:
    guarded.inspect(jpeg(1))
    child = Path(f"/proc/{_idle_child()}")
    limits = {line[:26].strip(): line[26:].split()[0] for line in _lines(child / "limits")}
    assert limits["Max address space"] == str(guarded.MEMORY)
    assert limits["Max file size"] == "0"
    names = {word.partition("=")[0] for word in (child / "environ").read_text().split("\0")}
    assert names <= {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", ""}


def test_many_pictures_at_once_share_a_few_decoders() -> None:
    sizes: list[int] = []
    hands = [
        threading.Thread(target=lambda n=n: sizes.append(guarded.inspect(jpeg(n)).width))
        for n in range(8)
    ]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert sizes == [224] * 8
    assert len(guarded._idle) <= max(2, os.cpu_count() or 1)


def _idle_child() -> int:
    return guarded._idle[-1]._process.pid


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]
