"""The paper's tables can be run again, row by row, and say what they were made with."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ml.experiments import paper_page
from ml.experiments.paper import PAPER, ROWS
from tests.ml.experiments import drawn

pytestmark = pytest.mark.model

FEW = ("fusion-both", "resnet50-densenet121")


def trunk(name, seed):
    """A trunk of one convolution that gives 16 channels."""
    import keras

    from ml.experiments.trunks import Frozen

    keras.utils.set_random_seed(seed)
    picture = keras.Input((128, 128, 3))
    x = keras.layers.Conv2D(16, 8, strides=8, activation="relu")(picture)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return Frozen(keras.Model(picture, x, name=name), f"ImageNet, if {name} were real")


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Smears, trunks of which ResNet50's is not at hand, settings of a few epochs."""
    from ml.experiments.paper_tables import Settings

    smears = drawn.examples(tmp_path_factory.mktemp("smears"), bar=True)
    frozen = {
        "vgg16": trunk("vgg16", 1),
        "densenet121": replace(trunk("densenet121", 2), origin="taught without labels"),
        "resnet50": None,
        "mobilenet": None,
    }
    rows = [row for row in ROWS if row.key in FEW]
    recipe = replace(PAPER, epochs=2)
    return smears, frozen, Settings(recipe=recipe, seeds=(7,), folds=2, rows=rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def tables(ready, folder):
    return run(ready, folder)


def run(ready, folder):
    from ml.experiments import paper_tables

    smears, frozen, settings = ready
    return paper_tables.run(smears, frozen, settings=settings, folder=folder, report=drawn.quiet)


def test_every_row_is_judged_under_both_splits_with_and_without_the_corner(tables):
    row = next(row for row in tables["rows"] if row["key"] == "fusion-both")
    assert row["published"]["accuracy"] == 99.89
    for protocol, rounds in (
        ("pictures", {"seed-7"}),
        ("slides", {"fold-1", "fold-2"}),
    ):
        for corner in ("as published", "corner blanked"):
            figures = row["ours"][protocol][corner]
            assert set(figures["rounds"]) == rounds
            assert 0 <= figures["macro_f1"] <= 1


def test_a_row_without_its_weights_says_so_and_no_more(tables):
    row = next(row for row in tables["rows"] if row["key"] == "resnet50-densenet121")
    assert row["missing"] == ["ResNet50"] and row["ours"] == {}
    lines = [" ".join(line) for line in paper_page.fusion_lines(tables)]
    assert any("weights not at hand: ResNet50" in line for line in lines)


def test_a_trunk_that_is_not_imagenets_is_marked_and_named(tables):
    assert [line[0] for line in paper_page.accuracy_lines(tables)] == ["Fusion (proposed)*"]
    origins = {line[0]: line[1] for line in paper_page.origin_lines(tables)}
    assert origins["DenseNet-121*"] == "taught without labels"
    assert origins["VGG16"].startswith("ImageNet")
    assert "not ImageNet" in paper_page.write(tables)


def test_the_share_of_slides_seen_before_is_told_for_both_splits(tables):
    assert tables["seen_slides"]["slides"] == 0
    assert tables["seen_slides"]["pictures"] > 0.5


def test_run_again_no_feature_is_computed_and_no_head_taught(ready, tables, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}
    assert before
    assert run(ready, folder) == tables
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")} == before


def test_what_it_leaves_can_be_told_by_the_report(tables, folder):
    from ml.evaluation import sections

    study = sections.read(folder / "paper-study")
    names = {section.name for section in study.sections}
    assert names == {
        f"both-{by}-{corner}" for by in ("pictures", "slides") for corner in ("raw", "blanked")
    }
    raw = next(section for section in study.sections if section.name == "both-pictures-raw")
    assert raw.leaks and raw.paper["accuracy"] == pytest.approx(0.9989)
    assert [set(row) for row in raw.histories["first-seed"]] == [
        {"accuracy", "loss", "val_accuracy", "val_loss"}
    ] * 2
    assert json.loads((folder / "paper-tables.json").read_text()) == tables


def test_a_head_as_wide_as_table_3_is_table_3s_and_a_narrow_one_differs_in_one_layer():
    from ml.experiments.heads import head

    assert head(1024).count_params() == 1_749_556
    assert head(512).count_params() == 1_749_556 - 512 * 1024


def test_fifty_epochs_are_not_needed_to_tell_four_blobs_apart():
    from ml.experiments.heads import teach

    rng = np.random.default_rng(0)
    targets = np.tile(np.arange(4), 20)
    points = rng.normal(0, 1, (4, 64))[targets] + rng.normal(0, 0.2, (2, 80, 64))
    recipe = replace(PAPER, epochs=8)
    model, history = teach(points.astype(np.float32), targets, recipe=recipe, seed=1)
    said = model(points[0].astype(np.float32))
    assert len(history) == 8 and (said.argmax(axis=1) == targets).mean() > 0.9


def test_a_trunk_that_is_louder_drowns_the_other_unless_both_are_levelled():
    from ml.experiments.heads import teach

    rng = np.random.default_rng(0)
    targets = np.tile(np.arange(4), 60)
    telling = rng.normal(0, 1, (4, 32))[targets] + rng.normal(0, 0.2, (240, 32))
    noise = 300 * (3 + rng.normal(0, 1, (240, 8)))
    both = np.concatenate([telling, noise], axis=1).astype(np.float32)
    right = {}
    for level in (False, True):
        recipe = replace(PAPER, epochs=20, level=level)
        head, _ = teach(both[None, :120], targets[:120], recipe=recipe, seed=1)
        right[level] = (head(both[120:]).argmax(axis=1) == targets[120:]).mean()
    assert right[True] > 0.9 > right[False]


def test_weights_that_are_not_there_or_are_something_else_are_named(tmp_path):
    from ml.experiments.trunks import TrunkUnusable, load

    assert load("resnet50", None, PAPER) is None
    with pytest.raises(TrunkUnusable, match="is not there"):
        load("vgg16", str(tmp_path / "vgg16.weights.h5"), PAPER)
    stranger = tmp_path / "mobilenet.weights.h5"
    stranger.write_bytes(b"no weights")
    with pytest.raises(TrunkUnusable, match="MobileNet"):
        load("mobilenet", str(stranger), PAPER)
