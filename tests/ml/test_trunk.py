"""DenseNet's trunk learns from VGG16 what cells look like, from no label, and can be stopped."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ml.classes import CLASSES
from tests.ml.data.test_splits import made_up

pytestmark = pytest.mark.model

CHANNELS = 4


def quiet(what, done, total):
    """A report that nobody reads."""


def small(name):
    """A trunk of two layers instead of DenseNet's hundred, built the same way."""
    import keras

    from ml import fusion

    inside = keras.Input(fusion.INPUT)
    x = keras.layers.Conv2D(CHANNELS, 16, strides=16)(inside)
    inner = keras.Model(inside, keras.layers.BatchNormalization()(x))
    picture = keras.Input(fusion.INPUT)
    return keras.Model(picture, inner(picture), name=name)


@pytest.fixture
def teach(monkeypatch, tmp_path):
    """`ml.trunk.teach` of a small trunk by a small teacher, in a folder of the test's."""
    from ml import fusion, trunk

    monkeypatch.setattr(fusion, "densenet121", lambda weights: small("densenet121"))
    teacher = small("teacher")

    def run(held=None, folder="run", report=quiet, **changes):
        here = replace(plan(), **changes)
        where = tmp_path / folder
        return trunk.teach(held or samples(), teacher, plan=here, folder=where, report=report)

    return run


def plan():
    from ml.trunk import TrunkPlan

    return TrunkPlan(pictures=48, epochs=3, batch=8, peak_rate=2e-2)


def samples(count=4):
    from ml.samples import Samples

    rng = np.random.default_rng(1)
    examples = made_up(groups_per_class=1, pictures=count // 4)
    fields = rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    masks = rng.random((count, 64, 64)) > 0.5
    spots = [rng.uniform(8, 56, (number % 5, 2)).astype(np.float32) for number in range(1, 5)]
    shown = rng.integers(0, 256, (count, 128, 128, 3), dtype=np.uint8)
    verdicts = ["ok"] * count
    return Samples(examples, list(fields), list(masks), spots, shown, shown, verdicts)


def weights(trunk):
    return [np.asarray(weight) for weight in trunk.get_weights()]


def assert_alike(one, other):
    for here, there in zip(weights(one), weights(other), strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-4)


def test_the_trunks_error_falls(teach, tmp_path):
    teach(epochs=4)
    history = json.loads((tmp_path / "run" / "trunk-history.json").read_text())
    assert len(history) == 4
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]


def test_a_broken_run_goes_on_from_its_last_whole_epoch_to_the_same_trunk(teach):
    heard = []

    def interrupt(what, done, total):
        if "epoch 3" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(folder="broken", report=interrupt)
    resumed = teach(folder="broken", report=lambda what, *_: heard.append(what))
    assert {what.split(", ")[1] for what in heard if "epoch" in what} == {"epoch 3 of 3"}
    assert_alike(resumed, teach(folder="whole"))


def test_a_finished_run_is_not_taught_again(teach):
    heard = []
    first = teach(epochs=1)
    again = teach(epochs=1, report=lambda what, *_: heard.append(what))
    assert not heard
    assert_alike(first, again)


def test_another_plans_folder_is_refused_and_left_alone(teach, tmp_path):
    teach(epochs=1)
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    with pytest.raises(ValueError, match="another plan"):
        teach(epochs=2)
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


def test_neither_class_nor_slide_is_looked_at(teach):
    held = samples()
    others = [
        replace(example, label=CLASSES[(CLASSES.index(example.label) + 1) % 4], group="one slide")
        for example in held.examples
    ]
    swapped = replace(held, examples=others)
    assert_alike(teach(held, folder="one", epochs=1), teach(swapped, folder="other", epochs=1))


def test_another_seed_teaches_another_trunk(teach):
    """Or the promises of sameness above would hold of a trunk that never moves."""
    one, other = teach(folder="one", epochs=1), teach(folder="other", epochs=1, seed=8)
    assert np.abs(weights(one)[0] - weights(other)[0]).max() > 1e-2


def test_lessons_are_galleries_of_the_samples_cells_and_of_no_field_without_any():
    from ml.trunk import lessons

    held = samples()
    assert [len(spots) for spots in held.spots] == [1, 2, 3, 4]
    bare = replace(held, spots=[np.zeros((0, 2), np.float32), *held.spots[1:]])
    shown = lessons(bare, plan=plan())
    assert shown.shape == (48, 128, 128, 3) and shown.dtype == np.uint8
    assert (shown.reshape(48, -1).std(axis=1) > 10).all(), "none is empty glass"
    np.testing.assert_array_equal(shown, lessons(bare, plan=plan()))
    assert not np.array_equal(shown, lessons(bare, plan=replace(plan(), seed=8)))
