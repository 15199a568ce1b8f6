"""Examples made ready for training: decoded, blanked, segmented, once, and kept in memory.

2,778 fields of 224 x 224 take about half a gigabyte.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.augmentation import Mask, Picture
from ml.data import Example, weights_by_group
from ml.gallery import Spots
from ml.images import decode
from ml.preprocessing import prepare


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures of one part, in the order of `examples`."""

    examples: Sequence[Example]
    fields: Sequence[Picture]  # full size, corner blanked, light balanced
    masks: Sequence[Mask]  # full size, where the cells are
    spots: Sequence[Spots]  # the cells that the segmented picture shows
    original: Picture  # (N, 128, 128, 3) uint8, as the network sees them
    segmented: Picture  # (N, 128, 128, 3) uint8
    verdicts: Sequence[str]  # the quality gate's word on each

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def targets(self) -> NDArray[np.int64]:
        """(N,) positions among the classes."""
        return np.array([example.target for example in self.examples], dtype=np.int64)

    @property
    def groups(self) -> NDArray[np.str_]:
        """(N,) slide names."""
        return np.array([example.group for example in self.examples])

    @property
    def weights(self) -> NDArray[np.float64]:
        """(N,) sampling weights, summing to 1."""
        return weights_by_group(self.examples)


def load(examples: Sequence[Example], *, step: Callable[[], None] = lambda: None) -> Samples:
    """Read and prepare every example exactly as a reading would; `step` is called after each."""
    ready = []
    for example in examples:
        ready.append(prepare(decode(example.read())))
        step()
    return Samples(
        examples=examples,
        fields=[one.balanced for one in ready],
        masks=[one.segmentation.mask for one in ready],
        spots=[one.spots for one in ready],
        original=np.stack([one.original for one in ready]),
        segmented=np.stack([one.segmented for one in ready]),
        verdicts=[str(one.quality.verdict) for one in ready],
    )


def prepared(examples: Sequence[Example], report: Callable[[str, int, int], None]) -> Samples:
    """`load`, with progress."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        report("preparing pictures", done, len(examples))

    return load(examples, step=step)
