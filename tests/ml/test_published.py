"""What is said of the published segmentation, the paper's threshold and ours."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from ml import published
from ml.classes import Class
from ml.cli import app
from ml.data import Example, read_index, silent
from ml.images import encode_png
from ml.published import NoTwins, iou
from tests.ml.shared import TALEQANI, needs_shared

GLASS, PURPLE = (248, 249, 246), (150, 125, 245)


def field(seed):
    """A field with three purple discs, and the mask they were drawn from."""
    rng = np.random.default_rng(seed)
    rgb = np.clip(np.full((224, 224, 3), GLASS) + rng.normal(0, 2, (224, 224, 3)), 0, 255)
    rgb, mask = rgb.astype(np.uint8), np.zeros((224, 224), np.uint8)
    for column in (50, 110, 170):
        centre = (column, int(rng.integers(40, 180)))
        cv2.circle(rgb, centre, 13, PURPLE, -1, cv2.LINE_AA)
        cv2.circle(mask, centre, 13, 1, -1)
    return rgb, mask.astype(bool)


@pytest.fixture
def folder(tmp_path):
    """Two classes in Kaggle's layout; the Pro twins are black, as the published ones are."""
    for label, twin_kept in (("Benign", True), ("Pro", False)):
        for kind in ("Original", "Segmented"):
            (tmp_path / kind / label).mkdir(parents=True)
        for seed in range(3):
            rgb, mask = field(seed)
            twin = np.zeros_like(rgb)
            twin[mask & twin_kept] = (200, 120, 110)
            for kind, shown in (("Original", rgb), ("Segmented", twin)):
                (tmp_path / kind / label / f"{seed}.png").write_bytes(encode_png(shown))
    rows = [f"{seed}.png,{label},{label}{seed}" for label in ("Benign", "Pro") for seed in range(3)]
    (tmp_path / "groups.csv").write_text("\n".join(["file,class,group", *rows]) + "\n")
    return tmp_path


def test_agreement_is_what_both_hold_by_what_either_holds():
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert iou(one, other) is None
    one[:2] = True
    assert iou(one, other) == 0
    other[1:3] = True
    assert iou(one, other) == pytest.approx(4 / 12)


def test_an_empty_twin_is_counted_and_not_taken_for_our_failure(folder):
    summed = published.summary(published.compare(read_index(folder), report=silent))
    benign, pro = summed["classes"]["benign"], summed["classes"]["pro_b"]
    assert list(summed["classes"]) == ["benign", "pro_b"]
    assert benign["iou_ours"]["median"] > 0.85
    assert benign["nothing_found"]["published"] == benign["nothing_found"]["ours"] == 0
    assert pro["nothing_found"]["published"] == 3 and pro["nothing_found"]["ours"] == 0
    assert pro["published_found_by_ours"] is None, "of nothing, no share can be found"
    assert benign["cells"]["median"] == pro["cells"]["median"] == 3
    assert summed["all"]["fields"] == 6


def test_a_twin_of_another_size_is_brought_to_the_pictures(folder):
    path = folder / "Segmented" / "Benign" / "0.png"
    _, mask = field(0)
    small = cv2.resize(np.where(mask[..., None], 200, 0).astype(np.uint8), (112, 112))
    path.write_bytes(encode_png(np.repeat(small[..., None], 3, axis=2)))
    (first, *_) = published.compare(read_index(folder), report=silent)
    assert first.iou_ours > 0.75


def test_a_folder_without_twins_is_told_what_it_lacks(tmp_path):
    lone = Example(tmp_path / "a.png", Class.BENIGN, "g", "s", "0")
    with pytest.raises(NoTwins, match="Segmented"):
        published.compare([lone], report=silent)


def test_the_command_prints_writes_and_shows_the_worst(folder, tmp_path):
    out, page = tmp_path / "figures.json", tmp_path / "page.html"
    result = CliRunner().invoke(
        app, ["segmentation", "compare", str(folder), "--out", str(out), "--page", str(page)]
    )
    assert result.exit_code == 0, result.output
    assert "Benign" in result.output and "Pro-B" in result.output
    assert json.loads(out.read_text())["all"]["fields"] == 6
    html = page.read_text()
    assert "Worst agreement of ours" in html and "data:image/jpeg" in html
    assert "http" not in html and "<script" not in html


def test_the_command_says_what_is_wrong_with_a_folder(tmp_path):
    result = CliRunner().invoke(app, ["segmentation", "compare", str(tmp_path)])
    assert result.exit_code == 1 and "Cannot compare" in result.output


@needs_shared
def test_on_real_smears_the_papers_threshold_is_nearer_and_ours_misses_no_pro_field():
    fields = published.compare(read_index(TALEQANI)[::40], report=silent)
    summed = published.summary(fields)["classes"]
    floors = {"benign": (0.75, 0.55), "early_pre_b": (0.78, 0.72), "pre_b": (0.87, 0.75)}
    for label, (paper, ours) in floors.items():
        assert summed[label]["iou_paper"]["median"] > paper
        assert summed[label]["iou_ours"]["median"] > ours
    pro = summed["pro_b"]
    assert pro["nothing_found"]["ours"] == 0
    assert pro["nothing_found"]["paper"] > 0.2 * pro["fields"]
    assert pro["area_share"]["ours"]["median"] > 3 * pro["area_share"]["published"]["median"]
