"""Training can be stopped and gone on with, and what is measured is what ships."""

import numpy as np
import pytest

from ml.classes import CLASSES
from tests.ml.test_data import made_up

pytestmark = pytest.mark.model


def quiet(what, done, total):
    """A report that nobody reads."""


@pytest.fixture(scope="module")
def features():
    """Four well-parted classes in 1,024 features, three shaken copies of 80 pictures."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 1, (4, 1024))
    targets = np.tile(np.arange(4), 20)
    copies = centres[targets] + rng.normal(0, 0.7, (3, 80, 1024))
    return copies.astype(np.float32) * 5 + 2, targets


@pytest.fixture
def small_trunk(monkeypatch):
    """A trunk of two layers instead of DenseNet's hundred, built the same way."""
    import keras

    from ml import fusion

    def tiny(weights=None, *, scale="unit"):
        inside = keras.Input(fusion.INPUT)
        x = keras.layers.Conv2D(4, 3, strides=16)(inside)
        inner = keras.Model(inside, keras.layers.BatchNormalization()(x))
        picture = keras.Input(fusion.INPUT)
        return keras.Model(picture, inner(picture), name="densenet121")

    monkeypatch.setattr(fusion, "densenet121", tiny)


def samples(count=12):
    from ml.samples import Samples

    rng = np.random.default_rng(1)
    examples = made_up(groups_per_class=1, pictures=count // 4)
    fields = rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    masks = rng.random((count, 64, 64)) > 0.5
    shown = rng.integers(0, 256, (count, 128, 128, 3), dtype=np.uint8)
    return Samples(examples, list(fields), list(masks), shown, shown, ["ok"] * count)


def test_the_head_learns_what_can_be_learnt_in_a_few_epochs(features):
    from ml.ladder import LadderPlan, train

    copies, targets = features
    _, history = train(
        copies,
        targets,
        np.full(80, 1 / 80),
        validation=(copies[0], targets),
        plan=LadderPlan(epochs=15),
        report=quiet,
    )
    assert len(history) == 15
    assert history[-1]["validation_accuracy"] > 0.95


def test_absorbing_the_standardisation_changes_no_answer(features):
    from ml import fusion
    from ml.ladder import _absorb

    copies, _ = features
    centre, scale = copies.mean(axis=(0, 1)), copies.std(axis=(0, 1))
    head = fusion.head()
    before = np.asarray(head((copies[0] - centre) / scale))
    after = np.asarray(_absorb(head, centre, scale)(copies[0]))
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_broken_run_goes_on_from_its_last_whole_epoch(tmp_path, small_trunk):
    from ml.trunk import TrunkPlan, train

    plan = TrunkPlan(epochs=3, batch=4)
    heard = []

    def interrupt(what, done, total):
        if "epoch 3" in what:
            raise KeyboardInterrupt

    def listen(what, done, total):
        heard.append(what)

    with pytest.raises(KeyboardInterrupt):
        train(samples(), samples(), plan=plan, folder=tmp_path, report=interrupt)
    train(samples(), samples(), plan=plan, folder=tmp_path, report=listen)
    assert {what.split(", ")[1] for what in heard} == {"epoch 3 of 3"}


def test_settling_makes_the_running_means_true(small_trunk):
    import keras

    from ml import fusion
    from ml.trunk import _settle

    trunk = fusion.densenet121()
    rng = np.random.default_rng(2)
    batches = [(rng.random((4, 128, 128, 3), dtype=np.float32), None) for _ in range(3)]
    _settle(trunk, iter(batches))
    inner = next(layer for layer in trunk.layers if isinstance(layer, keras.Model))
    norm = next(x for x in inner.layers if isinstance(x, keras.layers.BatchNormalization))
    seen = np.concatenate([np.asarray(inner.layers[1](pictures)) for pictures, _ in batches])
    np.testing.assert_allclose(norm.moving_mean, seen.mean(axis=(0, 1, 2)), atol=1e-5)


def test_shaken_features_are_the_same_in_every_run_and_differ_by_copy(tmp_path):
    from ml import augmentation
    from ml.features import shaken

    class Means:
        """Trunks that say the mean colour: cheap, and enough to see a change."""

        def __call__(self, original, segmented):
            return np.concatenate([original.mean(axis=(1, 2)), segmented.mean(axis=(1, 2))], axis=1)

        def fingerprint(self):
            return "means"

    def once(folder):
        folder.mkdir()
        return shaken(
            Means(),
            samples(),
            ranges=augmentation.TRAINING,
            copies=2,
            folder=folder,
            seed=3,
            report=quiet,
        )

    one, other = once(tmp_path / "a"), once(tmp_path / "b")
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one[0], one[1])


def test_the_judge_leaves_out_every_slide_the_package_was_trained_or_tuned_on():
    from types import SimpleNamespace

    from ml.data import DataLeaks
    from ml.judging import unseen

    examples = made_up(groups_per_class=3)
    names = [[f"{label}-{i}" for label in CLASSES] for i in range(3)]
    slides = {"train": names[0], "validation": names[1], "test": names[2]}
    package = SimpleNamespace(manifest={"training": {"slides": slides}})
    assert {e.group for e in unseen(package, examples)} == set(names[2])
    with pytest.raises(DataLeaks):
        unseen(package, [e for e in examples if e.group in names[0]])
