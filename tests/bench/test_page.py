"""docs/performance.md takes its figures from a run, and from nowhere else."""

import pytest

from bench import page, plot
from bench.tables import SECTIONS, Table
from tests.bench.measured import RESULTS

RUN = {
    "taken": "2026-01-02T03:04+00:00",
    "quick": True,
    "seconds": 120.0,
    "machine": {
        "processor": "A processor",
        "cores": 2,
        "memory_gib": 8.0,
        "instructions": ["avx2"],
        "system": "Linux",
        "versions": {"numpy": "2"},
    },
    "subjects": {},
}


def test_figures_stand_between_the_marks_and_words_stay():
    text = "Before.\n<!-- bench:targets -->\nold\n<!-- /bench:targets -->\nAfter.\n"
    told = page.filled(text, {**RUN, "subjects": {}})
    assert "old" not in told
    assert told.startswith("Before.\n<!-- bench:targets -->\n")
    assert told.endswith("<!-- /bench:targets -->\nAfter.\n")
    assert "| worker ready to serve | under 5 s | - | not measured |" in told


def test_filling_twice_changes_nothing_more():
    text = "<!-- bench:targets -->\n<!-- /bench:targets -->\n"
    once = page.filled(text, RUN)
    assert page.filled(once, RUN) == once


def test_what_was_not_measured_is_said_to_be_so():
    text = "<!-- bench:engines -->\n<!-- /bench:engines -->\n"
    assert page.UNMEASURED in page.filled(text, RUN)


def test_a_mark_that_means_nothing_is_an_error():
    with pytest.raises(LookupError):
        page.filled("<!-- bench:wishes -->\n<!-- /bench:wishes -->\n", RUN)


def test_the_page_has_a_place_for_every_section():
    names = {match[2] for match in page.MARKED.finditer(page.PAGE.read_text())}
    assert names == {"machine", "plot", *SECTIONS}


def test_the_machine_is_named_with_what_ran_beside():
    subjects = {"limits": {"cores_busy_before": 0.2}, "engines": {"cores_busy_before": 1.4}}
    told = page.machine({**RUN, "subjects": subjects})
    assert "A processor, 2 cores" in told
    assert "a quick look" in told
    assert "0.2 to 1.4 cores busy" in told


def test_a_table_in_markdown():
    assert page.markdown(Table("Title", ("", "ms"), [("int8", "16.0")])) == (
        "**Title**\n\n|   | ms |\n| --- | ---: |\n| int8 | 16.0 |\n"
    )


def test_targets_that_were_met_are_told_so():
    text = page.section("targets", {**RUN, "subjects": RESULTS})
    assert "| worker ready to serve | under 5 s | 3.0 s | met |" in text


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_figures_after_a_whole_run(name):
    text = page.section(name, {**RUN, "subjects": RESULTS})
    assert text.count("\n|") >= 3
    assert page.UNMEASURED not in text


@pytest.mark.parametrize("name", SECTIONS)
def test_a_part_that_failed_costs_no_other_section(name):
    failed = {subject: {"failed": "fell over"} for subject in RESULTS}
    text = page.section(name, {**RUN, "subjects": failed})
    assert text == page.UNMEASURED or name == "targets"


def test_the_run_is_drawn(tmp_path):
    files = plot.draw(RESULTS, [tmp_path / "a.png", tmp_path / "a.svg"])
    assert len(files) == 2
    assert all(path.stat().st_size for path in files)
    assert "images/performance.svg" in page.section("plot", {**RUN, "subjects": RESULTS})


def test_nothing_measured_is_nothing_drawn(tmp_path):
    failed = {"engines": {"failed": "fell over"}}
    assert plot.draw(failed, [tmp_path / "a.png"]) == []
    assert page.section("plot", {**RUN, "subjects": failed}) == ""
