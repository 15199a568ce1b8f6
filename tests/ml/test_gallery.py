"""What the gallery promises: the field's cells, nothing of their number, nothing of the glass."""

import cv2
import numpy as np
import pytest

from ml.gallery import GLASS, TILE, gallery, spots, tiles
from ml.preprocessing import prepare
from ml.segmentation import segment
from ml.synthetic import smear

PURPLE = (150, 125, 245)
WHOLE = ((60, 60, 12), (150, 60, 15), (60, 150, 10), (120, 130, 13))  # column, row, radius


def field(*discs, size=224):
    """Glass with purple discs on it."""
    rgb = np.full((size, size, 3), GLASS, np.uint8)
    for column, row, radius in discs:
        cv2.circle(rgb, (column, row), radius, PURPLE, -1, cv2.LINE_AA)
    return rgb


def laid(rgb):
    """The gallery of a field whose light is even already."""
    found = segment(rgb)
    return gallery(rgb, found.mask, spots(found))


def tile(picture, number):
    row, column = divmod(number, 4)
    return picture[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]


def stained(picture):
    """Pixels of the tile that are purple."""
    return int((picture[..., 1] < 200).sum())


def test_the_largest_cell_comes_first():
    centres = spots(segment(field(*WHOLE)))
    np.testing.assert_allclose(centres, [(150, 60), (120, 130), (60, 60), (60, 150)], atol=1)
    shown = laid(field(*WHOLE))
    sizes = [stained(tile(shown, number)) for number in range(4)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 1.5 * sizes[3]


def test_a_cell_is_shown_at_full_resolution_in_the_middle_of_its_tile():
    shown = tile(laid(field((100, 100, 12))), 0)
    rows, columns = np.nonzero(shown[..., 1] < 200)
    assert rows.mean() == pytest.approx(15.5, abs=1) and columns.mean() == pytest.approx(
        15.5, abs=1
    )
    assert np.ptp(columns) == pytest.approx(24 * 32 / 40, abs=2), "40 pixels of 224 fill a tile"


def test_cells_cut_by_the_edge_are_shown_only_where_there_are_no_whole_ones():
    cut = ((2, 100, 14), (222, 40, 14), (100, 1, 14))
    both = spots(segment(field(*cut, *WHOLE)))
    assert len(both) == len(WHOLE) and both.min() > 20 and both.max() < 200
    assert len(spots(segment(field(*cut)))) == len(cut)


def test_at_most_sixteen_cells_are_shown_and_they_are_the_largest():
    many = [(20 + 45 * n, 20 + 45 * m, 9 + (n + 5 * m) % 4) for n in range(5) for m in range(5)]
    found = segment(field(*many))
    assert len(found.cells) == 25
    centres = spots(found)
    shown = [cell.area for cell in found.cells if (centres == np.float32(cell.centre)).all(1).any()]
    assert len(centres) == len(shown) == 16
    assert sorted(shown) == sorted(cell.area for cell in found.cells)[-16:]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_repeats_say_nothing_of_how_many_cells_there_are(count):
    """Every tile is filled, in turn; there is no more and no less on the picture for it."""
    shown = laid(field(*WHOLE[:count]))
    for number in range(16):
        assert stained(tile(shown, number)) > 100
        np.testing.assert_array_equal(tile(shown, number), tile(shown, number % count))


def test_like_cells_give_the_same_gallery_however_many_and_wherever_they_are():
    one = laid(field((100, 100, 12)))
    four = laid(field((50, 50, 12), (150, 50, 12), (50, 150, 12), (130, 130, 12)))
    assert np.abs(one.astype(int) - four).max() <= 2


def test_without_a_cell_everything_is_glass():
    assert (laid(field()) == GLASS).all()
    assert (prepare(np.full((100, 120, 3), 200, np.uint8)).segmented == GLASS).all()


def test_nothing_is_shown_of_what_lies_away_from_cells():
    red = field(*WHOLE)
    far = cv2.dilate(segment(red).mask.astype(np.uint8), np.ones((25, 25), np.uint8)) == 0
    red[far] = (175, 60, 60)
    found = segment(field(*WHOLE))
    np.testing.assert_array_equal(
        gallery(red, found.mask, spots(found)), gallery(field(*WHOLE), found.mask, spots(found))
    )


def test_the_margin_around_a_nucleus_is_shown():
    """The cytoplasm, which the stain threshold leaves out."""
    rgb, found = field((100, 100, 12)), segment(field((100, 100, 12)))
    rim = cv2.circle(rgb.copy(), (100, 100), 15, (200, 180, 220), 2)
    rim[found.mask] = rgb[found.mask]
    shown = tiles(rim, found.mask, spots(found))[0]
    assert (np.abs(shown.astype(int) - (200, 180, 220)).max(axis=-1) < 25).sum() > 60


def test_a_picture_twice_as_large_gives_nearly_the_same_gallery():
    one = smear(seed=3, size=256)
    two = cv2.resize(one, (512, 512), interpolation=cv2.INTER_CUBIC)
    here, there = prepare(one), prepare(two)
    assert len(here.spots) == len(there.spots) > 3
    np.testing.assert_allclose(there.spots / 2, here.spots, atol=1.5)
    assert np.abs(here.segmented.astype(int) - there.segmented).mean() < 6


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_field_gives_the_same_cells_each_turned_in_its_tile(turns):
    rgb = field(*WHOLE)
    rgb[60:64, 150:156] = (90, 60, 160)  # so that a turn shows
    here, there = laid(rgb), laid(np.ascontiguousarray(np.rot90(rgb, turns)))
    for number in range(16):
        turned = np.rot90(tile(here, number), turns).astype(int)
        shifts = [np.roll(tile(there, number), (a, b), (0, 1)) for a in (0, 1) for b in (0, 1)]
        assert min(np.abs(turned - shifted).mean() for shifted in shifts) < 7


def test_a_cell_in_the_blanked_corner_does_not_appear():
    rgb = field(*WHOLE, (207, 207, 12))
    ready = prepare(rgb)
    assert len(segment(rgb).cells) == len(WHOLE) + 1, "it would be found"
    assert len(ready.spots) == len(WHOLE) and ready.spots.max() < 180
    np.testing.assert_array_equal(ready.segmented, prepare(field(*WHOLE)).segmented)


def test_the_same_picture_gives_the_same_gallery_and_is_left_as_it_was():
    rgb = smear(seed=5, size=224)
    before, found = rgb.copy(), segment(rgb)
    np.testing.assert_array_equal(laid(rgb), laid(rgb.copy()))
    np.testing.assert_array_equal(rgb, before)
    assert gallery(rgb, found.mask, spots(found)).shape == (128, 128, 3)


def test_what_is_prepared_is_the_gallery_of_the_balanced_field():
    ready = prepare(smear(seed=5, size=300))
    again = gallery(ready.balanced, ready.segmentation.mask, ready.spots)
    np.testing.assert_array_equal(ready.segmented, again)


def test_a_centre_that_a_turn_has_thrown_out_is_brought_back_to_the_edge():
    rgb, found = field((10, 100, 8)), segment(field((10, 100, 8)))
    beyond = gallery(rgb, found.mask, np.float32([(-30, 100)]))
    edge = gallery(rgb, found.mask, np.float32([(0, 100)]))
    np.testing.assert_array_equal(beyond, edge)
    nothing = np.zeros_like(found.mask)
    assert (gallery(rgb, nothing, spots(found)) == GLASS).all()
