"""The report says what the predictions say: warnings first, in one file that fetches nothing."""

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from ml.cli import app
from ml.evaluation import figures, page, sections
from ml.evaluation.predictions import PredictionsUnreadable
from ml.evaluation.report import write_report
from ml.evaluation.sections import Section, SectionsUnreadable, Study
from tests.ml.evaluation.shared import drawn, without
from tests.ml.evaluation.test_predictions import table

HISTORY = [{"loss": 1.0, "validation_accuracy": 0.5}, {"loss": 0.5, "validation_accuracy": 0.8}]


def section(name="groups", **changes):
    told = {
        "title": "Slide <by> slide",
        "explanation": "Every picture is judged by a model that saw no other of its slide.",
        "predictions": table(drawn(slides=(3, 3, 3, 3))),
    }
    return Section(name=name, **{**told, **changes})


@pytest.fixture(scope="module")
def study():
    return Study(
        "Three ways",
        [
            section(
                "images",
                title="The paper's split",
                leaks="One slide on both sides.",
                fold_word="seed",
                histories={"both": HISTORY},
                paper={"accuracy": 0.9989, "f1": 0.9976},
            ),
            section(predictions=table(drawn(), familiar=drawn().probabilities.max(axis=1) > 0.5)),
            section("sittings", predictions=table(without(drawn(), 3))),
        ],
        others={"Rehman CNN": 0.9778},
    )


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    done = []
    path = write_report(folder, study, report=lambda *step: done.append(step), draws=40)
    assert done[-1][1:] == (3, 3)
    return path


def words(path):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", path.read_text()))


def test_the_warnings_come_before_the_figures(written):
    text = words(written)
    first = text.index("One slide on both sides.")
    assert first < text.index("This is no diagnosis") < text.index("In short")


def test_what_the_page_says_is_what_the_figures_say(written):
    text, numbers = words(written), json.loads((written.parent / "figures.json").read_text())
    for one in numbers["sections"].values():
        accuracy = one["headline"]["accuracy"]
        assert f"{100 * accuracy['value']:.2f} %" in text
        assert f"{100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}" in text
        assert f"{one['pictures']:,} pictures of {one['groups']} slides" in text


def test_a_split_that_leaks_promises_nothing_of_new_slides(written):
    numbers = json.loads((written.parent / "figures.json").read_text())["sections"]
    assert numbers["images"]["new_batch"] is None
    assert "imagined" not in numbers["images"]["interval"]
    assert "imagined" in numbers["groups"]["interval"]
    assert numbers["groups"]["new_batch"]["figures"]["macro_f1"]["low"] < 1


def test_the_gates_count_is_told(written):
    gate = json.loads((written.parent / "figures.json").read_text())["sections"]["groups"]["gate"]
    stopped = gate["stopped"]["pictures"]
    assert stopped + gate["let_through"]["pictures"] == 920
    assert f"The gate called {stopped} of 920 pictures unfamiliar" in words(written)


def test_the_page_is_one_file_without_scripts_and_escapes_what_it_is_given(written):
    html = written.read_text()
    assert "<script" not in html
    assert not re.findall(r'(?:src|href)="(?!#)[^"]+"', html)
    assert "Slide &lt;by&gt; slide" in html and "Slide <by> slide" not in html
    assert html.count("<svg") == 3 * 6 + 1 + 2


def test_every_figure_lies_beside_the_page_as_png_and_svg(written):
    folder = written.parent / "figures"
    names = {path.stem for path in folder.glob("*.svg")}
    assert names == {path.stem for path in folder.glob("*.png")}
    kinds = ("confusion_matrix", "roc", "precision_recall", "calibration", "by_slide", "coverage")
    expected = {f"{name}-{kind}" for name in ("images", "groups", "sittings") for kind in kinds}
    assert names == expected | {"images-learning-both", "beside-the-paper", "beside-others"}


def test_a_page_takes_a_figure_in_its_own_ink(written):
    svg = page.inline(written.parent / "figures" / "groups-roc.svg")
    assert figures.INK not in svg and "var(--ink)" in svg
    assert svg.startswith("<svg") and "width=" not in svg[: svg.index(">")]


def test_the_same_study_gives_the_same_bytes(study, written, tmp_path):
    alone = Study("Again", [study.sections[2]])
    paths = [
        write_report(tmp_path / name, alone, report=lambda *_: None, draws=20) for name in "ab"
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_study_is_read_as_it_was_written(study, tmp_path):
    sections.write(tmp_path, study)
    again = sections.read(tmp_path)
    assert (again.title, again.others) == (study.title, study.others)
    for ours, theirs in zip(study.sections, again.sections, strict=True):
        kept = theirs.predictions
        assert replace(theirs, predictions=ours.predictions) == ours
        assert kept.files == ours.predictions.files


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("protocols.json", None, "protocols.json is not in"),
        ("protocols.json", "{", "no JSON"),
        ("protocols.json", "{}", "names no protocols"),
        ("protocols.json", '{"protocols": [{"name": "groups"}]}', "lacks 'title'"),
        ("groups.csv", None, "groups.csv is not there"),
        ("groups.csv", "file\n", "groups.csv has no column class"),
    ],
)
def test_a_folder_that_is_no_study_is_refused_in_a_sentence(tmp_path, name, content, complaint):
    sections.write(tmp_path, Study("One", [section()]))
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises((SectionsUnreadable, PredictionsUnreadable), match=complaint):
        sections.read(tmp_path)
    told = CliRunner().invoke(app, ["report", str(tmp_path), "--out", str(tmp_path / "out")])
    assert told.exit_code == 1 and "Not readable" in told.output


@pytest.mark.parametrize("wrong", [{"accuracy": 99.89}, {"auc": 0.9}])
def test_published_figures_are_shares_of_known_names(wrong):
    with pytest.raises(SectionsUnreadable, match="published figures are shares"):
        section(paper=wrong)


def test_names_that_would_lose_a_file_are_refused():
    with pytest.raises(SectionsUnreadable, match="a name is made of"):
        section("../groups")
    with pytest.raises(SectionsUnreadable, match="a name is made of"):
        section(histories={"fold 1/2": HISTORY})
    with pytest.raises(SectionsUnreadable, match="two protocols bear one name"):
        Study("Two", [section(), section()])


def test_the_command_line_makes_the_report(tmp_path):
    sections.write(tmp_path / "study", Study("One", [section()]))
    out = tmp_path / "report"
    told = CliRunner().invoke(
        app, ["report", str(tmp_path / "study"), "--out", str(out), "--draws", "100"]
    )
    assert told.exit_code == 0, told.output
    assert (out / "report.html").is_file()
