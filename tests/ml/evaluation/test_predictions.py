"""A table of predictions gives every figure again, and a broken one says where it broke."""

import numpy as np
import pytest

from ml.classes import CLASSES
from ml.evaluation import predictions
from ml.evaluation.metrics import values
from ml.evaluation.predictions import Predictions, PredictionsUnreadable
from tests.ml.evaluation.shared import drawn


def table(answers=None, *, familiar=None, folds=5):
    answers = answers or drawn()
    count = len(answers.targets)
    return Predictions(
        files=[f"WBC-{row:04d}.jpg" for row in range(count)],
        labels=[CLASSES[target] for target in answers.targets],
        groups=answers.groups.tolist(),
        sessions=["s00"] * count,
        folds=[str(row % folds) for row in range(count)],
        probabilities=answers.probabilities,
        familiar=familiar,
    )


def test_what_is_written_is_read_again_to_six_digits(tmp_path):
    familiar = np.random.default_rng(0).random(920) < 0.9
    wrote = table(familiar=familiar)
    predictions.write(tmp_path / "group.csv", wrote)
    read = predictions.read(tmp_path / "group.csv")
    for column in ("files", "labels", "groups", "sessions", "folds"):
        assert getattr(read, column) == getattr(wrote, column)
    np.testing.assert_array_equal(read.familiar, familiar)
    np.testing.assert_allclose(read.probabilities, wrote.probabilities, rtol=1e-5)


def test_the_figures_from_the_file_are_the_figures_of_the_run(tmp_path):
    answers = drawn(skill=2)
    predictions.write(tmp_path / "group.csv", table(answers))
    again = values(predictions.read(tmp_path / "group.csv").answers())
    for name, figure in values(answers).items():
        assert again[name] == pytest.approx(figure, abs=1e-4), name


def test_a_tiny_probability_survives_the_file(tmp_path):
    answers = drawn()
    answers.probabilities[0] = [1 - 3e-12, 1e-12, 1e-12, 1e-12]
    predictions.write(tmp_path / "group.csv", table(answers))
    assert predictions.read(tmp_path / "group.csv").probabilities[0, 1] == pytest.approx(1e-12)


def test_folds_part_the_pictures():
    parts = table(folds=3).by_fold()
    assert list(parts) == ["0", "1", "2"]
    assert sum(len(part.targets) for part in parts.values()) == 920


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("p_pro_b", "p_other"), "no column p_pro_b"),
        (("jpg,benign", "jpg,healthy"), "line 2: 'healthy' is not a valid Class"),
        (("0,0.25", "0,0.95"), r"row 1 \(a.jpg\): probabilities .* not to 1.7"),
        (("0,0.25", "0,nan"), "row 1"),
        (("0,0.25", "0,much"), "line 2: could not convert"),
    ],
)
def test_a_broken_table_says_where(tmp_path, change, complaint):
    whole = ",".join(predictions.COLUMNS) + "\na.jpg,benign,g01,s00,0,0.25,0.25,0.25,0.25\n"
    path = tmp_path / "group.csv"
    path.write_text(whole)
    assert len(predictions.read(path)) == 1
    path.write_text(whole.replace(*change))
    with pytest.raises(PredictionsUnreadable, match=complaint):
        predictions.read(path)


def test_no_file_and_no_picture_are_told_apart(tmp_path):
    with pytest.raises(PredictionsUnreadable, match="not there"):
        predictions.read(tmp_path / "group.csv")
    (tmp_path / "group.csv").write_text(",".join(predictions.COLUMNS) + "\n")
    with pytest.raises(PredictionsUnreadable, match="holds no picture"):
        predictions.read(tmp_path / "group.csv")
