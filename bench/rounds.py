"""Comparing fairly on a machine that others use: everything in turns, ratios within a round.

A slow minute falls on all contenders of a round alike, so the ratio of two figures of one round
says more than the ratio of two averages. Every figure comes with its quartiles.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

Name = TypeVar("Name")
Found = TypeVar("Found")
Spread = dict[str, float]  # median, low and high quartile, n


def spread(values: Sequence[float]) -> Spread:
    """Median, quartiles and number of `values`; raises `ValueError` without any."""
    if not len(values):
        raise ValueError("nothing was measured")
    low, median, high = np.percentile(np.asarray(values, float), (25, 50, 75)).tolist()
    return {"median": median, "low": low, "high": high, "n": len(values)}


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """The spread of above/below, round by round; both must be of the same rounds."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed: a measured one, not between two.

    So the slowest of few is not averaged away: the 95th percentile of ten is the largest.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[max(0, int(np.ceil(share * len(ordered))) - 1)]


def in_turns(
    contenders: Mapping[Name, Callable[[], Found]],
    rounds: int,
    *,
    report: Callable[[str], None] = lambda line: None,
) -> dict[Name, list[Found]]:
    """Each contender once a round, every round beginning with another; what each gave, by round."""
    names = list(contenders)
    found: dict[Name, list[Found]] = {name: [] for name in names}
    for number in range(rounds):
        report(f"round {number + 1} of {rounds}")
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(contenders[name]())
    return found


def latencies(seconds: Sequence[float]) -> dict[str, Any]:
    """What is said of waiting times: n, p50, p95, p99 and the longest, in milliseconds."""
    return {
        "n": len(seconds),
        **{f"p{p}_ms": 1000 * percentile(seconds, p / 100) for p in (50, 95, 99)},
        "longest_ms": 1000 * max(seconds),
    }
