"""The same cells are found in two pictures, however shifted, and never where there are none."""

from pathlib import Path

import numpy as np
import pytest

from ml.classes import Class
from ml.data import Example
from ml.data.marks import Mark
from ml.data.survey import Survey, detail
from ml.data.twins import Kind, exact_copies, find_twins
from tests.ml.data.drawn import field, marked, shifted, tinted


def surveyed(pictures, digests=None):
    """A survey that holds only what the search for twins looks at."""
    digests = digests or [str(n) for n in range(len(pictures))]
    examples = [
        Example(Path(f"{n}.png"), Class.PRE_B, "g", "s", digest) for n, digest in enumerate(digests)
    ]
    nothing = np.zeros((len(pictures), 3), dtype=np.float32)
    views = np.stack([detail(picture) for picture in pictures])
    looks = (Mark.NONE,) * len(pictures)
    return Survey(
        examples, looks, nothing, nothing, nothing, nothing[:, 0], views, nothing, nothing
    )


def test_every_pair_of_equal_files_is_an_exact_copy():
    pairs = [(pair.first, pair.second) for pair in exact_copies(["a", "b", "a", "a"])]
    assert pairs == [(0, 2), (0, 3), (2, 3)]


@pytest.mark.parametrize(("rows", "columns"), [(30, 0), (0, 70), (60, 40), (70, 60)])
def test_a_shifted_field_is_found_with_its_shift(rows, columns):
    one, other = shifted(5, rows, columns)
    (pair,) = find_twins(surveyed([one, field(8), other]))
    assert (pair.first, pair.second, pair.kind) == (0, 2, Kind.OVERLAP)
    assert pair.shift == pytest.approx((-rows / 224, -columns / 224), abs=0.012)
    assert pair.shared == pytest.approx((1 - rows / 224) * (1 - columns / 224), abs=0.06)


def test_a_field_under_another_lamp_is_a_near_copy():
    rgb = field(7)
    (pair,) = find_twins(surveyed([rgb, tinted(rgb, 1), field(9)]))
    assert (pair.first, pair.second, pair.kind) == (0, 1, Kind.NEAR)


def test_strangers_with_the_same_scale_bar_are_no_twins():
    assert not find_twins(surveyed([marked(field(seed), "large black") for seed in range(8)]))


def test_an_exact_copy_is_not_told_twice():
    rgb = field(4)
    (pair,) = find_twins(surveyed([rgb, rgb], ["same", "same"]))
    assert pair.kind is Kind.EXACT


def test_the_search_says_how_far_it_is():
    heard = []
    find_twins(surveyed([field(1), field(2), field(3)]), report=lambda *said: heard.append(said))
    assert heard[-1][1:] == (3, 3)
