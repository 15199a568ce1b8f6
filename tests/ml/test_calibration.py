"""A probability of 0.8 is right four times in five, and a strange picture is called strange."""

import numpy as np
import pytest

from ml import evaluation
from ml.calibration import Gate, Temperature, calibration_error
from ml.classes import CLASSES
from ml.evaluation import Answers, confusion, measure, sensitivity, specificity


def softmax(logits):
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def boastful():
    """Probabilities three times too sure of themselves (in logits), and the truth."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 4))
    honest = softmax(logits)
    targets = np.array([rng.choice(4, p=row) for row in honest])
    return softmax(3 * logits), targets


def test_the_fitted_temperature_undoes_the_boast(boastful):
    raw, targets = boastful
    temperature = Temperature.fit(raw, targets, np.ones(len(targets)))
    assert temperature.value == pytest.approx(3, rel=0.1)
    assert calibration_error(temperature(raw), targets) < 0.03 < calibration_error(raw, targets)


def test_calibrated_rows_sum_to_one_and_keep_their_order(boastful):
    raw, _ = boastful
    calm = Temperature(2.5)(raw)
    np.testing.assert_allclose(calm.sum(axis=1), 1)
    np.testing.assert_array_equal(calm.argmax(axis=1), raw.argmax(axis=1))


def test_a_certain_softmax_stays_finite():
    sure = np.array([[1.0, 0.0, 0.0, 0.0]])
    assert np.isfinite(Temperature(2.0)(sure)).all()


def test_a_model_that_is_always_right_and_always_sure_has_no_calibration_error():
    sure = np.eye(4)
    assert calibration_error(sure, np.arange(4)) == 0
    assert calibration_error(sure, np.array([1, 0, 3, 2])) == pytest.approx(1)


@pytest.fixture(scope="module")
def gate():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(12, 40))
    known = rng.normal(size=(600, 12)) @ mix
    other = rng.normal(size=(400, 12)) @ mix
    slides = np.repeat(np.arange(4), 100)
    other[slides == 3] *= 6  # a slide unlike all others must not stretch what counts as familiar
    fitted = Gate.fit(known, other, slides, width=10, neighbours=3, false_alarms=0.025)
    return fitted, known, mix


def test_the_gate_alarms_at_the_rate_it_was_set_to(gate):
    fitted, _, mix = gate
    fresh = np.random.default_rng(9).normal(size=(2000, 12)) @ mix
    assert (fitted.familiarity(fresh) < 0.5).mean() == pytest.approx(0.025, abs=0.02)


def test_a_training_picture_is_fully_familiar_and_a_far_one_hardly(gate):
    fitted, known, mix = gate
    far = 8 * np.random.default_rng(3).normal(size=(50, 12)) @ mix
    assert fitted.familiarity(known).min() > 0.5
    assert fitted.familiarity(far).max() < 0.5
    assert ((fitted.familiarity(far) >= 0) & (fitted.familiarity(known[:50]) <= 1)).all()


def test_familiarity_halves_exactly_at_the_threshold(gate):
    fitted, known, _ = gate
    beyond = fitted.distance(known * 3) > fitted.threshold
    np.testing.assert_array_equal(beyond, fitted.familiarity(known * 3) < 0.5)


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    """Enough for a test; the real figures draw 2,000 times."""
    monkeypatch.setattr(evaluation.metrics, "RESAMPLES", 100)


def answers():
    """Two slides a class; benign has one picture in ten called malignant, and the reverse."""
    targets = np.repeat(np.arange(4), 20)
    said = targets.copy()
    said[[0, 10]] = 1  # benign called early pre-B
    said[[20, 21, 22]] = [0, 0, 2]  # early pre-B: two called benign, one called pre-B
    groups = np.array([f"{t}-{i // 10 % 2}" for i, t in enumerate(targets)])
    return Answers(np.eye(4)[said], targets, groups)


def test_sensitivity_counts_any_malignant_class_as_found():
    assert sensitivity(answers()) == pytest.approx(58 / 60)
    assert specificity(answers()) == pytest.approx(18 / 20)


def test_confusion_has_the_truth_in_rows():
    assert confusion(answers())[1].tolist() == [2, 17, 1, 0]


def test_figures_come_with_intervals_over_slides_that_hold_the_value():
    figures = measure(answers())
    assert figures["pictures"] == 80 and figures["groups"] == 8
    for row in figures["headline"].values():
        assert row["low"] <= row["value"] <= row["high"]
    assert figures["headline"]["accuracy"]["value"] == pytest.approx(75 / 80)
    assert figures["classes"][CLASSES[0].value]["recall"] == pytest.approx(0.9)
    assert figures["by_group"]["1-0"]["accuracy"] == pytest.approx(0.7)


def test_a_large_slide_does_not_hide_a_small_one_that_fails():
    targets = np.repeat([0, 1], [95, 5])
    groups = np.repeat(["large", "small"], [95, 5])
    alone = Answers(np.eye(4)[np.zeros(100, int)], targets, groups)
    assert evaluation.accuracy(alone) == pytest.approx(0.95)
    assert evaluation.slide_accuracy(alone) == pytest.approx(0.5)


def test_one_slide_a_class_gives_no_false_comfort():
    """With a single slide nothing is known about other slides: the interval has no width."""
    single = answers()
    alone = measure(Answers(single.probabilities, single.targets, single.targets.astype(str)))
    row = alone["headline"]["accuracy"]
    assert row["low"] == row["value"] == row["high"]
