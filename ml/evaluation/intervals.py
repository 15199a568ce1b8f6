"""How far the figures could have come out otherwise, had other slides been at hand.

Two questions, two intervals, both 95 % and both by drawing whole slides within each class:

- *the interval*: where the figure for such slides in general may lie. A bootstrap over slides.
- *the new batch*: where the figure of one new, small batch of slides may fall. Wider, since a
  handful of slides is a matter of luck even when the model is known perfectly.

The plain bootstrap over slides is known to be too narrow with few of them (Flynn and Peters, BMC
Health Services Research 2004, 4:33: trust it from two dozen on; here a class has five to fifteen)
and has no width at all where every slide came out right. Three remedies, none of our own making:

- Of n slides n - 1 are drawn, which takes the downward bias out of the variance (McCarthy and
  Snowden 1985; Rao and Wu, J. Am. Stat. Assoc. 1988, 83:231).
- *The slide not seen yet*: one imagined slide, its class left to chance, on which any share of
  the pictures, evenly 0 to 100 %, is taken for one wrong class. It lies in the bag with the seen
  ones. This is the rule of succession, whose other face is the rule of three (Hanley and
  Lippman-Hand, JAMA 1983, 249:1743): that forty slides went well does not show that the next will.
- The new batch's slides are drawn from a bag that is itself in doubt: its slides' shares are
  Dirichlet (Rubin, Ann. Stat. 1981, 9:130), which makes the batch a draw from a Polya urn (Lo,
  Ann. Stat. 1988, 16:1684).

Of the slides drawn, pictures are then drawn with replacement (the two-stage bootstrap of Davison
and Hinkley, Bootstrap Methods, 1997, section 3.8), so that every draw has the same number of
pictures of each class: how many of each kind come in is not the model's merit.

`python -m bench.intervals` tries them on simulated worlds of 42 slides of the real sizes, whose
error rates follow a beta law (four laws, mean accuracy 0.91 to 0.98; 60 worlds each, so give or
take 4 %): the plain bootstrap held the true accuracy in 62 to 90 % of the worlds, the interval in
97 to 100 %, and the new batch's interval held a new batch of 13 slides in 88 to 98 %. The last is
still on the hopeful side where a few slides fail altogether.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.classes import CLASSES

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

DRAWS = 2000
SEED = 95
PERCENTILES = (2.5, 97.5)
AT_ONCE = 20  # draws held in memory together
UNSEEN = 1.0  # imagined slides in the bags of all classes together
OTHERS = len(CLASSES) - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """A delivery of new slides: how many, and how many pictures, in the order of `CLASSES`."""

    slides: tuple[int, ...]
    pictures: tuple[int, ...]


# The published set has 3,256 pictures, this one 2,778: the 478 others, on slides in the
# proportion of the ones that are here.
NEW_BATCH = Batch(slides=(4, 4, 3, 2), pictures=(76, 148, 143, 111))

SEEN_METHOD = (
    "95 %, {draws} bootstrap draws of slides within each class, then of pictures within the "
    "slides, seed {seed}"
)
METHOD = SEEN_METHOD + "; one imagined slide, on which anything may go wrong, lies among the seen"
BATCH_METHOD = (
    "95 % of new batches of {slides} slides, {pictures} pictures, would fall here: {draws} draws "
    "of slides from a Polya urn within each class, then of pictures, seed {seed}; one imagined "
    "slide, on which anything may go wrong, lies among the seen"
)


@dataclass(frozen=True, slots=True)
class Draws:
    """Some draws, as weights of the R rows that `imagined` returns.

    `pictures` (D, R): how often each was drawn. `slides` (D, R): the same with every slide
    counting alike, whatever its size.
    """

    pictures: Floats
    slides: Floats


def imagined(probabilities: Floats, targets: Ints) -> tuple[Floats, Ints]:
    """The N pictures as they are, then three times over as if each had been taken for another.

    In the k-th copy (k = 1..3) the class k places on has got the true class's probability, where
    that was the greater. Returns (4N, 4) and (4N,).
    """
    rows = np.arange(len(targets))
    copies = [probabilities]
    for step in range(1, len(CLASSES)):
        wrong = (targets + step) % len(CLASSES)
        copy = probabilities.copy()
        pair = np.sort(np.stack([probabilities[rows, targets], probabilities[rows, wrong]]), axis=0)
        copy[rows, targets], copy[rows, wrong] = pair
        copies.append(copy)
    return np.concatenate(copies), np.tile(targets, len(CLASSES))


def draws(
    targets: Ints,
    groups: NDArray[Any],
    *,
    batch: Batch | None = None,
    unseen: float = UNSEEN,
    count: int = DRAWS,
    seed: int = SEED,
) -> Iterator[Draws]:
    """`count` draws in all, some at once, over N pictures with (N,) truths and slides.

    Without `batch`: the interval. With it: the new batch. `unseen` imagined slides, parts of one
    included, lie in the bags. Classes that are not there are not drawn.
    """
    rng = np.random.default_rng(seed)
    bags = [_Bag.of(targets, groups, position) for position in np.unique(targets)]
    while count > 0:
        size = min(count, AT_ONCE)
        count -= size
        chosen = Draws(*(np.zeros((size, len(CLASSES) * len(targets))) for _ in range(2)))
        for bag in bags:
            bag.draw(chosen, batch, unseen, rng)
        yield chosen


@dataclass(frozen=True, slots=True)
class _Bag:
    """The slides of one class: S of them, seen, with n pictures in all."""

    position: int
    rows: Ints  # (n,) places of the pictures among all
    slide: Ints  # (n,) which of the S slides each is from
    sizes: Ints  # (S,) pictures
    total: int  # all pictures of all classes

    @classmethod
    def of(cls, targets: Ints, groups: NDArray[Any], position: int) -> "_Bag":
        rows = np.flatnonzero(targets == position)
        _, slide, sizes = np.unique(groups[rows], return_inverse=True, return_counts=True)
        return cls(int(position), rows, slide, sizes, len(targets))

    def draw(
        self, chosen: Draws, batch: Batch | None, unseen: float, rng: np.random.Generator
    ) -> None:
        """Fill this class's columns of `chosen`."""
        seen = len(self.sizes)
        slides = max(1, seen - 1) if batch is None else batch.slides[self.position]
        pictures = len(self.rows) if batch is None else batch.pictures[self.position]
        bag = np.append(np.ones(seen), unseen / len(CLASSES))
        if batch is not None:
            shares = rng.dirichlet(bag, len(chosen.pictures))
        else:
            shares = np.tile(bag / bag.sum(), (len(chosen.pictures), 1))
        times = rng.multinomial(slides, shares)
        expected = self._expected(times, rng)
        # Every slide alike; and the class as many slides as it has, however many were drawn.
        alike = expected / np.tile(self.sizes[self.slide], 1 + OTHERS)
        alike *= (seen if batch is None else slides) / slides
        picked = rng.multinomial(pictures, expected / expected.sum(axis=1, keepdims=True))
        columns = np.concatenate([self.rows + k * self.total for k in range(1 + OTHERS)])
        chosen.pictures[:, columns] = picked
        chosen.slides[:, columns] = alike

    def _expected(self, times: Ints, rng: np.random.Generator) -> Floats:
        """(D, S + 1) times each slide was drawn to (D, 4n): how much each picture is in it."""
        count = len(self.rows)
        expected = np.zeros((len(times), (1 + OTHERS) * count))
        expected[:, :count] = times[:, self.slide]
        for draw in np.flatnonzero(times[:, -1]):
            # The imagined slide looks like one of the seen; a share of it is taken for another.
            body = np.flatnonzero(self.slide == rng.integers(len(self.sizes)))
            gone, step = rng.uniform(), rng.integers(1, 1 + OTHERS)
            expected[draw, body] += times[draw, -1] * (1 - gone)
            expected[draw, body + step * count] += times[draw, -1] * gone
        return expected
