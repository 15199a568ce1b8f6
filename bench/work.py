"""How much the network has to do: multiplications and bytes, counted from its own kernels.

A convolution multiplies its whole kernel once for every pixel that it gives out, a dense layer
once. So the kernels of the package and the side of the map behind each say it all; nothing is
estimated, and no framework is loaded. Batch normalisation, activation and pooling are left out:
together below one per cent.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml.packages import Package
from ml.preprocessing import SIZE

PARTS = ("vgg16", "densenet121", "head")
PASSING = "block5"  # of VGG16; in a package that passes block 4 on, an export may leave it out

# Side of the map that a layer gives out, as a share of the picture's. DenseNet halves in its
# first convolution, in the pooling after it, and behind (not in) each `pool…_conv`.
DENSENET_SIDES = {"conv1": 2, "conv2": 4, "pool2": 4, "conv3": 8, "pool3": 8, "conv4": 16}


@dataclass(frozen=True, slots=True)
class Work:
    """Of one picture: multiply-adds, weights (numbers), values that layers hand on (numbers)."""

    macs: int
    weights: int
    values: int

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.macs + other.macs, self.weights + other.weights, self.values + other.values
        )


def layer(kernel: tuple[int, ...], side: int = 1) -> Work:
    """A kernel (height, width, in, out) whose output is `side` x `side`, or a dense (in, out)."""
    size, pixels = int(np.prod(kernel)), side * side
    return Work(macs=size * pixels, weights=size, values=kernel[-1] * pixels)


def side(part: str, name: str) -> int:
    """Side in pixels of the map that layer `name` of `part` gives out; 1 for a dense one."""
    if part == "vgg16":
        block = re.match(r"block(\d)_", name)
        if block is None:
            raise ValueError(f"unknown layer {name}")
        return SIZE >> (int(block.group(1)) - 1)
    if part == "densenet121":
        return SIZE // DENSENET_SIDES[name.partition("_")[0]]
    return 1


def of_part(part: str, kernels: Mapping[str, tuple[int, ...]]) -> Work:
    """The whole part's; `kernels` maps a weight's path, `block1_conv1/kernel`, to its shape."""
    layers = [
        layer(shape, side(part, path.rpartition("/")[0]))
        for path, shape in kernels.items()
        if len(shape) >= 2
    ]
    return sum(layers, Work(0, 0, 0))


def of(package: Package) -> dict[str, Work]:
    """By part: `vgg16`, `densenet121`, `head`; and `passing`, VGG16's block 5, once more alone."""
    found = {}
    for part in PARTS:
        kernels = {
            path: held.shape
            for path, held in package.stored(f"{part}.safetensors").items()
            if path.endswith("/kernel")
        }
        found[part] = of_part(part, kernels)
        if part == "vgg16":
            block = {path: shape for path, shape in kernels.items() if path.startswith(PASSING)}
            found["passing"] = of_part(part, block)
    return found


def table(package: Package) -> dict[str, Any]:
    """The same for JSON, with the `total` of the three parts."""
    works = of(package)
    total = sum((works[part] for part in PARTS), Work(0, 0, 0))
    return {name: asdict(work) for name, work in {**works, "total": total}.items()}


def floor_ms(work: Work, *, macs_per_second: float) -> float:
    """No faster than this, were every multiplication done at the machine's measured rate."""
    return 1000 * work.macs / macs_per_second


def memory_ms(work: Work, *, width: int, batch: int, bytes_per_second: float) -> float:
    """Milliseconds a picture to bring the weights in once a batch, `width` bytes each."""
    return 1000 * work.weights * width / batch / bytes_per_second
