"""Slides are told apart without anybody's notes; how well, on the real smears, is on record."""

from collections import defaultdict

import pytest

from ml.classes import Class
from ml.data import read_index
from ml.data.groups import agreement, infer_from, join_twins
from ml.data.index import found_in
from ml.data.survey import survey
from ml.data.twins import Kind, Twins
from tests.ml.data.drawn import draw
from tests.ml.shared import TALEQANI, needs_shared


def test_slides_with_their_own_lamp_are_told_apart(tmp_path):
    truth = draw(tmp_path, slides=2, fields=5)
    examples = read_index(tmp_path)
    found = agreement([e.group for e in examples], [truth[e.path.name] for e in examples])
    assert found["adjusted_rand"] > 0.8


def test_no_inferred_slide_holds_two_classes(tmp_path):
    draw(tmp_path, slides=1, fields=3)
    held = defaultdict(set)
    for example in read_index(tmp_path):
        assert example.group and example.session
        held[example.group].add(example.label)
    assert all(len(labels) == 1 for labels in held.values())


def test_slides_that_show_one_field_become_one_also_by_way_of_a_third(tmp_path):
    draw(tmp_path, slides=1, fields=1)
    four = found_in(tmp_path)
    pairs = [Twins(0, 1, Kind.OVERLAP), Twins(1, 2, Kind.NEAR)]
    named = [type(e)(e.path, e.label, f"g{n}", "s", e.sha256) for n, e in enumerate(four)]
    assert [e.group for e in join_twins(named, pairs)] == ["g0", "g0", "g0", "g3"]


@pytest.mark.parametrize(
    ("names", "rand", "precision", "recall"),
    [("aabb", 1, 1, 1), ("aaaa", 0, 1 / 3, 1), ("abcd", 0, 1, 0)],
)
def test_agreement_is_what_it_says(names, rand, precision, recall):
    found = agreement(list(names), list("xxyy"))
    assert found == pytest.approx({"adjusted_rand": rand, "precision": precision, "recall": recall})


@needs_shared
def test_the_real_slides_are_found_well_enough_to_see_a_leak():
    """On Benign, whose thirteen slides were exported in turns, so the hardest; without the search
    for overlaps, which takes minutes: adjusted Rand index 0.69 against the slides on record, 0.42
    against the sittings. All classes, with the search: 0.60 against the slides on record,
    0.71 once those, too, are joined where they share a field, 0.77 against the sittings.
    """
    examples = [e for e in read_index(TALEQANI) if e.label is Class.BENIGN]
    guessed = infer_from(survey(examples), [])
    for by, floor in (("group", 0.6), ("session", 0.3)):
        names, truth = ([getattr(e, by) for e in held] for held in (guessed, examples))
        assert agreement(names, truth)["adjusted_rand"] > floor
