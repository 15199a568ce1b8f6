"""What a sheet promises to the haematologist who looks at it."""

import numpy as np
import pytest

from ml.classes import Class
from ml.explanation import colours
from ml.segmentation import segment
from ml.sheet import draw, votes
from ml.synthetic import smear
from tests.ml.test_explanation import THREE, discs, why


@pytest.mark.parametrize("shape", [(224, 224), (120, 160), (900, 300)])
def test_a_sheet_holds_three_pictures_and_changes_none(shape):
    rgb = np.ascontiguousarray(smear(seed=3, size=900)[: shape[0], : shape[1]])
    before, cells = rgb.copy(), segment(rgb)
    sheet = draw(rgb, cells, why(cells=cells), title="a field")
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    assert sheet.shape[1] > 3 * 480
    np.testing.assert_array_equal(rgb, before)


def test_a_sheet_of_a_field_without_cells_is_drawn_too():
    rgb, none = np.full((120, 160, 3), 240, np.uint8), discs()
    assert draw(rgb, none, why(cells=none), title="glass").any()
    assert votes(why(cells=none)) == "0 of 0"


def test_a_sheet_frames_the_cells_by_what_they_add():
    """The strongest has the scale's brightest yellow all round it; those against are grey."""
    rgb = np.full((120, 160, 3), 200, np.uint8)
    found = why(label=Class.PRE_B)
    sheet = draw(rgb, THREE, found, title="")
    left, top = 3 * 24 + 2 * 480, 24 + 24 + 12
    frames = [sheet[top + 3, left + 120 * number + 60] for number in range(3)]
    evidence = [cell.evidence for cell in found.cells]
    brightest = colours(np.ones((1, 1), np.float32))[0, 0]
    assert max(evidence) > 0 > min(evidence), "both kinds are drawn"
    np.testing.assert_array_equal(frames[int(np.argmax(evidence))], brightest)
    against = frames[int(np.argmin(evidence))]
    assert len(set(against.tolist())) <= 3 and np.ptp(against.astype(int)) < 10
