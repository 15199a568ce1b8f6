"""What is kept of the found cells draws them again."""

import cv2
import numpy as np
import pytest

from ml import outlines, synthetic
from ml.segmentation import segment


@pytest.fixture(scope="module")
def smear():
    return synthetic.smear(seed=5, size=224)


def test_what_was_packed_draws_the_same_pictures(smear):
    found = segment(smear)
    again = outlines.unpack(outlines.pack(found))
    assert found.cells
    assert len(again.contours) == len(found.cells)
    assert (again.outline(smear) == found.outline(smear)).all()
    assert (again.isolate(smear) == found.isolate(smear)).all(axis=2).mean() > 0.999


def test_outlines_fit_a_larger_copy_of_the_picture(smear):
    again = outlines.unpack(outlines.pack(segment(smear)))
    large = cv2.resize(smear, (448, 448))
    share = (again.isolate(large) > 0).mean()
    assert share == pytest.approx((again.isolate(smear) > 0).mean(), rel=0.1)


def test_a_field_without_cells_is_a_field_without_outlines():
    empty = np.full((80, 100, 3), 230, np.uint8)
    again = outlines.unpack(outlines.pack(segment(empty)))
    assert (again.size, again.contours) == ((80, 100), ())
    assert not again.isolate(empty).any()


@pytest.mark.parametrize("harm", [lambda b: b[:-9], lambda b: b"", lambda b: b"nonsense"])
def test_broken_bytes_are_said_to_be_broken(smear, harm):
    with pytest.raises(outlines.OutlinesBroken):
        outlines.unpack(harm(outlines.pack(segment(smear))))
