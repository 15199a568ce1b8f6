"""How much the network has to do: multiplications and weights, counted from its own kernels.

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

# Side of the map that a layer gives out, as a share of the picture's. DenseNet halves in its
# first convolution, in the pooling after it, and behind (not in) each `pool…_conv`.
DENSENET_SIDES = {"conv1": 2, "conv2": 4, "pool2": 4, "conv3": 8, "pool3": 8, "conv4": 16}


@dataclass(frozen=True, slots=True)
class Work:
    """Of one picture: multiply-adds, and how many weights they need."""

    macs: int
    weights: int

    def __add__(self, other: "Work") -> "Work":
        return Work(self.macs + other.macs, self.weights + other.weights)


NOTHING = Work(0, 0)


def layer(kernel: tuple[int, ...], side: int = 1) -> Work:
    """A kernel (height, width, in, out) whose output is `side` x `side`, or a dense (in, out)."""
    size = int(np.prod(kernel))
    return Work(macs=size * side * side, weights=size)


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
    return sum(layers, NOTHING)


def of(package: Package) -> dict[str, Work]:
    """By part: `vgg16`, `densenet121`, `head`; and `left_out`, what of it an export needs not do.

    That is each VGG16 convolution that hands on what comes in (its kernel is the identity), and
    three quarters of each transition of DenseNet, which may average before its convolution.
    """
    found, saved = {}, NOTHING
    for part in PARTS:
        held = package.tensors(f"{part}.safetensors")
        kernels = {path: one for path, one in held.items() if path.endswith("/kernel")}
        found[part] = of_part(part, {path: one.shape for path, one in kernels.items()})
        for path, kernel in kernels.items():
            name = path.rpartition("/")[0]
            if part == "vgg16" and passes_on(kernel):
                saved += layer(kernel.shape, side(part, name))
            elif part == "densenet121" and name.startswith("pool"):
                saved += Work(layer(kernel.shape, side(part, name)).macs * 3 // 4, 0)
    return {**found, "left_out": saved}


def passes_on(kernel: np.ndarray) -> bool:
    """Whether a (height, width, in, out) kernel is 1 in the middle of its own channel, else 0."""
    height, width, before, after = kernel.shape
    if before != after:
        return False
    wanted = np.zeros_like(kernel)
    wanted[height // 2, width // 2] = np.eye(before)
    return bool(np.allclose(kernel, wanted))


def total(works: Mapping[str, Work]) -> Work:
    """Of the three parts together, all layers done as they stand in the paper's table."""
    return sum((works[part] for part in PARTS), NOTHING)


def table(works: Mapping[str, Work]) -> dict[str, Any]:
    """The same for JSON, with the `total`."""
    return {name: asdict(work) for name, work in {**works, "total": total(works)}.items()}


def floor_ms(work: Work, *, macs_per_second: float) -> float:
    """No faster than this, were every multiplication done at the machine's measured rate."""
    return 1000 * work.macs / macs_per_second


def memory_ms(work: Work, *, width: int, batch: int, bytes_per_second: float) -> float:
    """Milliseconds a picture to bring the weights in once a batch, `width` bytes each."""
    return 1000 * work.weights * width / batch / bytes_per_second
