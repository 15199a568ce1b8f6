"""What an explanation promises: it adds up to the answer, and it follows the network."""

import subprocess
import sys
from itertools import pairwise

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from ml import explanation, gallery, packages, preprocessing
from ml.classes import CLASSES, Class
from ml.cli import app
from ml.explanation import Ladder, NothingToExplain, explain, from_maps, overlay
from ml.images import encode_png
from ml.packages import COMMITTED, verify
from ml.preprocessing import prepare
from ml.reading import load
from ml.segmentation import Cell, Segmentation, segment
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


def discs(*spots, shape=(120, 160)):
    """A segmentation of discs (column, row, radius)."""
    cells = []
    every = np.zeros(shape, np.uint8)
    for column, row, radius in spots:
        one = cv2.circle(np.zeros(shape, np.uint8), (column, row), radius, 1, -1)
        (contour,), _ = cv2.findContours(one, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        area = int(one.sum())
        cells.append(Cell(contour.reshape(-1, 2), (column, row), area, (120.0, 70.0, 175.0)))
        every |= one
    return Segmentation(every.astype(bool), tuple(cells), 0.3)


# The second is the largest and so the gallery's first; the last is cut by the edge: not shown.
THREE = discs((30, 30, 10), (90, 50, 14), (130, 90, 12), (80, 118, 9))
SHOWN = [1, 2, 0]


def why(head=None, seen=None, cells=THREE, **more):
    return from_maps(head or ladder(), seen or maps(), empty=EMPTY, segmentation=cells, **more)


def speaking(*places, label=Class.BENIGN):
    """Two maps that are empty but for `places` (row, column), where they speak for the label."""
    flat = [np.zeros((8, 8, 5), np.float32) for _ in range(2)]
    direction = np.eye(4, dtype=np.float32)[CLASSES.index(label)] - np.float32(0.25)
    slope = ladder().gradient(np.zeros(10, np.float32), direction)
    for one, part in zip(flat, np.split(slope, 2), strict=True):
        for place in places:
            one[place] = part * 1e-3  # along the gradient, too little to turn a gate
    return flat[0], flat[1]


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
    found = from_maps(head, seen, empty=bare, segmentation=THREE, label=label)
    features, empty = (np.concatenate([m.mean((0, 1)) for m in both]) for both in (seen, bare))
    logits = head.logits(features)
    assert found.score == pytest.approx(logits[at] - logits.mean(), abs=1e-4)
    direction = np.eye(4, dtype=np.float32)[at] - 0.25
    slope = head.gradient(features, direction)
    at_empty = found.score + slope @ (empty - features)
    assert found.constant == pytest.approx(at_empty, abs=1e-3)
    total = found.constant + found.original.evidence.sum() + found.segmented.evidence.sum()
    assert total == pytest.approx(found.score, abs=1e-4)
    by_cell = sum(cell.evidence for cell in found.cells)
    assert found.constant + found.original.evidence.sum() + by_cell == pytest.approx(
        found.score, abs=1e-4
    )


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
        assert one.heat.shape == THREE.mask.shape and one.heat.dtype == np.float32
        assert 30 <= row < 45 and 60 <= column < 80, "the third row, fourth column of eight"
        assert one.heat.min() == 0 and one.heat.max() == 1


def test_the_cells_of_the_gallery_come_largest_first_with_their_place_in_the_segmentation():
    found = why()
    assert [cell.index for cell in found.cells] == SHOWN
    assert [cell.tiles for cell in found.cells] == [6, 5, 5]


@pytest.mark.parametrize("tile", [0, 1, 2, 3, 7, 15])
def test_what_speaks_in_a_tile_is_its_cells_evidence_and_no_others(tile):
    row, column = 2 * (tile // 4), 2 * (tile % 4)
    places = [(row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)]
    found = why(seen=speaking(*places), label=Class.BENIGN)
    loud = [cell.evidence for cell in found.cells]
    assert loud[tile % 3] == pytest.approx(found.segmented.evidence.sum(), rel=1e-4)
    assert loud[tile % 3] > 0 and sorted(map(abs, loud))[:2] == [0, 0]


def test_a_cell_shown_again_is_given_both_tiles():
    once = why(seen=speaking((0, 2)), label=Class.BENIGN)  # the second tile
    twice = why(seen=speaking((0, 2), (2, 0)), label=Class.BENIGN)  # and the fifth
    assert twice.cells[1].evidence == pytest.approx(2 * once.cells[1].evidence, rel=1e-4)


def test_the_heat_of_the_gallery_lies_on_the_fields_own_cells():
    """The gallery's second tile is the cell at (130, 90), wherever in the gallery it lies."""
    heat = why(seen=speaking((0, 2)), label=Class.BENIGN).segmented.heat
    assert heat.shape == THREE.mask.shape and heat.dtype == np.float32
    assert np.unravel_index(heat.argmax(), heat.shape) == (90, 130) and heat.max() == 1
    half = round(160 * gallery.WINDOW / 2)
    rows, columns = np.nonzero(heat)
    assert abs(rows - 90).max() <= half and abs(columns - 130).max() <= half


def test_cells_are_lit_by_their_evidence_and_not_at_all_by_what_speaks_against():
    for label in CLASSES:
        found = why(label=label)
        most = max(cell.evidence for cell in found.cells)
        for cell in found.cells:
            column, row = map(int, THREE.cells[cell.index].centre)
            lit = max(cell.evidence, 0) / most if most > 0 else 0
            assert found.segmented.heat[row, column] == pytest.approx(lit, abs=1e-5)
        assert not found.segmented.heat[118, 80], "the cell at the edge was not shown"


def test_the_share_inside_cells_tells_looking_at_cells_from_looking_beside_them():
    cells = discs((60, 45, 20))
    for place, low, high in (((2, 2), 0.3, 1.0), ((6, 6), 0.0, 0.02)):
        found = why(seen=speaking(place), cells=cells, label=Class.BENIGN).original
        assert low <= found.share <= high
        assert found.by_chance == pytest.approx(cells.mask.mean())
        assert found.by_chance < found.cells_only < 1


def test_on_the_gallery_the_share_is_the_cells_part_of_what_a_position_shows():
    """A tile's window of 28 pixels holds a disc of radius 14 as a circle in a square."""
    one = discs((90, 50, 14))
    tile = [(0, 2), (0, 3), (1, 2), (1, 3)]
    found = why(seen=speaking(*tile), cells=one, label=Class.BENIGN)
    assert found.segmented.share == pytest.approx(np.pi / 4, abs=0.05)
    assert found.segmented.by_chance == pytest.approx(np.pi / 4, abs=0.05)
    two = discs((90, 50, 14), (30, 30, 7))
    large, small = (
        why(seen=speaking(at), cells=two, label=Class.BENIGN) for at in ((0, 0), (0, 2))
    )
    assert small.segmented.share < large.segmented.by_chance < large.segmented.share


def test_without_a_cell_the_gallery_is_glass_and_has_nothing_to_say():
    bare = maps(seed=9)
    seen = maps()[0], bare[1]  # glass was shown, so glass is what the second trunk says
    found = from_maps(ladder(), seen, empty=bare, segmentation=discs())
    assert found.cells == () and not found.segmented.evidence.any()
    assert found.segmented.share is None and not found.segmented.heat.any()
    assert found.constant + found.original.evidence.sum() == pytest.approx(found.score, abs=1e-4)


def test_where_nothing_speaks_for_the_class_there_is_no_share_and_no_light():
    found = why(seen=EMPTY)
    assert found.original.share is None and found.weight_original is None
    assert not found.original.heat.any() and not found.segmented.heat.any()
    rgb = np.full((*THREE.mask.shape, 3), 200, np.uint8)
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


def test_the_committed_head_says_in_numpy_what_it_says_in_its_file():
    head = Ladder.of(verify(COMMITTED))
    assert [kernel.shape[1] for kernel, _ in head.layers] == [1024, 512, 256, 128, 64, 32, 16, 4]


def test_explaining_needs_no_network_library_to_be_imported():
    code = (
        "import sys, ml.explanation;"
        "bad = ('tensorflow', 'keras', 'openvino', 'django');"
        "sys.exit(any(name in sys.modules for name in bad))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A package of random weights: what is promised here does not hang on what was learnt."""
    import keras

    from ml import fusion

    keras.utils.set_random_seed(0)
    folder, wide = tmp_path_factory.mktemp("package"), 2 * fusion.TRUNK_WIDTH
    scales = {"scale_original": "unit", "scale_segmented": "unit"}
    packages.write(
        folder,
        description={
            "name": "random",
            "version": "0",
            "preprocessing": {"version": preprocessing.VERSION, **scales},
            "calibration": {"temperature": 1.0},
            "gate": {"rest": 1.0, "bias": 0.0, "threshold": 1e9},
        },
        tensors={
            "vgg16.safetensors": packages.pack8(fusion.weights_of(fusion.vgg16(None))),
            "densenet121.safetensors": packages.pack16(fusion.weights_of(fusion.densenet121(None))),
            "head.safetensors": packages.pack16(fusion.weights_of(fusion.head())),
            "gate.safetensors": packages.pack16(
                {
                    "centre": np.zeros(wide),
                    "scale": np.ones(wide),
                    "components": np.eye(wide, 2),
                    "spread": np.ones(2),
                    "place": np.zeros(2),
                    "distance": np.zeros(3),
                }
            ),
        },
        documents={},
    )
    return load(folder)


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
    empty = (np.full((128, 128, 3), 240, np.uint8),) * 2  # glass, as a field and as a gallery
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
        assert ours.heat.shape == (224, 224)
    assert len(found.cells) == len(ready.spots)


@pytest.mark.model
def test_turning_the_picture_leaves_every_cell_its_evidence_nearly(reader):
    """The gallery holds the same cells, each turned by half a circle in its tile.

    The scale-bar corner is glass in both, or other cells would be blanked.
    """
    picture = prepare(smear(seed=3, size=224)).balanced
    picture[:36, :36] = 240
    turned = np.ascontiguousarray(picture[::-1, ::-1])
    one, other = (explain(reader, each, label=Class.PRE_B) for each in (picture, turned))
    here, there = (segment(each).cells for each in (picture, turned))
    moved = {
        tuple(np.rint(np.subtract(223, there[cell.index].centre) / 4)): cell.evidence
        for cell in other.cells
    }
    pairs = [
        (cell.evidence, moved[place])
        for cell in one.cells
        if (place := tuple(np.rint(np.divide(here[cell.index].centre, 4)))) in moved
    ]
    assert len(pairs) >= 4
    assert np.corrcoef(np.transpose(pairs))[0, 1] > 0.5


@pytest.mark.model
def test_what_the_network_was_not_shown_is_not_explained(reader):
    with pytest.raises(NothingToExplain, match="quality gate"):
        explain(reader, np.zeros((224, 224, 3), np.uint8))


@pytest.mark.model
def test_the_command_writes_a_sheet_for_each_picture_and_says_which_it_could_not(tmp_path, reader):
    (tmp_path / "smear.png").write_bytes(encode_png(smear(seed=3, size=224)))
    (tmp_path / "black.png").write_bytes(encode_png(np.zeros((64, 64, 3), np.uint8)))
    files = [str(tmp_path / name) for name in ("smear.png", "black.png")]
    where = ["--out", str(tmp_path / "out"), "--package", str(reader.package.folder)]
    result = CliRunner().invoke(app, ["explain", *files, *where])
    assert result.exit_code == 0, result.output
    assert explanation.WORDS in result.output
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["smear.explained.png"]
