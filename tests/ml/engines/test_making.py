"""An export is written only for precisions that were seen to agree, and touches no weight."""

import json

import numpy as np
import pytest

from ml import card, packages
from ml.classes import CLASSES, Class
from ml.engines import making, selftest
from ml.engines.exports import Precision, exported
from ml.engines.making import Answered, ExportDisagrees, agreement, keeps
from ml.packages import COMMITTED, verify
from ml.samples import Samples

PACKAGE = verify(COMMITTED)
SURE = np.eye(4, dtype=np.float32) * 0.9 + 0.025


def answered(*classes):
    rows = SURE[[CLASSES.index(one) for one in classes]]
    return Answered(rows, np.zeros((len(rows), 1024), np.float32))


def measured(**changed):
    good = {"same_class": 1.0, "turned_benign": 0, "off_p99": 0.01, "self_test_off": 0.01}
    return good | changed


def test_a_malignant_answer_that_turns_benign_is_counted_and_not_the_other_way_round():
    ours = answered(Class.BENIGN, Class.PRE_B, Class.PRE_B)
    theirs = answered(Class.PRO_B, Class.BENIGN, Class.PRE_B)
    found = agreement(theirs, ours, PACKAGE)
    assert found["turned_benign"] == 1 and found["same_class"] == pytest.approx(1 / 3)


def test_the_same_answers_agree_wholly():
    found = agreement(answered(*CLASSES), answered(*CLASSES), PACKAGE)
    assert found["off_most"] == found["gate_flips"] == 0 and found["same_class"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"same_class": 0.997},
        {"turned_benign": 1},
        {"off_p99": 0.021},
        {"self_test_off": selftest.TOLERANCE},
    ],
)
def test_one_bound_that_is_not_kept_forbids_the_precision(changed):
    assert keeps(measured()) and not keeps(measured(**changed))


def few():
    original, segmented = selftest.pictures()
    return Samples([None] * len(original), [], [], [], original, segmented, [])


@pytest.mark.model
def test_an_export_leaves_every_weight_as_it_was_and_goes_into_card_and_figures(tmp_path):
    made = making.export(
        PACKAGE,
        few(),
        out=tmp_path / "p",
        version="9.9",
        folder=tmp_path / "runs",
        report=lambda *_: None,
    )
    assert made.version == "9.9" and made.digest != PACKAGE.digest
    for file, held in PACKAGE.manifest["files"].items():
        if file.endswith(".safetensors"):
            assert made.manifest["files"][file] == held
    assert Precision.FP32 in exported(made).precisions
    figures = json.loads(made.document("figures.json"))
    assert figures["slides"] == json.loads(PACKAGE.document("figures.json"))["slides"]
    for row in card.engine_rows(figures["engines"]):
        assert " | ".join(row) in made.document("MODEL_CARD.md")


@pytest.mark.model
def test_where_nothing_agrees_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "MOST_OFF", -1.0)
    with pytest.raises(ExportDisagrees, match="no precision agrees"):
        making.export(
            PACKAGE,
            few(),
            out=tmp_path / "p",
            version="9.9",
            folder=tmp_path / "runs",
            report=lambda *_: None,
        )
    assert not (tmp_path / "p").exists()


def test_a_package_can_be_revised_in_its_own_place(tmp_path):
    packages.revise(PACKAGE, tmp_path, version="3", documents={})
    again = packages.revise(verify(tmp_path), tmp_path, version="3.1", documents={"note.md": "n"})
    assert again.version == "3.1" and again.document("note.md") == "n"
    assert again.name == PACKAGE.name and again.preprocessing == PACKAGE.preprocessing


def test_the_committed_package_keeps_to_issue_fours_bounds():
    figures = json.loads(PACKAGE.document("figures.json"))["engines"]
    assert figures["bounds"] == {"same_class": 0.998, "off_p99": 0.02, "turned_benign": 0}
    for precision in exported(PACKAGE).precisions:
        found = figures["precisions"][precision.value]
        assert found["pictures"] == 2778 and keeps(found)
