"""The experiment that knows slides again shows what it looks at, and what that is worth."""

import json

import keras
import numpy as np
import pytest

from ml import fusion
from ml.experiments import recognition
from ml.preprocessing import unit
from tests.ml.experiments import drawn


@pytest.fixture(scope="module")
def smears(tmp_path_factory):
    return drawn.examples(tmp_path_factory.mktemp("smears"), slides=3, fields=5)


@pytest.fixture(scope="module")
def colours():
    """A trunk that costs nothing and speaks in two outputs, as `blocks` does."""
    shown = keras.Input(fusion.INPUT)
    coarse = keras.layers.AveragePooling2D(64)(shown)
    outputs = [keras.layers.Flatten()(coarse), keras.layers.GlobalMaxPooling2D()(shown)]
    return keras.Model(shown, outputs)


def said(smears, colours, folder, trunks=None):
    trunks = trunks or drawn.Means()
    return recognition.seen(smears, colours, trunks, folder=folder, report=drawn.quiet)


def test_a_picture_is_seen_from_all_its_eight_sides():
    picture = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    views = recognition.turned(picture)
    assert len({view.tobytes() for view in views}) == 8
    assert all(sorted(view.ravel()) == sorted(picture.ravel()) for view in views)


def test_the_blocks_see_the_picture_as_vgg16_was_taught_to_see_it():
    model = recognition.blocks(None)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (1, *fusion.INPUT), dtype=np.uint8)
    whole = fusion.vgg16(None)
    inner = [next(x for x in m.layers if isinstance(x, keras.Model)) for m in (model, whole)]
    inner[1].set_weights(inner[0].get_weights())
    deepest = np.asarray(model.predict_on_batch(unit(picture))[-1])
    expected = np.asarray(whole.predict_on_batch(unit(picture))).mean(axis=(1, 2))
    np.testing.assert_allclose(deepest, expected, rtol=1e-4, atol=1e-5)


def test_it_is_judged_by_the_papers_split_by_slide_and_by_sitting(smears, colours, tmp_path):
    known = said(smears, colours, tmp_path)
    result = recognition.run(smears, known, seeds=(0, 1), report=drawn.quiet)
    assert set(result["ways"]) == set(recognition.WAYS)
    for way in ("group", "session"):
        assert sum(one["of"] for one in result["ways"][way]["rounds"]) == len(smears)
    for one in result["ways"]["paper"]["rounds"]:
        assert one["of"] == pytest.approx(0.2 * len(smears), abs=4)
        assert one["errors"] <= one["of"] / 2
    file = recognition.write(result, tmp_path)
    assert json.loads(file.read_text()) == result
    *rows, together = recognition.lines(result, "paper")
    assert [row[0] for row in rows] == ["seed-0", "seed-1"]
    assert int(together[2]) == sum(int(row[2]) for row in rows)


def test_run_again_nothing_is_looked_at_again(smears, colours, tmp_path):
    trunks = drawn.Means()
    first = said(smears, colours, tmp_path, trunks)
    assert trunks.asked == len(smears)
    again = said(smears, colours, tmp_path, trunks)
    assert trunks.asked == len(smears)
    assert [one.shape[1] for one in first] == [12, 3, 54]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_judged_does_not_change_what_is_learnt(smears, colours, tmp_path):
    known = said(smears, colours, tmp_path)
    targets = np.array([example.target for example in smears])
    one = recognition.rounds.by_folds(smears, "group", 3)[0]
    before = recognition.classify(known, targets, one, one.train)
    strange = [source.copy() for source in known]
    for source in strange:
        source[list(one.test)] = 1e6
    after = recognition.classify(strange, targets, one, one.train)
    np.testing.assert_array_equal(before, after)
