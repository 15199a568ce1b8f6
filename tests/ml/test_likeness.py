"""Promises of the measures by which cells are compared."""

import numpy as np
import pytest

from ml import likeness, outlines
from ml.segmentation import segment
from ml.synthetic import smear


@pytest.fixture(scope="module")
def field():
    picture = smear(seed=3)
    return picture, outlines.unpack(outlines.pack(segment(picture)))


def test_a_cell_is_most_like_itself(field):
    picture, found = field
    rows = likeness.measured(found, picture)
    assert rows.shape == (len(found.contours), len(likeness.MEASURES))
    assert np.isfinite(rows).all()
    for number, row in enumerate(rows):
        assert likeness.nearest(row, rows, rows.std(axis=0))[0] == number


def test_size_is_counted_against_the_picture_and_stain_against_the_glass(field):
    """A larger picture of the same cells, under a dimmer lamp, has the same measures."""
    picture, found = field
    larger = np.repeat(np.repeat(picture, 2, axis=0), 2, axis=1)
    dim = np.rint(larger * 0.8).astype(np.uint8)
    before, after = likeness.measured(found, picture), likeness.measured(found, dim)
    assert np.abs(after - before)[:, [0, 1, 2, 4, 5, 6]].max() < 0.06


def test_a_measure_that_is_the_same_everywhere_does_not_decide():
    pool = np.array([[1, 5], [2, 5], [3, 5]], np.float32)
    assert list(likeness.nearest(np.array([3, 9], np.float32), pool, pool.std(axis=0))) == [2, 1, 0]


def test_a_field_without_cells_has_no_rows():
    empty = outlines.Outlines((64, 64), ())
    assert likeness.measured(empty, np.full((64, 64, 3), 240, np.uint8)).shape == (0, 12)


def test_a_cell_is_cut_out_whole_also_at_the_edge(field):
    picture, found = field
    for number in range(len(found.contours)):
        assert likeness.crop(found, picture, number, 96).shape == (96, 96, 3)
    with pytest.raises(IndexError):
        likeness.crop(found, picture, len(found.contours), 96)
