"""A leak is a number: nothing shared is 0, everything shared is 1."""

from pathlib import Path

import pytest

from ml.classes import Class
from ml.data import Example, Fold, Part, split
from ml.data.leakage import as_fold, leakage
from ml.data.twins import Kind, Twins
from tests.ml.data.test_splits import made_up


def four():
    """Two slides of one sitting, two pictures each."""
    return [Example(Path(f"{n}.png"), Class.PRE_B, f"g{n // 2}", "s", str(n)) for n in range(4)]


def test_whole_slides_apart_leak_only_their_sitting():
    leak = leakage(four(), Fold(train=(0, 1), test=(2, 3)), [])
    assert (leak.pictures, leak.field, leak.group, leak.session) == (2, 0, 0, 1)


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_of_twin_counts_for_itself_and_for_the_field(kind):
    leak = leakage(four(), Fold(train=(0, 1), test=(2, 3)), [Twins(0, 2, kind)])
    by_kind = {Kind.EXACT: leak.exact, Kind.NEAR: leak.near, Kind.OVERLAP: leak.overlap}
    assert by_kind.pop(kind) == leak.field == 0.5
    assert set(by_kind.values()) == {0}


def test_a_picture_with_two_twins_in_training_counts_once():
    twins = [Twins(0, 2, Kind.NEAR), Twins(1, 2, Kind.OVERLAP)]
    assert leakage(four(), Fold(train=(0, 1), test=(2, 3)), twins).field == 0.5


def test_twins_on_one_side_leak_nothing():
    assert leakage(four(), Fold(train=(0, 1), test=(2, 3)), [Twins(2, 3, Kind.EXACT)]).field == 0


def test_folds_are_counted_together():
    cuts = [Fold((0, 1), (2, 3)), Fold((2, 3), (0, 1))]
    leak = leakage(four(), cuts, [Twins(0, 2, Kind.EXACT)])
    assert (leak.pictures, leak.exact) == (4, 0.5)


def test_a_split_in_parts_is_seen_as_one_fold():
    examples = made_up()
    parts = split(examples)
    fold = as_fold(examples, parts)
    assert {examples[at].path for at in fold.test} == {e.path for e in parts[Part.TEST]}
    assert leakage(examples, fold, []).group == 0
