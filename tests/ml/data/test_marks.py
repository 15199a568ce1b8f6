"""A burnt-in scale bar is found by its look, and never where there is none."""

from collections import Counter

import numpy as np
import pytest

from ml.data import read_index
from ml.data.marks import Mark, corner, find_mark
from ml.images import decode
from ml.preprocessing import blank_corner
from tests.ml.data.drawn import field, marked
from tests.ml.shared import TALEQANI, needs_shared


@pytest.mark.parametrize("look", list(Mark))
def test_each_look_is_known(look):
    assert find_mark(marked(field(seed=3), look)) is look


@pytest.mark.parametrize("seed", range(6))
def test_cells_in_the_corner_are_no_mark(seed):
    assert find_mark(field(seed, stain=seed)) is Mark.NONE


@pytest.mark.parametrize("look", list(Mark))
def test_nothing_of_a_mark_outlasts_the_blanking(look):
    assert find_mark(blank_corner(marked(field(seed=3), look))) is Mark.NONE


def test_the_corner_is_what_is_blanked():
    rgb = field(seed=1)
    changed = (blank_corner(rgb) != rgb).any(axis=2)
    rows, columns = np.nonzero(changed)
    height, width = corner(rgb).shape[:2]
    assert rows.min() >= 224 - height and columns.min() >= 224 - width


@needs_shared
def test_the_real_bars_are_told_apart_as_a_person_would():
    """Every twentieth picture; s03, s05 and s10 were looked through by eye, as were all others."""
    looks = {"s03": "large black", "s05": "large black", "s10": "large black"}
    looks |= dict.fromkeys(("s00", "s16", "s17", "s18", "s22", "s23"), "small black")
    seen = Counter(
        find_mark(decode(example.read())) == looks.get(example.session, "small red")
        for example in read_index(TALEQANI)[::20]
    )
    assert seen[False] == 0
