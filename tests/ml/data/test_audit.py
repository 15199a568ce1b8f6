"""The audit finds what was hidden in a folder, says so in words, and is one file that stays put."""

import re
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from ml.cli import app
from ml.data import read_index
from ml.data.audit import audit
from ml.data.findings import findings
from ml.data.page import render
from ml.synthetic import write
from tests.ml.data.drawn import draw, shifted


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Each class with its own scale bar, one exact copy, one overlap, one mislabelled field."""
    root = tmp_path_factory.mktemp("kaggle")
    draw(root, fields=5, marks=("large black", "small black", "small red", ""))
    original = root / "Original"
    shutil.copy(original / "Pro" / "WBC-Pro-1.png", original / "Pro" / "WBC-Pro-90.png")
    one, other = shifted(77, 40, 60)
    write(original / "Pre" / "WBC-Pre-91.png", one)
    write(original / "Early" / "WBC-Early-91.png", other)
    return root


@pytest.fixture(scope="module")
def found(folder):
    return audit(folder)


@pytest.fixture
def small(tmp_path):
    """One slide a class, two pictures each, no CSV: the least that is still a set."""
    draw(tmp_path / "small", slides=1, fields=2)
    return tmp_path / "small"


def names(found, pair):
    return {found.examples[at].path.name for at in (pair.first, pair.second)}


def test_the_copy_and_the_overlap_that_were_hidden_are_found(found):
    pairs = [names(found, pair) for pair in found.twins]
    assert {"WBC-Pro-1.png", "WBC-Pro-90.png"} in pairs
    assert {"WBC-Pre-91.png", "WBC-Early-91.png"} in pairs
    assert len(pairs) == 2


def test_one_field_under_two_classes_is_said_first_of_all(found):
    assert [names(found, pair) for pair in found.crossing] == [
        {"WBC-Pre-91.png", "WBC-Early-91.png"}
    ]
    assert "under two classes" in findings(found)[0].headline


def test_scale_bars_that_go_with_the_class_are_said_to(found):
    assert any("look goes with the class" in finding.headline for finding in findings(found))


def test_a_split_by_slide_leaks_no_slide_and_one_by_picture_does(found):
    leaks = {words.split(",")[0]: leak for words, leak in found.leaks.items()}
    assert leaks["by picture"].group > 0.9
    assert leaks["by slide"].group == leaks["by slide"].exact == 0


def test_the_page_is_one_file_without_script_or_address(found):
    page = render(found)
    assert "$" not in page
    assert "<script" not in page and "http" not in page
    assert set(re.findall(r'src="(.{5})', page)) == {"data:"}
    assert "WBC-Pro-90.png" in page and "were inferred" in page


def test_a_name_from_the_disk_is_text_and_never_markup(found):
    assert "a<b>" not in render(replace(found, name="a<b>"))


def test_the_command_writes_the_page_and_says_what_it_found(small, tmp_path):
    out = tmp_path / "audit.html"
    said = CliRunner().invoke(app, ["data", "audit", str(small), "--out", str(out)])
    assert said.exit_code == 0, said.output
    assert out.read_text().startswith("<!doctype html>")
    assert "No scale bars are burnt into the corners." in said.output


def test_a_split_is_printed_with_its_leak(folder):
    said = CliRunner().invoke(app, ["data", "split", str(folder), "--by", "paper"])
    assert said.exit_code == 0, said.output
    (share,) = re.findall(r"the same slide for ([\d.]+)%", " ".join(said.output.split()))
    assert float(share) > 50


def test_inferred_slides_written_down_are_read_again(small, tmp_path):
    index = tmp_path / "groups.csv"
    said = CliRunner().invoke(app, ["data", "groups", str(small), "--out", str(index)])
    assert said.exit_code == 0, said.output
    assert {(e.path, e.group) for e in read_index(small, index)} == {
        (e.path, e.group) for e in read_index(small)
    }


def test_a_wrong_folder_and_a_broken_picture_are_refused_by_name(folder, tmp_path):
    said = CliRunner().invoke(app, ["data", "audit", str(tmp_path)])
    assert said.exit_code == 1 and "no class folders" in " ".join(said.output.split())
    root = tmp_path / "all"
    (root / "Original" / "Pro").mkdir(parents=True)
    (root / "Original" / "Pro" / "WBC-Pro-2.png").write_bytes(b"no picture")
    said = CliRunner().invoke(app, ["data", "audit", str(root)])
    assert said.exit_code == 1 and "WBC-Pro-2.png" in "".join(said.output.split())
