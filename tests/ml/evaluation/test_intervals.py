"""An interval says what other slides could have given, and few slides say little."""

import numpy as np
import pytest

from ml.evaluation import Answers, Batch, intervals, measure
from tests.ml.evaluation.shared import by_hand, drawn, without

FEW = 60  # enough for a test; the real figures draw 2,000 times


def perfect(slides, size=10):
    targets = np.repeat(np.arange(4), np.multiply(slides, size))
    groups = np.repeat(np.arange(sum(slides)), size)
    return Answers(np.eye(4)[targets] * 0.96 + 0.01, targets, groups)


def lows(answers, draws=400):
    figures = measure(answers, draws=draws)
    return figures["headline"]["accuracy"]["low"], figures["new_batch"]["figures"]["accuracy"][
        "low"
    ]


def test_figures_come_with_intervals_over_slides_that_hold_the_value():
    figures = measure(by_hand(), draws=FEW)
    assert figures["pictures"] == 80 and figures["groups"] == 8
    for row in figures["headline"].values():
        assert row["low"] <= row["value"] <= row["high"]
    assert figures["headline"]["accuracy"]["value"] == pytest.approx(75 / 80)
    assert figures["classes"]["benign"]["recall"] == pytest.approx(0.9)
    assert figures["by_group"]["1-0"]["accuracy"] == pytest.approx(0.7)


def test_one_slide_a_class_gives_no_false_comfort():
    """With a single slide nothing is known about other slides, so the interval is wide."""
    single = by_hand()
    alone = Answers(single.probabilities, single.targets, single.targets.astype(str))
    row = measure(alone, draws=400)["headline"]["accuracy"]
    assert row["high"] - row["low"] > 0.1


def test_a_perfect_result_on_few_slides_promises_less_than_one_on_many():
    few, many = lows(perfect((3, 3, 3, 3))), lows(perfect((40, 40, 40, 40)))
    assert few[0] < many[0] < 1
    assert few[1] < many[1]
    assert many[0] > 0.97


def test_a_perfect_result_keeps_perfection_within_reach():
    figures = measure(perfect((5, 5, 5, 5)), draws=200)
    assert figures["headline"]["accuracy"]["high"] == 1


def test_a_small_new_batch_may_fall_further_than_the_figure_in_general():
    interval, batch = lows(drawn(skill=2.5))
    assert batch < interval


def test_the_batch_says_what_it_stands_for_and_leaves_out_a_class_that_is_not_there():
    method = measure(drawn(), draws=20, batch=Batch((1, 2, 3, 4), (10, 20, 30, 40)))
    assert "10 slides, 100 pictures" in method["new_batch"]["method"]
    fewer = measure(without(drawn(), 3), draws=20)["new_batch"]["method"]
    assert "11 slides, 367 pictures" in fewer


def test_the_same_answers_give_the_same_intervals():
    assert measure(drawn(), draws=40) == measure(drawn(), draws=40)


def test_every_draw_holds_as_many_pictures_of_each_class_as_it_should():
    answers = drawn(slides=(3, 4, 5, 6), size=7)
    batch = Batch((2, 2, 2, 2), (11, 12, 13, 14))
    classes = np.tile(answers.targets, 4)
    for wanted, chosen in (((21, 28, 35, 42), None), (batch.pictures, batch)):
        for draw in intervals.draws(answers.targets, answers.groups, batch=chosen, count=25):
            held = [draw.pictures[:, classes == position].sum(axis=1) for position in range(4)]
            np.testing.assert_array_equal(held, np.tile(np.array(wanted)[:, None], len(held[0])))


def test_most_draws_hold_an_imagined_picture_but_only_one_slide_of_them_is_imagined():
    answers = drawn()
    pictures = np.concatenate(
        [draw.pictures for draw in intervals.draws(answers.targets, answers.groups, count=500)]
    )
    share = pictures[:, len(answers.targets) :].sum() / pictures.sum()
    # One slide of 47, and on average half of its pictures.
    assert share == pytest.approx(0.5 / 47, rel=0.35)


def test_an_imagined_picture_is_taken_for_another_class_as_surely_as_for_its_own():
    chances = np.array([[0.1, 0.7, 0.15, 0.05]])
    probabilities, targets = intervals.imagined(chances, np.array([1]))
    assert targets.tolist() == [1, 1, 1, 1]
    assert probabilities.tolist() == [
        [0.1, 0.7, 0.15, 0.05],
        [0.1, 0.15, 0.7, 0.05],
        [0.1, 0.05, 0.15, 0.7],
        [0.7, 0.1, 0.15, 0.05],
    ]


def test_the_interval_for_a_new_batch_holds_new_batches():
    """Slides fail at random; of 40 such worlds nearly all new batches fall where promised."""
    rng = np.random.default_rng(7)
    batch, held = Batch((3, 3, 3, 3), (30, 30, 30, 30)), 0
    for _ in range(40):
        rights = rng.random((40, 10)) < rng.beta(3, 0.2, 40)[:, None]
        targets, groups = np.repeat(np.arange(4), 100), np.repeat(np.arange(40), 10)
        right = np.append(rights.ravel(), np.zeros(1200))
        accuracy = [
            draw.pictures @ right / draw.pictures.sum(axis=1)
            for draw in intervals.draws(targets, groups, batch=batch, count=200)
        ]
        low, high = np.percentile(np.concatenate(accuracy), intervals.PERCENTILES)
        new = (rng.random((12, 10)) < rng.beta(3, 0.2, 12)[:, None]).mean()
        held += bool(low <= new <= high)
    assert held >= 36


def test_seen_slides_alone_promise_more_than_the_interval_and_are_named_so():
    answers = perfect((5, 5, 5, 5))
    figures = measure(answers, draws=400)
    assert figures["seen_only"]["figures"]["accuracy"] == {"low": 1.0, "high": 1.0}
    assert figures["headline"]["accuracy"]["low"] < 1
    assert "imagined" in figures["interval"]
    assert "imagined" not in figures["seen_only"]["method"]
    leaky = measure(answers, draws=40, batch=None, unseen=False)
    assert leaky["headline"]["accuracy"]["low"] == 1 and leaky["new_batch"] is None
