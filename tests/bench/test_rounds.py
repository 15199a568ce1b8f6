"""Comparisons are fair, and their statistics are what they say."""

import pytest

from bench import rounds


def test_every_round_asks_everyone_and_begins_with_another():
    asked = []
    contenders = {name: lambda name=name: asked.append(name) or 1.0 for name in "abc"}
    found = rounds.in_turns(contenders, 3)
    assert "".join(asked) == "abcbcacab"
    assert found == {"a": [1.0] * 3, "b": [1.0] * 3, "c": [1.0] * 3}


def test_a_ratio_is_formed_within_its_round():
    # The machine was ten times slower in the second round; the ratio does not notice.
    assert rounds.ratios([10, 100, 10], [2, 20, 2]) == {"median": 5, "low": 5, "high": 5, "n": 3}


def test_rounds_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        rounds.ratios([1, 2], [1])


def test_spread_is_median_and_quartiles():
    assert rounds.spread([1, 2, 3, 4, 5]) == {"median": 3, "low": 2, "high": 4, "n": 5}


def test_a_percentile_was_measured_and_never_hides_the_slowest_of_few():
    assert rounds.percentile(range(1, 101), 0.95) == 95
    assert rounds.percentile([1, 2, 30], 0.95) == 30
    assert rounds.percentile([3, 1, 2], 0.5) == 2


@pytest.mark.parametrize("empty", [rounds.spread, lambda none: rounds.percentile(none, 0.5)])
def test_nothing_measured_is_no_figure(empty):
    with pytest.raises(ValueError, match="nothing was measured"):
        empty([])


def test_latencies_are_told_in_milliseconds():
    assert rounds.latencies([0.1, 0.2, 0.4]) == {
        "n": 3, "p50_ms": 200, "p95_ms": 400, "p99_ms": 400, "longest_ms": 400,
    }  # fmt: skip
