"""A probability of 0.8 is right four times in five, and a strange picture is called strange."""

import numpy as np
import pytest

from ml.calibration import Temperature, calibration_error


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
