"""What an explanation promises: it adds up to the answer, and it follows the network."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from typer.testing import CliRunner

from ml import explanation
from ml.classes import CLASSES, Class
from ml.cli import app
from ml.explanation import Ladder, NothingToExplain, explain, from_maps, overlay
from ml.images import encode_png
from ml.packages import COMMITTED, verify
from ml.preprocessing import prepare
from ml.reading import load
from ml.segmentation import segment
from ml.sheet import draw
from ml.synthetic import smear

WIDTHS = (10, 8, 6, 4)


def ladder(seed=0):
    rng = np.random.default_rng(seed)
    weights = {}
    for below, above in pairwise(WIDTHS):
        weights[f"dense_{above}/kernel"] = rng.normal(size=(below, above)).astype(np.float32)
        weights[f"dense_{above}/bias"] = rng.normal(size=above).astype(np.float32)
    return Ladder.from_weights(dict(sorted(weights.items(), reverse=True)))


def maps(seed=1, bright=()):
    """Two (8, 8, 5) maps; `bright` positions of both are ten times as active."""
    made = np.random.default_rng(seed).normal(size=(2, 8, 8, 5)).astype(np.float32)
    for row, column in bright:
        made[:, row, column] *= 10
    return made[0], made[1]


EMPTY = (np.zeros((8, 8, 5), np.float32), np.zeros((8, 8, 5), np.float32))
CELLS = np.zeros((120, 160), bool)
CELLS[30:60, 40:80] = True


def why(head=None, seen=None, **more):
    return from_maps(head or ladder(), seen or maps(), empty=EMPTY, cells=CELLS, **more)


def test_the_gradient_is_what_a_nudge_of_each_feature_does():
    head, features = ladder(), np.random.default_rng(2).normal(size=10).astype(np.float32)
    direction = np.float32([0.75, -0.25, -0.25, -0.25])
    slope = head.gradient(features, direction)
    for at in range(10):
        nudge = np.eye(10, dtype=np.float32)[at] * 1e-3
        change = (head.logits(features + nudge) - head.logits(features - nudge)) @ direction / 2e-3
        assert slope[at] == pytest.approx(change, abs=2e-2)


@pytest.mark.parametrize("label", CLASSES)
def test_both_maps_and_the_constant_add_up_to_the_score(label):
    """HiResCAM's completeness: the head is linear around one picture, so nothing is lost.

    The constant is checked from its meaning: the head's linear piece, asked of empty glass.
    """
    head, seen, at = ladder(), maps(), CLASSES.index(label)
    bare = maps(seed=9)
    found = from_maps(head, seen, empty=bare, cells=CELLS, label=label)
    features, empty = (np.concatenate([m.mean((0, 1)) for m in both]) for both in (seen, bare))
    logits = head.logits(features)
    assert found.score == pytest.approx(logits[at] - logits.mean(), abs=1e-4)
    direction = np.eye(4, dtype=np.float32)[at] - 0.25
    slope = head.gradient(features, direction)
    at_empty = found.score + slope @ (empty - features)
    assert found.constant == pytest.approx(at_empty, abs=1e-3)
    total = found.constant + found.original.evidence.sum() + found.segmented.evidence.sum()
    assert total == pytest.approx(found.score, abs=1e-4)


def test_the_likeliest_class_is_explained_unless_another_is_asked_for():
    features = np.concatenate([m.mean((0, 1)) for m in maps()])
    assert why().label is CLASSES[int(ladder().logits(features).argmax())]
    assert why(label=Class.PRO_B).label is Class.PRO_B


def test_what_all_four_classes_share_explains_none_of_them():
    head = ladder()
    kernel, bias = head.layers[-1]
    lifted = Ladder((*head.layers[:-1], (kernel + 3.0, bias + 5.0)))  # softmax cannot tell
    for one, other in ((why(head), why(lifted)),):
        np.testing.assert_allclose(one.original.evidence, other.original.evidence, atol=1e-4)


def test_another_head_gives_another_map():
    """Adebayo et al. 2018: a map that outlives random weights explains the picture alone."""
    one = why(label=Class.PRE_B).original.evidence.ravel()
    others = [
        why(ladder(seed), label=Class.PRE_B).original.evidence.ravel() for seed in range(1, 9)
    ]
    alike = [abs(np.corrcoef(one, other)[0, 1]) for other in others if other.any()]
    assert np.median(alike) < 0.7


def test_a_lively_position_lights_its_own_place_in_the_fields_pixels():
    found = [why(seen=maps(bright=[(2, 3)]), label=label).original for label in CLASSES]
    lit = [one for one in found if one.evidence[2, 3] > 0]
    assert lit, "it speaks for some class"
    for one in lit:
        row, column = np.unravel_index(one.heat.argmax(), one.heat.shape)
        assert one.heat.shape == CELLS.shape and one.heat.dtype == np.float32
        assert 30 <= row < 45 and 60 <= column < 80, "the third row, fourth column of eight"
        assert one.heat.min() == 0 and one.heat.max() == 1


def test_the_share_inside_cells_tells_looking_at_cells_from_looking_beside_them():
    head = ladder()
    for place, low, high in (((2, 2), 0.3, 1.0), ((6, 6), 0.0, 0.02)):
        flat = [np.zeros((8, 8, 5), np.float32) for _ in range(2)]
        features = np.zeros(10, np.float32)
        slope = head.gradient(features, np.float32([0.75, -0.25, -0.25, -0.25]))
        for one, part in zip(flat, np.split(slope, 2), strict=True):
            one[place] = part * 1e-3  # along the gradient: speaks for Benign
        found = from_maps(head, (flat[0], flat[1]), empty=EMPTY, cells=CELLS, label=Class.BENIGN)
        assert low <= found.share_original <= high
        assert low <= found.share_segmented <= high
        assert found.cells_share == pytest.approx(30 * 40 / (120 * 160))
        assert found.cells_share < found.cells_only < 1


def test_where_nothing_speaks_for_the_class_there_is_no_share_and_no_light():
    found = from_maps(ladder(), EMPTY, empty=EMPTY, cells=CELLS)
    assert found.share_original is None and found.weight_original is None
    assert not found.original.heat.any()
    rgb = np.full((*CELLS.shape, 3), 200, np.uint8)
    np.testing.assert_array_equal(overlay(rgb, found.original.heat), rgb)


def test_a_head_that_is_no_ladder_is_refused():
    odd = {"a/kernel": np.zeros((10, 7)), "a/bias": np.zeros(7), "b/kernel": np.zeros((6, 4))}
    with pytest.raises(ValueError, match="not a ladder"):
        Ladder.from_weights({**odd, "b/bias": np.zeros(4)})
    with pytest.raises(ValueError, match="not a ladder"):
        Ladder.from_weights({})


def test_an_overlay_covers_as_much_as_it_was_told():
    rgb = np.full((4, 6, 3), 100, np.uint8)
    heat = np.zeros((4, 6), np.float32)
    heat[1, 2] = 1
    np.testing.assert_array_equal(overlay(rgb, heat, opacity=0), rgb)
    full = overlay(rgb, heat, opacity=1)
    np.testing.assert_array_equal(full[1, 2], explanation.colours(heat)[1, 2])
    assert (np.delete(full.reshape(-1, 3), 8, axis=0) == 100).all()
    with pytest.raises(ValueError, match="opacity"):
        overlay(rgb, heat, opacity=1.2)
    with pytest.raises(ValueError, match="heat"):
        overlay(rgb, heat[:2])


@pytest.mark.parametrize("shape", [(224, 224), (120, 160), (900, 300)])
def test_a_sheet_holds_three_pictures_and_changes_none(shape):
    rgb = np.ascontiguousarray(smear(seed=3, size=900)[: shape[0], : shape[1]])
    before, cells = rgb.copy(), segment(rgb)
    found = from_maps(ladder(), maps(), empty=EMPTY, cells=cells.mask)
    sheet = draw(rgb, cells, found, title="a field")
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    assert sheet.shape[1] > 3 * 480 * min(1, shape[1] / shape[0])
    np.testing.assert_array_equal(rgb, before)


def test_the_committed_head_says_in_numpy_what_it_says_in_its_file():
    head = Ladder.of(verify(COMMITTED))
    assert [kernel.shape[1] for kernel, _ in head.layers] == [1024, 512, 256, 128, 64, 32, 16, 4]


def test_explaining_needs_no_network_library_to_be_imported():
    code = (
        "import sys, ml.explanation;"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'django')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def reader():
    return load(COMMITTED)


@pytest.mark.model
def test_the_averaged_maps_are_the_features_the_reading_used(reader):
    ready = prepare(smear(seed=3, size=224))
    left, right = reader.maps(ready.original[None], ready.segmented[None])
    assert left.shape == right.shape == (1, 8, 8, 512)
    _, features = reader._run(ready.original[None], ready.segmented[None])
    pooled = np.concatenate([left.mean((1, 2)), right.mean((1, 2))], axis=1)
    np.testing.assert_allclose(pooled, features, rtol=1e-3, atol=1e-3)


@pytest.mark.model
@pytest.mark.parametrize("label", [Class.BENIGN, Class.PRE_B])
def test_the_map_is_what_automatic_differentiation_says(reader, label):
    """HiResCAM the long way: TensorFlow's gradient of the logit by both trunks' last maps."""
    import tensorflow as tf

    from ml import fusion

    picture = smear(seed=3, size=224)
    ready = prepare(picture)
    empty = np.full((128, 128, 3), 240, np.uint8), np.zeros((128, 128, 3), np.uint8)
    stacks = [np.stack(pair) for pair in zip((ready.original, ready.segmented), empty, strict=True)]
    left, right = (tf.constant(m) for m in reader.maps(*stacks))
    head = fusion.set_weights(fusion.head(), reader.package.tensors("head.safetensors"))
    head.layers[-1].activation = None
    with tf.GradientTape() as tape:
        tape.watch([left, right])
        pooled = tf.concat([tf.reduce_mean(left, (1, 2)), tf.reduce_mean(right, (1, 2))], axis=1)
        logits = head(pooled, training=False)
        score = logits[0, CLASSES.index(label)] - tf.reduce_mean(logits[0])
    slopes = tape.gradient(score, [left, right])
    found = explain(reader, picture, label=label)
    assert found.score == pytest.approx(float(score), rel=1e-3, abs=1e-3)
    for seen, slope, ours in zip(
        (left, right), slopes, (found.original, found.segmented), strict=True
    ):
        by_tape = ((seen[0] - seen[1]) * slope[0]).numpy().sum(axis=-1)
        np.testing.assert_allclose(ours.evidence, by_tape, rtol=1e-2, atol=1e-3)
        assert ours.heat.shape == (224, 224) and 0 <= ours.share <= 1


@pytest.mark.model
def test_heads_of_random_weights_lose_the_map_of_the_trained_one(reader):
    """They still find where a map is lively, but for or against is a coin's toss to them."""
    ready = prepare(smear(seed=3, size=224))
    left, right = reader.maps(ready.original[None], ready.segmented[None])
    weights = reader.package.tensors("head.safetensors")

    def found(held):
        bare = np.zeros_like(left[0]), np.zeros_like(right[0])
        cells = ready.segmentation.mask
        head = Ladder.from_weights(held)
        one = from_maps(head, (left[0], right[0]), empty=bare, cells=cells, label=Class.PRE_B)
        return np.concatenate([one.original.evidence, one.segmented.evidence]).ravel()

    trained, alike = found(weights), []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        random = {
            name: (rng.normal(0, (2 / len(held)) ** 0.5, held.shape) * (held.ndim > 1))
            for name, held in weights.items()
        }
        alike.append(np.corrcoef(trained, found(random))[0, 1])
    assert max(alike) < 0.9 and min(alike) < 0 < max(alike)


@pytest.mark.model
def test_moving_the_cells_moves_the_map(reader):
    """Turned by half a circle, the picture's map turns with it, as well as a network can."""
    picture = smear(seed=3, size=224)
    turned = np.ascontiguousarray(picture[::-1, ::-1])
    one = explain(reader, picture, label=Class.PRE_B).segmented.evidence
    other = explain(reader, turned, label=Class.PRE_B).segmented.evidence[::-1, ::-1]
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.3


@pytest.mark.model
def test_what_the_network_was_not_shown_is_not_explained(reader):
    with pytest.raises(NothingToExplain, match="quality gate"):
        explain(reader, np.zeros((224, 224, 3), np.uint8))


@pytest.mark.model
def test_the_command_writes_a_sheet_for_each_picture_and_says_which_it_could_not(tmp_path):
    (tmp_path / "smear.png").write_bytes(encode_png(smear(seed=3, size=224)))
    (tmp_path / "black.png").write_bytes(encode_png(np.zeros((64, 64, 3), np.uint8)))
    files = [str(tmp_path / name) for name in ("smear.png", "black.png")]
    result = CliRunner().invoke(app, ["explain", *files, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert explanation.WORDS in result.output
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["smear.explained.png"]
