"""What a comparison of two packages promises: fairness first, figures second."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from ml import comparison_page, packages
from ml.calibration import Temperature
from ml.classes import CLASSES, Class
from ml.cli import app
from ml.comparison import Case, NothingToCompare, Word, compare, differences
from ml.data import Example, silent
from ml.images import encode_png
from ml.judging import DIGITS
from ml.packages import COMMITTED
from ml.reading import Outcome, Reader
from tests.ml.test_reading import Near, smear


class Sayer:
    """An engine that says one class of everything."""

    name = "sayer"
    batch = 8

    def __init__(self, label):
        self.label = label

    def __call__(self, original, segmented):
        rows = np.full((len(original), 4), 0.1, np.float32)
        rows[:, CLASSES.index(self.label)] = 0.7
        return rows, np.zeros((len(original), 4), np.float32)


class Tiny:
    """A package of no weights that was taught on the pictures it is given."""

    temperature = Temperature(1.0)
    gate = Near()
    name, version = "tiny", "1"

    def __init__(self, taught=(), digest="a" * 64, silent=False):
        self.digest = digest
        self.manifest = {"training": {"pictures": [one.sha256[:DIGITS] for one in taught]}}
        if silent:
            self.manifest = {"training": {}}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Two benign and two Pre-B slides of two pictures each."""
    folder, made = tmp_path_factory.mktemp("smears"), []
    for number in range(8):
        label = Class.BENIGN if number < 4 else Class.PRE_B
        path = folder / f"{number}.png"
        path.write_bytes(encode_png(smear(cells=6 + number)))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        made.append(Example(path, label, f"g{number // 2}", "s", digest))
    return made


def reader(label, **package):
    return Reader(Tiny(**package), Sayer(label))


def case(label, group, a, b):
    def word(said):
        return Word(np.where(np.array(CLASSES) == said, 0.7, 0.1), Outcome.CLASSIFIED)

    return Case(Example(None, label, group, "s", ""), word(a), word(b))


def test_each_changed_picture_is_named_with_who_was_right(examples):
    result = compare(
        reader(Class.BENIGN),
        reader(Class.PRE_B, digest="b" * 64),
        examples,
        report=silent,
        draws=20,
    )
    assert len(result["changed"]) == 8
    assert {(row["class"], row["right"]) for row in result["changed"]} == {
        ("benign", "a"),
        ("pre_b", "b"),
    }
    assert result["all"]["right"] == {"both": 0, "a": 4, "b": 4, "neither": 0}
    assert result["all"]["agreement"] == {"class": 0.0, "outcome": 1.0}
    assert {row["group"] for row in result["all"]["by_slide"]} == {"g0", "g1", "g2", "g3"}
    assert result["warnings"] == []
    assert json.loads(json.dumps(result)) == result


def test_slides_that_a_package_has_seen_are_told_and_set_apart(examples):
    result = compare(
        reader(Class.BENIGN, taught=examples[:1]),
        reader(Class.PRE_B, digest="b" * 64),
        examples,
        report=silent,
        draws=20,
    )
    (warning,) = result["warnings"]
    assert warning.startswith("A was taught on 1 of these slides (2 of 8 pictures")
    assert result["all"]["pictures"] == 8 and result["unseen"]["pictures"] == 6


def test_where_every_slide_was_seen_it_says_that_nothing_can_be_told(examples):
    seen = reader(Class.BENIGN, taught=examples[::2])
    result = compare(seen, reader(Class.PRE_B, digest="b" * 64), examples, report=silent, draws=20)
    assert result["unseen"] is None
    assert "cannot be told" in result["warnings"][-1]


def test_a_package_that_hides_its_slides_and_the_same_package_twice_are_told(examples):
    quiet = reader(Class.BENIGN, silent=True)
    result = compare(quiet, reader(Class.BENIGN), examples, report=silent, draws=20)
    assert "A does not say which slides" in " ".join(result["warnings"])
    assert "same package" in " ".join(result["warnings"])
    assert result["changed"] == []
    assert result["all"]["differences"]["accuracy"] == {
        "value": 0.0,
        "low": 0.0,
        "high": 0.0,
        "chance": 1.0,
    }


def test_many_pictures_of_one_slide_are_one_witness():
    """Forty pictures changed on one slide of eight: McNemar would call that a proof."""
    benign = [case(Class.BENIGN, f"b{n}", Class.BENIGN, Class.BENIGN) for n in range(8)]
    lucky = [case(Class.PRE_B, "p0", Class.BENIGN, Class.PRE_B) for _ in range(40)]
    rest = [case(Class.PRE_B, f"p{n}", Class.PRE_B, Class.PRE_B) for n in range(1, 8)]
    change = differences(benign + lucky + rest)["accuracy"]
    assert change["value"] == pytest.approx(40 / 55)
    assert change["low"] == 0, "a draw without that slide shows no difference at all"
    assert change["chance"] == 1, "swapped or not, one slide speaks for one of the two"


def test_where_a_class_has_one_slide_a_narrow_interval_is_not_believed():
    cases = [case(Class.PRE_B, "p0", Class.BENIGN, Class.PRE_B) for _ in range(40)]
    change = differences(cases)["accuracy"]
    assert change["low"] == change["high"] == 1 and change["chance"] == 1
    assert comparison_page._verdict(change) == "cannot be told"


def test_a_change_on_every_slide_is_told_from_luck():
    cases = [
        case(label, f"{label}{slide}", label if n else Class.PRO_B, label)
        for label in (Class.BENIGN, Class.PRE_B)
        for slide in range(8)
        for n in range(4)
    ]
    change = differences(cases)
    assert change["accuracy"]["value"] == pytest.approx(0.25)
    assert change["accuracy"]["low"] > 0.2 and change["accuracy"]["chance"] < 0.001
    assert comparison_page._verdict(change["accuracy"]) == "B better"
    assert change["malignant_specificity"]["value"] == pytest.approx(0.25)
    assert change["malignant_sensitivity"]["value"] == 0, "Pro-B instead of Pre-B: malignant still"


def test_a_class_that_is_not_there_has_no_figure_and_breaks_none():
    change = differences([case(Class.PRE_B, f"g{n}", Class.PRE_B, Class.PRE_B) for n in range(3)])
    assert change["malignant_specificity"]["value"] is None
    assert change["macro_f1"]["value"] == 0


def test_pictures_that_no_network_saw_leave_nothing_to_compare(tmp_path):
    data = encode_png(np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "x.png").write_bytes(data)
    black = Example(tmp_path / "x.png", Class.BENIGN, "g", "s", hashlib.sha256(data).hexdigest())
    with pytest.raises(NothingToCompare, match="quality gate"):
        compare(reader(Class.BENIGN), reader(Class.PRE_B), [black], report=silent)


def test_the_page_shows_what_changed_and_fetches_nothing(examples):
    result = compare(
        reader(Class.BENIGN, taught=examples[:1]),
        reader(Class.PRE_B, digest="b" * 64),
        examples,
        report=silent,
        draws=20,
    )
    html = comparison_page.write(result, examples)
    assert "Slides that are new to both" in html and "only B" in html and "A was taught" in html
    assert html.count("<img") == 8
    assert "http" not in html and "<script" not in html


def test_a_package_behind_other_preprocessing_is_refused_with_a_way_out(tmp_path):
    shutil.copytree(COMMITTED, tmp_path / "old")
    manifest = json.loads((tmp_path / "old" / packages.MANIFEST).read_text())
    manifest["preprocessing"]["version"] = "something-older"
    manifest["digest"] = packages.digest(manifest)
    (tmp_path / "old" / packages.MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "data").mkdir()
    folders = [str(tmp_path / "old"), str(COMMITTED), str(tmp_path / "data")]
    result = CliRunner().invoke(app, ["package", "compare", *folders])
    assert result.exit_code == 2
    said = " ".join(result.output.replace("│", " ").split())  # wrapped in a box
    assert "something-older" in said and "ml evaluate" in said


def test_a_tampered_package_is_refused(tmp_path):
    shutil.copytree(COMMITTED, tmp_path / "bad")
    (tmp_path / "bad" / "figures.json").write_text("{}")
    folders = [str(tmp_path / "bad"), str(COMMITTED), str(tmp_path)]
    result = CliRunner().invoke(app, ["package", "compare", *folders])
    assert result.exit_code == 1 and "figures.json" in result.output


@pytest.mark.model
def test_the_command_prints_and_writes_a_comparison(examples, tmp_path):
    root = tmp_path / "data" / "original"
    for folder, chosen in (("Benign", examples[:4]), ("Pre", examples[4:])):
        (root / folder).mkdir(parents=True)
        for example in chosen:
            shutil.copy(example.path, root / folder)
    rows = [f"{e.path.name},{'Benign' if e in examples[:4] else 'Pre'},{e.group}" for e in examples]
    (tmp_path / "data" / "groups.csv").write_text("\n".join(["file,class,group", *rows]) + "\n")
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    folders = [str(COMMITTED), str(COMMITTED), str(tmp_path / "data")]
    result = CliRunner().invoke(
        app, ["package", "compare", *folders, "--out", str(out), "--page", str(page)]
    )
    assert result.exit_code == 0, result.output
    assert "same package" in result.output and "Rao and Wu" in result.output
    assert json.loads(out.read_text())["all"]["pictures"] >= 4
    assert page.read_text().startswith("<!doctype html>")
