"""The package's network as an OpenVINO graph, built from the numbers that lie in the package.

No TensorFlow and no conversion: a worker reads 22 MB, builds the graph in a fifth of a second and
compiles it in one. It is the network of `ml.fusion` to the last parameter, with what changes
nothing left out or moved:

- VGG16's kernels go in as the package's own 8-bit integers with their scale per output channel.
- A convolution that hands on what comes in (`ml.fusion.pass_through`) is dropped. That is read
  from its weights, never assumed.
- DenseNet's batch normalisations behind a convolution are folded into it; those before a ReLU
  become one multiplication and one addition per channel.
- A transition averages before its 1 x 1 convolution instead of behind it: both are linear, and
  there is a quarter left to multiply. That quarter is not rounded: OpenVINO 2026.4 gets an
  average with a rounding behind it wrong, and it is a three-hundredth of the work.

With `ranges`, what comes into each convolution is rounded to 256 steps between 0 and the range of
its name, which tells OpenVINO to multiply integers there. Every such input is a ReLU's output, so
0 stays 0 and padding costs nothing. The dense layers, DenseNet's concatenations and the averages
stay in floating point: they are a hundredth of the work and would be most of the error.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.engines.quiet import openvino, ops
from ml.packages import SCALE, Package, Tensors, pack8
from ml.preprocessing import SIZE

Ranges = Mapping[str, float]
Floats = NDArray[np.float32]
Node = Any  # openvino.Node, which its bindings describe too loosely to help

EPSILON = 1.001e-5  # of keras.applications' batch normalisations
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)  # as `ml.fusion.CAFFE_MEAN_RGB`, which imports Keras
VGG16 = ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3))  # blocks and their convolutions
DENSENET = ((2, 6), (3, 12), (4, 8))  # the same of DenseNet-121 up to `conv4_block9_0_bn`
OUTPUTS = ("probabilities", "features", "maps_original", "maps_segmented")
LEVELS = 256


def network(package: Package, ranges: Ranges | None = None) -> openvino.Model:
    """The whole network: two (N, 128, 128, 3) uint8 RGB to `OUTPUTS`, N free.

    Probabilities (N, 4) uncalibrated, features (N, 1024), both trunks' last maps
    (N, 8, 8, 512), all float32. `ranges` is what `watched` found for every name it gives; without
    them everything stays in floating point. KeyError when one is lacking, `PackageTampered` as
    `Package.tensors`.
    """
    return _Graph(package, ranges).whole()


def watched(package: Package) -> tuple[openvino.Model, tuple[str, ...]]:
    """The network with one output: (N, P), the largest value at each place that is rounded.

    With it the P names of those places, in their order: the keys of `ranges`.
    """
    graph = _Graph(package, None)
    inputs = graph.whole().get_parameters()
    axes = np.array([1, 2, 3])
    peaks = [ops.unsqueeze(ops.reduce_max(node, axes), 1) for node in graph.places.values()]
    return openvino.Model([ops.concat(peaks, 1)], inputs, "watched"), tuple(graph.places)


class _Graph:
    def __init__(self, package: Package, ranges: Ranges | None) -> None:
        self.package = package
        self.ranges = ranges
        self.places: dict[str, Node] = {}

    def whole(self) -> openvino.Model:
        scales = self.package.manifest["preprocessing"]
        original, field = self.picture("original", scales["scale_original"])
        segmented, cells = self.picture("segmented", scales["scale_segmented"])
        maps = (self.vgg16(field), self.densenet(cells))
        pooled = [ops.reduce_mean(one, np.array([2, 3])) for one in maps]
        features = ops.concat(pooled, 1)
        outputs = [
            self.head(features),
            features,
            *(ops.transpose(one, np.array([0, 2, 3, 1])) for one in maps),
        ]
        for node, name in zip(outputs, OUTPUTS, strict=True):
            node.output(0).set_names({name})
        return openvino.Model(outputs, [original, segmented], "fusion")

    def picture(self, name: str, scale: str) -> tuple[Node, Node]:
        """The input, and what its trunk sees: (N, 3, 128, 128) in the scale it was taught."""
        given = ops.parameter([-1, SIZE, SIZE, 3], openvino.Type.u8, name=name)
        given.output(0).set_names({name})
        x = ops.transpose(ops.convert(given, "f32"), np.array([0, 3, 1, 2]))
        if scale == "caffe":
            turned = ops.gather(x, np.array([2, 1, 0]), np.array(1))
            return given, ops.subtract(turned, _per_channel(np.array(CAFFE_MEAN_BGR)))
        x = ops.multiply(x, ops.constant(np.float32(1 / 255)))
        # Exact: the 256 steps from 0 to 1 are the picture's own.
        return given, x if self.ranges is None else _rounded(x, 1.0)

    def vgg16(self, x: Node) -> Node:
        """Up to `block5_conv3`, (N, 512, 8, 8)."""
        stored = self.package.stored("vgg16.safetensors")
        steps = [
            f"block{block}_{step}"
            for block, count in VGG16
            for step in (*(f"conv{number}" for number in range(1, count + 1)), "pool")
        ][:-1]
        wanted = [name for name in steps if not _passes_on(stored, name)]
        last = [name for name in wanted if "_conv" in name][-1]
        for name in wanted:
            if name.endswith("_pool"):
                x = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
                continue
            kernel = stored[f"{name}/kernel"], stored[f"{name}/kernel{SCALE}"]
            x = ops.relu(self.convolution(x, *kernel, bias=stored[f"{name}/bias"]))
            if name != last:
                x = self.rounded(x, name)
        return x

    def densenet(self, x: Node) -> Node:
        """DenseNet-121 up to `conv4_block9_0_bn`, (N, 512, 8, 8)."""
        held = self.package.tensors("densenet121.safetensors")

        def convolution(
            x: Node, kernel: Floats, bias: Floats | None = None, stride: int = 1
        ) -> Node:
            if self.ranges is None:
                return self.convolution(x, kernel, bias=bias, stride=stride)
            eight, steps = pack8({"kernel": kernel}).values()
            return self.convolution(x, eight, steps, bias=bias, stride=stride)

        gain, shift = _normalisation(held, "conv1_bn")
        x = ops.relu(convolution(x, held["conv1_conv/kernel"] * gain, shift, stride=2))
        x = ops.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
        for block, count in DENSENET:
            for number in range(1, count + 1):
                name = f"conv{block}_block{number}"
                y = self.rounded(ops.relu(_normalised(x, held, f"{name}_0_bn")), f"{name}_0")
                gain, shift = _normalisation(held, f"{name}_1_bn")
                y = ops.relu(convolution(y, held[f"{name}_1_conv/kernel"] * gain, shift))
                y = convolution(self.rounded(y, f"{name}_1"), held[f"{name}_2_conv/kernel"])
                x = ops.concat([x, y], 1)
            if block < DENSENET[-1][0]:
                y = ops.relu(_normalised(x, held, f"pool{block}_bn"))
                y = ops.avg_pool(y, [2, 2], [0, 0], [0, 0], [2, 2], True)
                x = self.convolution(y, held[f"pool{block}_conv/kernel"])
        return _normalised(x, held, "conv4_block9_0_bn")

    def head(self, x: Node) -> Node:
        """The dense ladder, (N, 1024) to (N, 4)."""
        held = self.package.tensors("head.safetensors")
        names = [name.removesuffix("/kernel") for name in held if name.endswith("/kernel")]
        names.sort(key=lambda name: held[f"{name}/kernel"].shape, reverse=True)  # it only narrows
        for name in names:
            x = ops.matmul(x, ops.constant(held[f"{name}/kernel"]), False, False)
            x = ops.add(x, ops.constant(held[f"{name}/bias"][None]))
            x = ops.softmax(x, 1) if name == names[-1] else ops.relu(x)
        return x

    def convolution(
        self,
        x: Node,
        kernel: NDArray[Any],
        scale: Floats | None = None,
        *,
        bias: Floats | None = None,
        stride: int = 1,
    ) -> Node:
        """A (height, width, in, out) kernel over x, padded to keep its size but for the stride."""
        weights: Node = ops.constant(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
        if scale is not None:
            steps = ops.constant(scale.reshape(-1, 1, 1, 1))
            weights = ops.multiply(ops.convert(weights, "f32"), steps)
        pad = [kernel.shape[0] // 2] * 2
        y = ops.convolution(x, weights, [stride] * 2, pad, pad, [1, 1])
        return y if bias is None else ops.add(y, _per_channel(bias))

    def rounded(self, x: Node, name: str) -> Node:
        self.places[name] = x
        return x if self.ranges is None else _rounded(x, self.ranges[name])


def _rounded(x: Node, high: float) -> Node:
    low, top = ops.constant(np.float32(0)), ops.constant(np.float32(high))
    return ops.fake_quantize(x, low, top, low, top, LEVELS)


def _normalised(x: Node, held: Tensors, name: str) -> Node:
    gain, shift = _normalisation(held, name)
    return ops.add(ops.multiply(x, _per_channel(gain)), _per_channel(shift))


def _normalisation(held: Tensors, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """A batch normalisation's gain and shift per channel."""
    gain = held[f"{name}/gamma"] / np.sqrt(held[f"{name}/moving_variance"] + np.float32(EPSILON))
    return gain, held[f"{name}/beta"] - held[f"{name}/moving_mean"] * gain


def _passes_on(stored: Tensors, name: str) -> bool:
    """Whether a VGG16 convolution, behind a ReLU as all but the first, hands on what comes in."""
    if name.endswith("_pool"):
        return False
    kernel = stored[f"{name}/kernel"] * stored[f"{name}/kernel{SCALE}"]
    if kernel.shape[2] != kernel.shape[3] or stored[f"{name}/bias"].any():
        return False
    middle = kernel[1, 1].copy()
    kernel[1, 1] = 0
    return not kernel.any() and np.allclose(middle, np.eye(len(middle)), rtol=0, atol=1e-6)


def _per_channel(values: NDArray[Any]) -> Node:
    return ops.constant(values.reshape(1, -1, 1, 1).astype(np.float32))
