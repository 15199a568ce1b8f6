"""The paper's rows are the paper's, and its pictures are shown as it showed them."""

import re

import numpy as np
import pytest

from ml.experiments.frozen import pictures
from ml.experiments.paper import PAPER, ROWS, Recipe
from ml.images import decode
from ml.preprocessing import CORNER_SHARE, SIZE
from ml.segmentation import paper_mask
from tests.ml.experiments import drawn
from tests.ml.shared import SHARED, needs_shared

NAMES = {"VGG16": "VGG16", "DenseNet-121": "DenseNet-121", "Fusion (proposed)": "Proposed Model"}
FED = {"original": "Original", "segmented": "Segmented", "both": "Combined"}


@needs_shared
def test_every_row_of_table_5_bears_the_printed_precision_recall_and_f1():
    printed = (SHARED / "paper" / "paper.txt").read_text(encoding="utf-8")
    rows = [row for row in ROWS if row.table == 5]
    assert len(rows) == 9
    for row in rows:
        line = rf"{NAMES[row.model]}\t{FED[row.fed]}\t([\d.]+)\t([\d.]+)\t([\d.]+)"
        found = tuple(map(float, re.search(line, printed).groups()))
        assert found == tuple(row.published[key] for key in ("precision", "recall", "f1")), row.key


@needs_shared
def test_every_row_of_table_4_bears_the_printed_figures():
    printed = (SHARED / "paper" / "paper.txt").read_text(encoding="utf-8")
    keys = ("accuracy", "recall", "precision", "specificity")
    for name in ("ResNet50", "MobileNet"):
        row = next(row for row in ROWS if row.key == f"{name.lower()}-densenet121")
        line = rf"DenseNet121-{name}\t([\d.]+)\t([\d.]+)\t([\d.]+)\t([\d.]+)"
        found = tuple(map(float, re.search(line, printed).groups()))
        assert found == tuple(row.published[key] for key in keys)


def test_the_recipe_by_name_is_the_papers():
    assert (PAPER.rate, PAPER.batch, PAPER.epochs, PAPER.scale) == (1e-3, 32, 50, "unit")
    ranges = PAPER.augmentation
    assert (ranges.brightness, ranges.contrast, ranges.rotation) == (0.05, 0.08, 15.0)
    assert (ranges.jpeg, ranges.lamp, ranges.stain) == ((30, 100), 0.0, 0.0)


def test_a_recipe_that_cannot_be_trained_is_refused():
    with pytest.raises(ValueError, match="epoch"):
        Recipe(epochs=0)


def test_a_row_on_one_picture_never_looks_at_the_other():
    for row in ROWS:
        looked = {fed for _, fed in row.views}
        assert looked == ({"original", "segmented"} if row.fed == "both" else {row.fed}), row.key


def test_the_twin_is_the_papers_threshold_on_black_and_not_ours(tmp_path):
    example = drawn.examples(tmp_path, slides=1, fields=1)[2]
    field, twin = pictures(example, corner=True)
    assert field.shape == twin.shape == (SIZE, SIZE, 3)
    kept = paper_mask(decode(example.read())).mean()
    lit = (twin.max(axis=2) > 0).mean()
    assert kept <= lit < kept + 0.2  # shrinking or growing blurs the rim alone
    assert (twin == 0).all(axis=2).any()


def test_the_burnt_in_corner_stays_unless_it_is_to_go(tmp_path):
    example = drawn.examples(tmp_path, slides=1, fields=1, bar=True)[0]
    edge = int(SIZE * (1 - CORNER_SHARE)) + 1
    raw, _ = pictures(example, corner=True)
    blanked, _ = pictures(example, corner=False)
    assert raw[edge:, edge:].min() < 80
    assert np.ptp(blanked[edge:, edge:].reshape(-1, 3), axis=0).max() == 0
    np.testing.assert_array_equal(raw[: edge - 4], blanked[: edge - 4])
