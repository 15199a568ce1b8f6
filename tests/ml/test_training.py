"""Training can be stopped and gone on with, and what is measured is what ships."""

import numpy as np
import pytest

from tests.ml.data.test_splits import made_up

pytestmark = pytest.mark.model


def quiet(what, done, total):
    """A report that nobody reads."""


@pytest.fixture(scope="module")
def features():
    """Four well-parted classes in 1,024 features, 80 pictures."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 1, (4, 1024))
    targets = np.tile(np.arange(4), 20)
    rows = centres[targets] + rng.normal(0, 0.7, (80, 1024))
    return rows.astype(np.float32) * 5 + 2, targets


def samples(count=12):
    """Pictures of nothing, with one cell each, of one slide a class."""
    from ml.samples import Samples

    rng = np.random.default_rng(1)
    examples = made_up(groups_per_class=1, pictures=count // 4)
    fields = rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    masks = rng.random((count, 64, 64)) > 0.5
    spots = [np.array([[20.0, 30.0]], np.float32)] * count
    shown = rng.integers(0, 256, (count, 128, 128, 3), dtype=np.uint8)
    return Samples(examples, list(fields), list(masks), spots, shown, shown, ["ok"] * count)


class Means:
    """Trunks that say the mean colour: cheap, and enough to see a change."""

    asked = 0

    def __call__(self, original, segmented):
        self.asked += len(original)
        return np.concatenate([original.mean(axis=(1, 2)), segmented.mean(axis=(1, 2))], axis=1)

    def fingerprint(self):
        return "means"


def test_the_head_learns_what_can_be_learnt_in_a_few_epochs(features):
    from ml.ladder import LadderPlan, train

    rows, targets = features
    _, history = train(
        rows,
        targets,
        np.full(80, 1 / 80),
        validation=(rows, targets),
        plan=LadderPlan(epochs=15),
        report=quiet,
    )
    assert len(history) == 15
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["validation_accuracy"] > 0.95


def test_mixed_and_softened_labels_still_sum_to_one(features):
    from ml.ladder import LadderPlan, _batch

    rows, targets = features
    plan = LadderPlan(smoothing=0.1, mixup=0.3, noise=0.2)
    shown, wanted = _batch(rows, targets, np.arange(8), plan, np.random.default_rng(0))
    np.testing.assert_allclose(wanted.sum(axis=1), 1, atol=1e-6)
    assert not np.allclose(shown, rows[:8])


def test_absorbing_the_standardisation_changes_no_answer(features):
    from ml import fusion
    from ml.ladder import _absorb

    rows, _ = features
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    head = fusion.head()
    before = np.asarray(head((rows - centre) / scale))
    after = np.asarray(_absorb(head, centre, scale)(rows))
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_changed_pictures_are_the_same_in_every_run_and_each_another(tmp_path):
    one, other = (shaken_in(tmp_path / name, Means()) for name in ("a", "b"))
    np.testing.assert_array_equal(one.features, other.features)
    np.testing.assert_array_equal(one.of, other.of)
    assert len(np.unique(one.features, axis=0)) == 20


def test_features_that_were_computed_are_not_computed_again(tmp_path):
    from ml.features import plain

    trunks = Means()
    shaken_in(tmp_path, trunks)
    plain(trunks, samples(), folder=tmp_path, report=quiet)
    asked = trunks.asked
    shaken_in(tmp_path, trunks)
    plain(trunks, samples(), folder=tmp_path, report=quiet)
    assert asked == trunks.asked == 32


def shaken_in(folder, trunks):
    from ml import augmentation
    from ml.features import shaken

    folder.mkdir(exist_ok=True)
    return shaken(
        trunks,
        samples(),
        ranges=augmentation.TRAINING,
        count=20,
        folder=folder,
        seed=3,
        report=quiet,
    )


def test_no_head_is_taught_on_what_it_is_judged_on_nor_on_a_changed_copy_of_it(monkeypatch):
    from ml import ladder
    from ml.data import folds
    from ml.experiments import folds as experiment
    from ml.experiments.folds import Known, crossfit
    from ml.features import Shaken
    from ml.ladder import LadderPlan

    examples = made_up(groups_per_class=4, pictures=3)
    count = len(examples)
    # Each picture's features are its own number, so a head can tell what it was taught on.
    numbers = np.repeat(np.arange(count, dtype=np.float32)[:, None], 1024, axis=1)
    of = np.arange(count).repeat(2)
    taught = []

    class Head:
        def __init__(self, known):
            self.known = known

        def predict(self, rows, verbose):
            assert not self.known & set(rows[:, 0].tolist())
            return np.full((len(rows), 4), 0.25, np.float32)

        def familiarity(self, rows):
            assert not self.known & set(rows[:, 0].tolist())
            return np.ones(len(rows))

    def train(features, targets, weights, *, plan, report):
        assert weights.sum() == pytest.approx(1)
        taught.append(len(features))
        return Head(set(features[:, 0].tolist())), []

    def gate(known, chosen):
        return Head({float(row) for row in chosen})

    monkeypatch.setattr(ladder, "train", train)
    monkeypatch.setattr(experiment, "gate", gate)
    parts = folds(examples, by="group", count=4)
    known = Known(examples, numbers, Shaken(numbers[of], of), numbers[:1], np.array(["noise"]))
    found = crossfit(known, parts, plan=LadderPlan(), report=quiet)
    assert taught == [3 * len(fold.train) for fold in parts]
    np.testing.assert_allclose(found.calibrated.sum(axis=1), 1, atol=1e-6)
    assert found.familiar.all()


def test_the_judge_leaves_out_a_slide_of_which_the_package_was_taught_one_picture():
    from types import SimpleNamespace

    from ml.data import DataLeaks
    from ml.judging import DIGITS, unseen

    examples = made_up(groups_per_class=3)
    slide = examples[0].group
    package = SimpleNamespace(manifest={"training": {"pictures": [examples[0].sha256[:DIGITS]]}})
    left = unseen(package, examples)
    assert {e.group for e in left} == {e.group for e in examples} - {slide}
    with pytest.raises(DataLeaks):
        unseen(package, [e for e in examples if e.group == slide])
