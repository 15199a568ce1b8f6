"""Curves to draw are those of the books, and every end of them is where it belongs."""

import numpy as np
import pytest
from sklearn import metrics as books

from ml.calibration import calibration_error
from ml.evaluation import curves
from tests.ml.evaluation.shared import drawn


def test_roc_and_precision_recall_pass_through_scikit_learns_points():
    answers = drawn(skill=1.5)
    score, positive = answers.probabilities[:, 2], answers.targets == 2
    false, true = curves.roc(score, positive)
    their_false, their_true, _ = books.roc_curve(positive, score, drop_intermediate=False)
    np.testing.assert_allclose(false, their_false)
    np.testing.assert_allclose(true, their_true)
    recall, precision = curves.precision_recall(score, positive)
    their_precision, their_recall, _ = books.precision_recall_curve(positive, score)
    np.testing.assert_allclose(recall, their_recall[-2::-1][: len(recall)])
    np.testing.assert_allclose(precision, their_precision[-2::-1][: len(precision)])


def test_weighing_a_picture_twice_is_having_it_twice():
    answers = drawn(slides=(2, 2, 2, 2), skill=1)
    score, positive = answers.probabilities[:, 1], answers.targets == 1
    times = np.random.default_rng(0).integers(0, 4, len(score))
    weighted = curves.Ranking.of(score, positive).counts(times[None].astype(float))
    repeated = curves.Ranking.of(score.repeat(times), positive.repeat(times)).counts()
    assert weighted.area()[0] == pytest.approx(repeated.area()[0])
    assert weighted.average_precision()[0] == pytest.approx(repeated.average_precision()[0])


def test_reliability_bins_add_up_to_the_calibration_error():
    answers = drawn(skill=2)
    bins = curves.reliability(answers.probabilities, answers.targets)
    filled = bins.pictures > 0
    gaps = np.abs(bins.accuracy - bins.confidence)[filled] * bins.pictures[filled]
    expected = calibration_error(answers.probabilities, answers.targets)
    assert gaps.sum() / len(answers.targets) == pytest.approx(expected)
    assert bins.pictures.sum() == len(answers.targets)


def test_leaving_the_least_sure_to_people_ends_at_plain_accuracy():
    answers = drawn(skill=2)
    answered, accuracy = curves.coverage(answers.probabilities, answers.targets)
    assert answered[-1] == 1
    assert accuracy[-1] == pytest.approx(
        (answers.probabilities.argmax(axis=1) == answers.targets).mean()
    )
    assert accuracy[: len(accuracy) // 2].mean() > accuracy[-1]


def test_a_curve_of_one_kind_alone_is_undefined_and_says_so():
    _, true = curves.roc(np.array([0.2, 0.4]), np.array([False, False]))
    assert np.isnan(true[1:]).all()
    recall, _ = curves.precision_recall(np.array([0.2, 0.4]), np.array([False, False]))
    assert np.isnan(recall).all()


def test_learning_curves_take_both_ways_of_naming_and_leave_out_what_is_not_there():
    ours = curves.learning([{"loss": 1.0, "validation_accuracy": 0.5}, {"loss": 0.5}])
    assert ours["loss"]["training"].tolist() == [1.0, 0.5]
    assert list(ours["accuracy"]) == ["validation"]
    kerass = curves.learning([{"accuracy": 0.4, "val_accuracy": 0.3, "val_loss": 2.0}])
    assert kerass["accuracy"]["validation"].tolist() == [0.3]
    assert kerass["loss"]["validation"].tolist() == [2.0]
    with pytest.raises(curves.HistoryUnreadable):
        curves.learning([{"epoch": 1}])
