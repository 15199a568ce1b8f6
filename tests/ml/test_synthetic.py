"""What the drawn fields promise to whoever shows them or throws them at a server."""

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ml.images import decode, inspect
from ml.quality import Verdict, judge
from ml.segmentation import segment
from ml.synthetic import FLAWS, catalogue, smear, to_bytes, write

ROOT = Path(__file__).resolve().parents[2]


def test_the_same_seed_draws_the_same_field_in_another_process():
    program = (
        "import hashlib; from ml.synthetic import smear;"
        "print(hashlib.sha256(smear(seed=7, size=256)).hexdigest())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT)
    assert ran.stdout.decode().strip() == hashlib.sha256(smear(seed=7, size=256)).hexdigest()
    assert (smear(seed=7, size=256) != smear(seed=8, size=256)).any()


@pytest.mark.parametrize("size", [224, 512])
def test_as_many_blasts_are_found_as_were_drawn(size):
    for stain in range(3):
        for seed in range(4):
            rgb = smear(seed=seed, size=size, blasts=9, stain=stain)
            assert rgb.shape == (size, size, 3)
            assert len(segment(rgb).cells) in (8, 9, 10)


def test_without_blasts_none_is_found():
    for stain in range(3):
        rgb = smear(seed=4, size=224, blasts=0, stain=stain)
        assert segment(rgb).cells == ()
        assert judge(rgb).code == "unstained"


def test_the_quality_gate_treats_them_as_it_treats_real_ones():
    for example in catalogue(12, seed=3, size=224):
        assert judge(example.rgb).verdict is Verdict.OK, example.seed
    flawed = list(catalogue(12, seed=3, size=224, flawed=0.5))
    assert [example.flaw for example in flawed if example.flaw] == [*FLAWS, *FLAWS]
    for example in flawed:
        assert (judge(example.rgb).verdict is Verdict.OK) == (not example.flaw)


def test_their_colours_are_those_of_the_taleqani_fields():
    """Against the median colours of the cells found in Early, Pre and Pro."""
    for stain, real in enumerate([(153, 130, 248), (151, 138, 249), (213, 173, 251)]):
        fields = (smear(seed=seed, size=224, stain=stain) for seed in range(8))
        colours = [cell.colour for rgb in fields for cell in segment(rgb).cells]
        assert np.abs(np.median(colours, axis=0) - real).max() < 25


@pytest.mark.parametrize(
    ("suffix", "media_type"),
    [(".png", "image/png"), (".jpg", "image/jpeg"), (".tif", "image/tiff")],
)
def test_the_file_says_that_it_is_nobodys_blood(tmp_path, suffix, media_type):
    rgb = smear(seed=1, size=128)
    data = write(tmp_path / f"field{suffix}", rgb).read_bytes()
    facts = inspect(data)
    assert (facts.media_type, facts.synthetic, facts.width) == (media_type, True, 128)
    assert np.abs(decode(data).astype(int) - rgb).mean() < 3
    assert data == to_bytes(rgb, media_type)


def test_what_cannot_be_drawn_or_written_is_said():
    for wrong in ({"size": 20}, {"blasts": -1}, {"blur": -1.0}):
        with pytest.raises(ValueError, match="size must be"):
            smear(seed=1, **wrong)
    with pytest.raises(ValueError, match="image/gif"):
        to_bytes(smear(seed=1, size=64), "image/gif")
    with pytest.raises(ValueError, match="gif: use"):
        write(Path("field.gif"), smear(seed=1, size=64))


def test_a_server_can_be_kept_busy_with_them():
    start = time.process_time()
    for _ in catalogue(10, seed=5):
        pass
    assert time.process_time() - start < 4, "70 ms each on an idle machine"
