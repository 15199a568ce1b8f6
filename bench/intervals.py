"""Do the intervals of `ml.evaluation` hold what they promise?

    python -m bench.intervals         # some minutes on one core; --worlds 50 for a first look

In each simulated world slides fail at random: their error rates follow a beta law, their sizes are
those of the real set. 42 slides are seen, intervals drawn from them, and then the world is asked
what is true: the accuracy in general, and that of 13 slides more.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ml.evaluation import intervals

SIZES = (  # pictures of the slides in ../shared/data/taleqani/groups.csv
    (3, 3, 3, 4, 4, 5, 31, 60, 61, 61, 62, 62, 69),
    (6, 20, 22, 22, 25, 31, 46, 56, 57, 59, 66, 70, 105, 108, 144),
    (5, 6, 40, 49, 54, 63, 107, 212, 284),
    (3, 117, 127, 137, 309),
)
SEEN = tuple(map(len, SIZES))  # slides of each class
LAWS = ((0.15, 3), (0.3, 3), (0.05, 0.6), (0.02, 1))  # of the slides' error rates
DRAWS = 400
Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def world(slides: Sequence[int], law: tuple[float, float], rng: np.random.Generator) -> Arrays:
    """Class, slide and rightness (0 or 1) of every picture of so many slides."""
    rows = [
        (position, f"{position}-{number}", float(rng.random() >= error))
        for position, count in enumerate(slides)
        for number in range(count)
        for error in [rng.beta(*law)]
        for _ in range(rng.choice(SIZES[position]))
    ]
    targets, groups, right = zip(*rows, strict=True)
    return np.array(targets), np.array(groups), np.array(right)


def ends(seen: Arrays, **how: Any) -> NDArray[Any]:
    """Low and high end of the accuracy, as `ml.evaluation` draws them."""
    targets, groups, right = seen
    rows = np.concatenate([right, np.zeros(3 * len(right))])  # imagined pictures are wrong
    drawn = [
        draw.pictures @ rows / draw.pictures.sum(axis=1)
        for draw in intervals.draws(targets, groups, count=DRAWS, **how)
    ]
    return np.asarray(np.percentile(np.concatenate(drawn), intervals.PERCENTILES))


def plain(seen: Arrays, rng: np.random.Generator) -> NDArray[Any]:
    """The textbook's: as many slides as there are, with replacement, within each class."""
    targets, groups, right = seen
    classes = [
        np.array([(right[groups == one].sum(), (groups == one).sum()) for one in np.unique(names)])
        for position in np.unique(targets)
        for names in [groups[targets == position]]
    ]
    sums = [
        sum(held[rng.integers(0, len(held), len(held))].sum(axis=0) for held in classes)
        for _ in range(DRAWS)
    ]
    shares = [right / whole for right, whole in sums]
    return np.asarray(np.percentile(shares, intervals.PERCENTILES))


def trial(law: tuple[float, float], seed: int) -> dict[str, tuple[bool, float]]:
    """Whether each interval held what came true in one world, and how wide it was."""
    rng = np.random.default_rng(seed)
    seen, batch = world(SEEN, law, rng), intervals.NEW_BATCH
    targets, _, right = world(batch.slides, law, rng)
    shares = [right[targets == position].mean() for position in range(len(SEEN))]
    new, true = np.average(shares, weights=batch.pictures), 1 - law[0] / sum(law)
    found = {
        "plain bootstrap": (plain(seen, rng), true),
        "seen slides only": (ends(seen, unseen=0, seed=seed), true),
        "interval": (ends(seen, seed=seed), true),
        "new batch": (ends(seen, batch=batch, seed=seed), new),
    }
    return {
        name: (bool(low - 1e-9 <= value <= high + 1e-9), float(high - low))
        for name, ((low, high), value) in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=250, help="simulated worlds for each law")
    worlds = parser.parse_args().worlds
    table = Table("mean accuracy", "interval", "held", "mean width")
    for law in LAWS:
        trials = [trial(law, seed) for seed in track(range(worlds), description=f"beta{law}")]
        for name in trials[0]:
            held, width = np.mean([one[name] for one in trials], axis=0)
            table.add_row(f"{1 - law[0] / sum(law):.3f}", name, f"{held:.1%}", f"{width:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
