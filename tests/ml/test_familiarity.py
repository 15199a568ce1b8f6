"""What the gate promises: strange pictures are called strange, a new slide's hardly ever."""

import numpy as np
import pytest

from ml.familiarity import Gate, left_out
from ml.packages import pack16, unpack

SLIDES = 20
EACH = 30
WIDTH = 40


def smears(rng, mix, slides=SLIDES):
    """Features of slides, each a little off from the others, and the slide of each."""
    names = np.repeat([f"g{number:02}" for number in range(slides)], EACH)
    offsets = np.repeat(rng.normal(0, 0.7, (slides, len(mix))), EACH, axis=0)
    noise = rng.normal(0, 0.3, (len(names), mix.shape[1]))
    return (rng.normal(size=offsets.shape) + offsets) @ mix + noise, names


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(8, WIDTH))
    known, slides = smears(rng, mix)
    towards = rng.normal(size=WIDTH)
    near = smears(rng, mix, slides=4)[0] + 2.5 * towards
    far = rng.normal(0, 12, (100, WIDTH))
    kinds = np.repeat(["near", "far"], [len(near), len(far)])
    gate = Gate.fit(
        known, slides, np.concatenate([near, far]), kinds, width=16, false_alarms=0.03, seed=1
    )
    return gate, mix, known, towards, (known, slides, np.concatenate([near, far]), kinds)


def test_new_slides_are_refused_about_as_often_as_promised(world):
    gate, mix, *_ = world
    fresh, _ = smears(np.random.default_rng(7), mix, slides=60)
    assert (gate.familiarity(fresh) < 0.5).mean() < 0.06


def test_the_foreign_kinds_of_the_fit_are_caught(world):
    gate, mix, _, towards, _ = world
    rng = np.random.default_rng(8)
    near = smears(rng, mix, slides=4)[0] + 2.5 * towards
    assert (gate.familiarity(near) < 0.5).mean() > 0.95


def test_a_kind_the_fit_never_saw_is_caught_where_it_is_far_away(world):
    gate, mix, *_ = world
    rng = np.random.default_rng(9)
    unheard_of = smears(rng, mix, slides=4)[0] + 20 * rng.normal(size=WIDTH)
    assert (gate.familiarity(unheard_of) < 0.5).mean() > 0.95


def test_far_enough_away_in_any_direction_is_strange(world):
    gate, _, known, _, _ = world
    away = np.random.default_rng(10).normal(size=(200, WIDTH))
    for reach in (1e2, 1e4):
        assert (gate.familiarity(known.mean(axis=0) + reach * away) < 0.5).all()


def test_familiarity_is_half_at_the_threshold_and_falls_with_strangeness(world):
    gate, _, known, _, _ = world
    strange, familiar = gate.strangeness(known), gate.familiarity(known)
    assert ((familiar < 0.5) == (strange > gate.threshold)).all()
    order = np.argsort(strange)
    assert (np.diff(familiar[order]) <= 0).all()
    assert familiar.min() >= 0
    assert familiar.max() <= 1


def test_what_ships_judges_as_what_was_fitted(world):
    gate, _, known, _, _ = world
    arrays, settings = gate.pack()
    again = Gate.unpack(unpack(pack16(arrays)), settings)
    np.testing.assert_allclose(again.strangeness(known), gate.strangeness(known), atol=1e-3)
    assert sum(held.nbytes for held in pack16(arrays).values()) < 300_000


def test_the_same_pictures_and_seed_give_the_same_gate(world):
    gate, *_, given = world
    again = Gate.fit(*given, width=16, false_alarms=0.03, seed=1)
    assert again.threshold == gate.threshold
    np.testing.assert_array_equal(again.distance, gate.distance)


def test_fewer_false_alarms_are_bought_with_a_higher_threshold(world):
    gate, *_, given = world
    assert Gate.fit(*given, width=16, false_alarms=0.005, seed=1).threshold > gate.threshold


def test_strange_sittings_raise_the_threshold_for_slides_of_new_ones(world):
    *_, (known, slides, foreign, kinds) = world
    sittings = np.array([f"s{int(name[1:]) // 3}" for name in slides])
    moved = (
        known
        + 3
        * np.random.default_rng(11).normal(size=(7, WIDTH))[
            np.unique(sittings, return_inverse=True)[1]
        ]
    )
    by_slide, by_both = (
        Gate.fit(moved, slides, foreign, kinds, sittings=given, width=16, false_alarms=0.03, seed=1)
        for given in (None, sittings)
    )
    assert by_both.threshold > by_slide.threshold
    np.testing.assert_array_equal(by_both.distance, by_slide.distance)


def test_no_picture_is_judged_by_a_gate_that_knew_its_slide(world):
    *_, (known, slides, _, _) = world

    class Spy:
        def __init__(self, rows):
            self.seen = set(slides[rows])

        def strangeness(self, features):
            judged = {slides[np.flatnonzero((known == row).all(axis=1))[0]] for row in features}
            assert not judged & self.seen
            return np.zeros(len(features))

    assert len(left_out(known, slides, Spy, seed=3)) == len(known)


@pytest.mark.parametrize("lacking", ["slides", "foreign"])
def test_too_little_to_learn_from_is_said(world, lacking):
    *_, (known, slides, foreign, kinds) = world
    if lacking == "slides":
        slides = np.full(len(known), "g00")
    else:
        foreign, kinds = foreign[:0], kinds[:0]
    with pytest.raises(ValueError, match="needs pictures of 5 slides and sittings or more"):
        Gate.fit(known, slides, foreign, kinds)


def test_no_pictures_are_no_trouble(world):
    gate, *_ = world
    assert gate.familiarity(np.zeros((0, WIDTH))).shape == (0,)
