"""Every operation stays within Table 2, and both inputs are told the same story."""

import cv2
import numpy as np
import pytest

from ml.augmentation import (
    TABLE_2,
    Change,
    Ranges,
    apply,
    colour,
    compress,
    draw,
    move,
    move_points,
    stain,
)

GREY = np.full((64, 64, 3), 100, np.uint8)


def scene():
    """A field with one off-centre cell, and its mask."""
    field = np.full((96, 96, 3), 230, np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    cv2.circle(mask, (30, 40), 12, 1, -1)
    field[mask == 1] = (120, 60, 170)
    return field, mask.astype(bool)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    return [draw(rng, TABLE_2) for _ in range(3000)]


def test_brightness_is_within_5_percent_and_reaches_it(drawn):
    amounts = np.array([change.brightness for change in drawn])
    assert np.abs(amounts).max() <= 0.05 and amounts.min() < -0.049 and amounts.max() > 0.049
    assert colour(GREY, Change(brightness=0.05))[0, 0, 0] == round(100 + 0.05 * 255)


def test_contrast_is_within_8_percent_and_reaches_it(drawn):
    amounts = np.array([change.contrast for change in drawn]) - 1
    assert np.abs(amounts).max() <= 0.08 and amounts.min() < -0.079 and amounts.max() > 0.079
    assert colour(GREY, Change(contrast=1.08))[0, 0, 0] == round(127.5 - 27.5 * 1.08)


def test_rotation_is_within_15_degrees_and_reaches_it(drawn):
    amounts = np.array([change.rotation for change in drawn])
    assert np.abs(amounts).max() <= 15 and amounts.min() < -14.8 and amounts.max() > 14.8


def test_a_rotation_turns_by_its_degrees():
    _, mask = scene()
    turned = move(mask.astype(np.uint8), Change(rotation=15.0)).astype(bool)

    def angle(where):
        rows, columns = np.nonzero(where)
        return np.degrees(np.arctan2(47.5 - rows.mean(), columns.mean() - 47.5))

    assert (angle(turned) - angle(mask)) % 360 == pytest.approx(15, abs=1)


def test_jpeg_quality_is_30_to_100_both_reached(drawn):
    qualities = {change.jpeg for change in drawn}
    assert min(qualities) == 30 and max(qualities) == 100


def test_a_lower_jpeg_quality_changes_the_picture_more():
    noisy = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    def harm(quality):
        return np.abs(compress(noisy, quality).astype(int) - noisy).mean()

    assert harm(30) > harm(90) > 0 == harm(None)


def test_each_flip_happens_to_half_of_the_pictures(drawn):
    for name in ("flip_horizontal", "flip_vertical"):
        assert np.mean([getattr(change, name) for change in drawn]) == pytest.approx(0.5, abs=0.03)
    field, _ = scene()
    np.testing.assert_array_equal(move(field, Change(flip_horizontal=True)), field[:, ::-1])
    np.testing.assert_array_equal(move(field, Change(flip_vertical=True)), field[::-1])


def test_table_2_leaves_lamp_and_stain_alone_and_training_shakes_them_within_bounds(drawn):
    assert all(change.stain == (1, 1, 1) == change.lamp for change in drawn)
    rng = np.random.default_rng(0)
    shaken = [draw(rng, Ranges(lamp=0.1, stain=0.25)) for _ in range(500)]
    for name, reach in (("lamp", 0.1), ("stain", 0.25)):
        amounts = np.abs(np.log([getattr(change, name) for change in shaken]))
        assert 0.95 * reach < amounts.max() <= reach


def test_a_stronger_stain_multiplies_the_optical_density():
    """Beer and Lambert: twice the dye, the light's share twice over."""
    purple = np.full((2, 2, 3), (150, 90, 200), np.uint8)
    deep = stain(purple, strengths=(2, 2, 2), lamp=(1, 1, 1))
    np.testing.assert_allclose(deep[0, 0] / 255, (purple[0, 0] / 255) ** 2, atol=0.5 / 255)


def test_each_channel_has_its_own_stain_and_light():
    shown = stain(GREY, strengths=(1, 1.25, 1), lamp=(1, 1, 0.9))[0, 0]
    assert shown[0] == 100 and shown[1] < 100 and shown[2] == 90


def test_where_there_is_no_dye_no_stain_is_seen_and_nothing_leaves_the_scale():
    white = np.full((2, 2, 3), 255, np.uint8)
    np.testing.assert_array_equal(stain(white, strengths=(1.5, 0.5, 2), lamp=(1, 1, 1)), white)
    np.testing.assert_array_equal(stain(white, strengths=(1, 1, 1), lamp=(1.2, 1.2, 1.2)), white)
    every = np.arange(1, 256, dtype=np.uint8).reshape(-1, 1, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(stain(every, strengths=(1, 1, 1), lamp=(1, 1, 1)), every)


def test_a_stack_of_pictures_is_stained_as_each_alone():
    stack = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    how = {"strengths": (0.8, 1.1, 1.3), "lamp": (1.05, 1, 0.95)}
    np.testing.assert_array_equal(stain(stack, **how)[1], stain(stack[1], **how))


def test_a_cells_centre_moves_with_the_cell():
    _, mask = scene()
    for change in (
        Change(rotation=37.0),
        Change(rotation=-12.0, flip_horizontal=True, flip_vertical=True),
        Change(flip_vertical=True),
    ):
        rows, columns = np.nonzero(move(mask.astype(np.uint8), change))
        ((x, y),) = move_points(np.float32([(30, 40)]), change, mask.shape)
        assert (x, y) == pytest.approx((columns.mean(), rows.mean()), abs=0.6)


def test_the_same_generator_state_gives_the_same_change():
    assert draw(np.random.default_rng(3)) == draw(np.random.default_rng(3))


def test_the_segmented_twin_moves_with_its_field():
    field, mask = scene()
    change = Change(rotation=-12.0, flip_horizontal=True, flip_vertical=True)
    shown, cells = apply(change, field=field, mask=mask)
    purple = shown[..., 1] < 100  # the cell in the moved field
    kept = cells.any(axis=2)
    overlap = (purple & kept).sum() / (purple | kept).sum()
    assert overlap > 0.9


def test_the_segmented_twin_is_cut_from_the_changed_field():
    field, mask = scene()
    change = Change(brightness=0.05, contrast=0.92, rotation=7.0, jpeg=40, lamp=(1.1, 1, 0.9))
    shown, cells = apply(change, field=field, mask=mask)
    inside = cells.any(axis=2)
    np.testing.assert_array_equal(cells[inside], shown[inside])
    assert not cells[~inside].any()


def test_no_change_is_no_change():
    field, mask = scene()
    np.testing.assert_array_equal(colour(move(field, Change()), Change()), field)
    np.testing.assert_array_equal(move(mask.astype(np.uint8), Change()), mask)
    spots = np.float32([(30, 40), (1, 2)])
    np.testing.assert_array_equal(move_points(spots, Change(), mask.shape), spots)
