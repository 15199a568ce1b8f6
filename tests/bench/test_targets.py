"""A target is called met when its figure says so, and not measured when there is none."""

import copy

import pytest

from bench import targets
from bench.memory import CHOSEN
from tests.bench.measured import PAGE, PIPELINE, RESULTS


@pytest.fixture
def results():
    return copy.deepcopy(RESULTS)


def words(results):
    return {one.name: one.word for one in targets.verdicts(results)}


def test_all_is_met_when_every_figure_is_within_its_bound(results):
    assert set(words(results).values()) == {"met"}


def test_without_results_nothing_is_claimed():
    assert set(words({}).values()) == {"not measured"}


def test_a_subject_that_failed_is_not_measured(results):
    results["intake"] = {"failed": "no PostgreSQL", "seconds": 1.0}
    told = words(results)
    assert told["durable uploads, 4 clients, hospital"] == "not measured"
    assert told["worker ready to serve"] == "met"


@pytest.mark.parametrize(
    ("spoil", "missed"),
    [
        (
            lambda r: r["engines"]["rows"][0]["times_faster"].update(median=9.9),
            "engine at batch 1, against the naive path",
        ),
        (
            lambda r: r["engines"]["rows"][0]["over_bare"].update(median=1.16),
            "engine at batch 1, over the same network bare",
        ),
        (
            lambda r: r["preprocessing"]["224 x 224"].update({"open + prepare": 3.3}),
            "preprocessing on one core, over inference on all",
        ),
        (
            lambda r: r["engines"]["rows"][0].update(core_ms=14.9),
            "preprocessing, share of inference, core time",
        ),
        (
            lambda r: r["intake"]["sqlite"][0].update(p99_ms=100.0),
            "p99 of an upload, 4 clients, embedded",
        ),
        (
            lambda r: r["intake"]["postgresql"][0].update(failed={"503": 1}),
            "durable uploads, 4 clients, hospital",
        ),
        (
            lambda r: r["case"]["asked"]["the page"].update(p95=301.0),
            "case page, 100 fields and 2,000 cells, p95",
        ),
        (
            lambda r: r["worklist"]["postgresql"]["1000000"].update(
                asked={"one: first page": {**PAGE, "median": 30.0}}
            ),
            "worklist page, 1,000 to 1,000,000 reports",
        ),
        (
            lambda r: r["worklist"]["postgresql"]["1000000"].update(
                asked={"one: first page": {**PAGE, "queries": 9}}
            ),
            "queries of the worklist page",
        ),
        (
            lambda r: r["memory"]["workers"][CHOSEN].update(ready_seconds=[2.0, 5.1]),
            "worker ready to serve",
        ),
    ],
)  # fmt: skip
def test_one_figure_beyond_its_bound_is_one_target_missed(results, spoil, missed):
    spoil(results)
    assert [name for name, word in words(results).items() if word == "not met"] == [missed]


def test_memory_is_judged_by_the_most_that_was_seen(results):
    results["pipeline hospital"] = {
        **PIPELINE, "memory_mib": {"end": {"analyses": {"rss": 700.0}}}
    }  # fmt: skip
    assert words(results)["memory of a worker (RSS)"] == "not met"


def test_a_small_archive_says_nothing_about_growth(results):
    sizes = results["worklist"]["postgresql"]
    sizes["10000"] = sizes.pop("1000000")
    assert words(results)["worklist page, 1,000 to 1,000,000 reports"] == "not measured"


def test_idle_time_is_judged_beyond_one_inference(results):
    results["pipeline embedded"] = {**PIPELINE, "idle": {"p95_ms": 166.5}}
    assert words(results)["idle p95 beyond one inference, embedded"] == "not met"
    results["pipeline embedded"] = {**PIPELINE, "idle": {"p95_ms": 165.5}}
    assert words(results)["idle p95 beyond one inference, embedded"] == "met"
