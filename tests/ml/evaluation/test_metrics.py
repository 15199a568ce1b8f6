"""Every figure is what its name says in the books, also where a class is missing."""

import json

import numpy as np
import pytest
from sklearn import metrics as books

from ml.calibration import calibration_error
from ml.classes import CLASSES
from ml.evaluation import (
    Answers,
    NothingToMeasure,
    confusion,
    measure,
    operating_point,
    per_class,
    values,
)
from tests.ml.evaluation.shared import by_hand, drawn, without

NAMES = [label.value for label in CLASSES]


def test_sensitivity_counts_any_malignant_class_as_found():
    figures = values(by_hand())
    assert figures["malignant_sensitivity"] == pytest.approx(58 / 60)
    assert figures["malignant_specificity"] == pytest.approx(18 / 20)


def test_confusion_has_the_truth_in_rows():
    assert confusion(by_hand())[1].tolist() == [2, 17, 1, 0]


def test_class_figures_by_hand():
    early = per_class(by_hand())["early_pre_b"]
    assert early["recall"] == pytest.approx(17 / 20)
    assert early["precision"] == pytest.approx(17 / 19)
    assert early["specificity"] == pytest.approx(58 / 60)
    assert early["f1"] == pytest.approx(2 * 17 / (20 + 19))
    assert (early["pictures"], early["slides"]) == (20, 2)


def test_figures_agree_with_scikit_learn():
    answers = drawn(skill=1.5)
    chances, targets = answers.probabilities, answers.targets
    said, ours = chances.argmax(axis=1), values(answers)
    truth = np.eye(4)[targets]
    expected = {
        "accuracy": books.accuracy_score(targets, said),
        "macro_precision": books.precision_score(targets, said, average="macro"),
        "macro_recall": books.recall_score(targets, said, average="macro"),
        "macro_f1": books.f1_score(targets, said, average="macro"),
        "macro_auroc": books.roc_auc_score(targets, chances, multi_class="ovr"),
        "macro_average_precision": books.average_precision_score(truth, chances),
        "malignant_auroc": books.roc_auc_score(targets != 0, 1 - chances[:, 0]),
        "log_loss": books.log_loss(targets, chances),
        "brier": books.brier_score_loss(targets, chances, scale_by_half=False),
        "calibration_error": calibration_error(chances, targets),
    }
    for position, name in enumerate(NAMES):
        one = targets == position
        expected[f"auroc.{name}"] = books.roc_auc_score(one, chances[:, position])
        expected[f"average_precision.{name}"] = books.average_precision_score(
            one, chances[:, position]
        )
    for name, figure in expected.items():
        assert ours[name] == pytest.approx(figure, abs=1e-9), name


def test_ties_count_half_as_in_scikit_learn():
    answers = drawn(skill=1.0)
    rounded = np.round(answers.probabilities, 1)
    tied = Answers(rounded, answers.targets, answers.groups)
    for position, name in enumerate(NAMES):
        one, chance = answers.targets == position, rounded[:, position]
        assert values(tied)[f"auroc.{name}"] == pytest.approx(books.roc_auc_score(one, chance))
        assert values(tied)[f"average_precision.{name}"] == pytest.approx(
            books.average_precision_score(one, chance)
        )


def test_sensitivity_is_stated_at_a_specificity_that_holds_on_the_same_answers():
    malignant = np.array([0.9, 0.8, 0.6, 0.3, 0.7, *[0.1] * 19])
    targets = np.array([1, 1, 2, 3, 0, *[0] * 19])
    rest = malignant[:, None] * np.full((1, 3), 1 / 3)
    answers = Answers(np.hstack([1 - malignant[:, None], rest]), targets, np.arange(24))
    point = operating_point(answers)  # one false alarm in 20 benign pictures is allowed
    assert point["sensitivity"] == 1.0 and point["specificity"] == pytest.approx(0.95)
    assert point["threshold"] == pytest.approx(0.3)
    strict = operating_point(answers, wanted=0.96)
    assert strict["sensitivity"] == 0.5 and strict["specificity"] == 1.0
    assert values(answers)["malignant_sensitivity_at_specificity"] == 1.0


def test_a_large_slide_does_not_hide_a_small_one_that_fails():
    targets = np.repeat([0, 1], [95, 5])
    groups = np.repeat(["large", "small"], [95, 5])
    alone = Answers(np.eye(4)[np.zeros(100, int)], targets, groups)
    assert values(alone)["accuracy"] == pytest.approx(0.95)
    assert values(alone)["slide_accuracy"] == pytest.approx(0.5)


def test_a_class_that_is_not_there_is_left_out_and_not_counted_as_failed():
    figures = measure(without(drawn(), 3), draws=40)
    assert figures["classes"]["pro_b"]["recall"] is None
    assert figures["classes"]["pro_b"]["auroc"] is None
    assert figures["classes"]["pro_b"]["specificity"] > 0.9
    assert figures["classes"]["pro_b"]["intervals"]["recall"] == {"low": None, "high": None}
    recalls = [figures["classes"][name]["recall"] for name in NAMES[:3]]
    assert figures["further"]["macro_recall"]["value"] == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize("left", [[0], [3], [1, 2, 3]])
def test_whatever_classes_are_there_the_figures_are_valid_json(left):
    answers = drawn()
    for position in set(range(4)) - set(left):
        answers = without(answers, position)
    figures = json.loads(json.dumps(measure(answers, draws=20), allow_nan=False))
    assert figures["further"]["malignant_auroc"] == {"value": None, "low": None, "high": None}
    assert figures["operating_point"]["sensitivity"] is None


def test_without_answers_there_is_nothing_to_measure():
    with pytest.raises(NothingToMeasure, match="no picture has an answer"):
        measure(Answers(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, str)))
