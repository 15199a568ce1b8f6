"""Every family tells apart what can be told apart, and answers in shares."""

import numpy as np
import pytest

from ml.experiments.classifiers import FAMILIES, UnknownFamily, chosen

QUICK = [f for f in FAMILIES if f.sees != "pictures" and f.key != "head"]


@pytest.fixture(scope="module")
def blobs():
    """80 points around four centres in 24 dimensions, and 40 more to ask about."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 1, (4, 24))
    targets = np.tile(np.arange(4), 30)
    points = centres[targets] + rng.normal(0, 0.4, (120, 24))
    return points[:80] * 5 + 2, targets[:80], points[80:] * 5 + 2, targets[80:]


@pytest.mark.parametrize("family", QUICK, ids=lambda family: family.key)
def test_every_family_learns_what_is_plain_and_answers_in_shares(blobs, family):
    taught, targets, asked, truth = blobs
    said = family.classify(taught, targets, asked, 3)
    assert said.shape == (40, 4)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-6)
    assert (said.argmax(axis=1) == truth).mean() > 0.9


@pytest.mark.parametrize("key", ["logistic", "svm", "pca-svm", "forest"])
def test_a_class_that_was_not_taught_is_never_answered(blobs, key):
    taught, targets, asked, _ = blobs
    two = np.isin(targets, (1, 3))
    (family,) = chosen([key])
    said = family.classify(taught[two], targets[two], asked, 3)
    assert not said[:, [0, 2]].any()
    assert set(said.argmax(axis=1)) == {1, 3}


@pytest.mark.model
def test_the_dense_head_learns_it_too():
    rng = np.random.default_rng(0)
    targets = np.tile(np.arange(4), 24)
    points = (rng.normal(0, 1, (4, 1024))[targets] + rng.normal(0, 0.5, (96, 1024))) * 5
    (family,) = chosen(["head"])
    said = family.classify(points[:64].astype(np.float32), targets[:64], points[64:], 3)
    assert (said.argmax(axis=1) == targets[64:]).mean() > 0.9


@pytest.mark.model
def test_the_small_cnn_answers_for_pictures():
    from ml.experiments.classifiers import small_cnn

    rng = np.random.default_rng(0)
    targets = np.tile(np.arange(4), 8)
    pictures = rng.integers(0, 40, (32, 128, 128, 3), dtype=np.uint8)
    pictures += (targets * 60).astype(np.uint8)[:, None, None, None]
    said = small_cnn(pictures, targets, pictures, 3, epochs=15)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    assert (said.argmax(axis=1) == targets).mean() > 0.6


def test_slow_families_are_left_out_unless_named_or_wanted():
    assert "cnn" not in {family.key for family in chosen(slow=False)}
    assert [family.key for family in chosen(["cnn"], slow=False)] == ["cnn"]


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(UnknownFamily, match="pca-svm"):
        chosen(["perceptron"])
