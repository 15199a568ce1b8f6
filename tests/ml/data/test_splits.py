"""No slide and no picture is ever in two parts of the split: a good figure that leaks is a bug."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.classes import CLASSES, Class
from ml.data import (
    SHARES,
    DataLeaks,
    Example,
    Part,
    folds,
    forbid_leaks,
    paper_split,
    read_index,
    split,
    summary,
    weights_by_group,
)
from tests.ml.shared import TALEQANI, needs_shared


def made_up(groups_per_class=6, pictures=10):
    return [
        Example(
            path=Path(f"{label}-{group}-{picture}.jpg"),
            label=label,
            group=f"{label}-{group}",
            session="s0",
            sha256=f"{label}-{group}-{picture}",
        )
        for label in CLASSES
        for group in range(groups_per_class)
        for picture in range(pictures)
    ]


def in_sittings():
    """Six slides of each class, two to a sitting."""
    return [
        replace(example, session=f"{example.label}-{int(example.group[-1]) // 2}")
        for example in made_up()
    ]


def slides(examples):
    return {example.group for example in examples}


def test_a_slide_is_in_one_part_only_and_nothing_is_lost():
    examples = made_up()
    parts = split(examples)
    assert sum(map(len, parts.values())) == len(examples)
    for one in Part:
        for other in Part:
            assert one == other or not slides(parts[one]) & slides(parts[other])


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    examples = made_up()
    assert split(examples, seed=1) == split(examples, seed=1)
    assert split(examples, seed=1) != split(examples, seed=2)


def test_every_part_holds_every_class_in_about_its_share():
    examples = made_up(groups_per_class=10)
    for part, held in split(examples).items():
        assert {example.label for example in held} == set(CLASSES)
        assert len(held) == pytest.approx(SHARES[part] * len(examples), rel=0.1)


def test_slides_that_share_a_picture_stay_together():
    examples = made_up()
    twin = next(e for e in examples if e.group == "pro_b-0")
    other = next(i for i, e in enumerate(examples) if e.group == "pro_b-5")
    examples[other] = replace(examples[other], sha256=twin.sha256)
    for seed in range(10):
        parts = split(examples, seed=seed)
        home = {g: part for part, held in parts.items() for g in slides(held)}
        assert home["pro_b-0"] == home["pro_b-5"]


@pytest.mark.parametrize("what", ["group", "sha256"])
def test_a_leak_is_refused_whether_by_slide_or_by_the_very_bytes(what):
    one, other = made_up()[0], made_up()[30]
    leaking = replace(other, **{what: getattr(one, what)})
    with pytest.raises(DataLeaks, match=what):
        forbid_leaks({Part.TRAIN: [one], Part.TEST: [leaking]})


def test_too_few_slides_are_refused_rather_than_cut():
    with pytest.raises(DataLeaks):
        split(made_up(groups_per_class=2))


def test_classes_count_alike_and_a_large_slide_does_not_drown_a_small_one():
    examples = [e for e in made_up(groups_per_class=2) if e.label is Class.BENIGN]
    large = [replace(examples[0], path=Path(f"{i}"), group="large") for i in range(100)]
    small = [replace(examples[0], path=Path("x"), group="small", label=Class.PRO_B)]
    weights = weights_by_group([*large, *examples[:1], *small])
    assert weights.sum() == pytest.approx(1)
    assert weights[-1] == pytest.approx(0.5)  # the only picture of its class
    assert weights[:100].sum() / weights[100] == pytest.approx(10)  # root of 100, not 100


@needs_shared
def test_the_real_split_leaks_nothing_and_holds_every_class():
    examples = read_index(TALEQANI)
    parts = split(examples)
    forbid_leaks(parts)
    counts = summary(parts)
    assert sum(map(len, parts.values())) == len(examples)
    assert all(counts[part][label]["groups"] >= 1 for part in Part for label in CLASSES)
    sizes = np.array([len(parts[part]) for part in Part]) / len(examples)
    np.testing.assert_allclose(sizes, list(SHARES.values()), atol=0.03)


def test_the_papers_split_rounds_as_the_paper_does():
    sizes = [len(held) for held in paper_split(made_up(44, 1)[:1] * 3256).values()]
    assert dict(zip(Part, sizes, strict=True)) == {"train": 2279, "test": 652, "validation": 325}


@pytest.mark.parametrize("by", ["image", "group", "session"])
def test_every_picture_is_tested_once_and_never_in_its_own_training(by):
    examples = in_sittings()
    made = folds(examples, by, count=3)
    assert sorted(i for fold in made for i in fold.test) == list(range(len(examples)))
    for fold in made:
        assert sorted({*fold.train, *fold.test}) == list(range(len(examples)))
        assert len(fold.train) + len(fold.test) == len(examples)


@pytest.mark.parametrize("by", ["group", "session"])
def test_no_fold_cuts_a_slide_or_a_sitting(by):
    examples = in_sittings()
    for fold in folds(examples, by, count=3):
        sides = ({getattr(examples[i], by) for i in side} for side in (fold.train, fold.test))
        assert not set.intersection(*sides)


@pytest.mark.parametrize("by", ["group", "session"])
def test_an_exact_copy_is_never_on_both_sides_of_a_fold(by):
    examples = in_sittings()
    examples[-1] = replace(examples[-1], sha256=examples[0].sha256)
    for fold in folds(examples, by, count=3):
        assert (0 in fold.test) == (len(examples) - 1 in fold.test)


def test_a_slide_of_two_sittings_may_be_cut_between_them():
    examples = [replace(e, group="one") for e in in_sittings()]
    assert len(folds(examples, "session", count=3)) == 3


def test_the_classes_are_shared_out_among_the_folds():
    examples = made_up(groups_per_class=10)
    for fold in folds(examples, "group", count=5):
        counts = [sum(examples[i].label == label for i in fold.test) for label in CLASSES]
        assert min(counts) == max(counts) == 20


def test_more_folds_than_slides_are_refused_in_words():
    with pytest.raises(DataLeaks, match="ask for fewer"):
        folds(made_up(groups_per_class=1), "group", count=5)


def test_too_few_pictures_for_the_papers_split_are_refused_in_words():
    with pytest.raises(DataLeaks, match="8 pictures are too few"):
        paper_split(made_up(groups_per_class=1, pictures=2))
