"""Examples made ready for training: decoded, blanked, segmented, once, and kept in memory.

2,778 fields of 224 x 224 take about half a gigabyte.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.augmentation import Mask, Picture
from ml.data import Example, weights_by_group
from ml.images import decode
from ml.preprocessing import prepare


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures of one part, in the order of `examples`."""

    examples: Sequence[Example]
    fields: Sequence[Picture]  # full size, corner blanked, light balanced
    masks: Sequence[Mask]  # full size, where the cells are
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
    fields, masks, originals, segmented, verdicts = [], [], [], [], []
    for example in examples:
        ready = prepare(decode(example.read()))
        fields.append(ready.balanced)
        masks.append(ready.segmentation.mask)
        originals.append(ready.original)
        segmented.append(ready.segmented)
        verdicts.append(str(ready.quality.verdict))
        step()
    return Samples(
        examples=examples,
        fields=fields,
        masks=masks,
        original=np.stack(originals),
        segmented=np.stack(segmented),
        verdicts=verdicts,
    )
