"""The TensorFlow engine: the reference that every other engine is held to, and the GPU's.

Imported by whoever starts it and by nothing at import time: it costs seconds and a gigabyte.
On a GPU the trunks run in half precision and everything is compiled with XLA; the dense layers
keep float32. The self-test at the start sees to it that this gives the same answers.
"""

import os
import threading
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before the import, or it says nothing

import keras
import numpy as np
import tensorflow as tf

from ml import fusion
from ml.engines import Answers
from ml.packages import Package
from ml.preprocessing import SIZE, Picture, unit

# One compiled graph for a single picture, one for a full batch. Anything else is padded up.
BATCHES = (1, 8)
BATCHES_GPU = (1, 8, 64)


def gpus() -> list[Any]:
    """The GPUs that TensorFlow can use, set not to be taken whole."""
    devices: list[Any] = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    return devices


def network(package: Package, *, half: bool = False) -> keras.Model:
    """The package's fusion network, weights dequantised to float32.

    `half`: both trunks multiply in float16, their averages and the head in float32.
    """
    scales = package.manifest["preprocessing"]
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16" if half else usual)
    try:
        original = fusion.vgg16(scale=scales["scale_original"])
        segmented = fusion.densenet121(scale=scales["scale_segmented"])
    finally:
        keras.config.set_dtype_policy(usual)
    head = fusion.head()
    fusion.set_weights(original, package.tensors("vgg16.safetensors"))
    fusion.set_weights(segmented, package.tensors("densenet121.safetensors"))
    fusion.set_weights(head, package.tensors("head.safetensors"))
    return fusion.fusion(original=original, segmented=segmented, head=head)


class TensorFlowEngine:
    """Runs the network on whatever TensorFlow finds: CPU, or a GPU without taking it whole."""

    def __init__(self, package: Package) -> None:
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError("this engine needs KERAS_BACKEND=tensorflow (the default)")
        gpu = bool(gpus())
        version = ".".join(tf.__version__.split(".")[:2])
        self.name = f"tensorflow {version} {'gpu' if gpu else 'cpu'}"
        self._batches = BATCHES_GPU if gpu else BATCHES
        self.batch = self._batches[-1]
        self._turn = threading.Lock()  # two at once would only take each other's cores
        self._network = model = network(package, half=gpu)
        self._looked: Any = None  # compiled by the first `maps`
        call = tf.function(
            lambda original, segmented: self._forward(model, original, segmented), jit_compile=gpu
        )
        self._compiled = {
            size: call.get_concrete_function(*_signature(size)) for size in self._batches
        }
        for size in self._batches:
            self._run(
                np.zeros((size, SIZE, SIZE, 3), np.uint8), np.zeros((size, SIZE, SIZE, 3), np.uint8)
            )

    def __call__(self, original: Picture, segmented: Picture) -> Answers:
        """Two (N, 128, 128, 3) uint8 stacks to probabilities (N, 4) and features (N, 1024)."""
        largest = self._batches[-1]
        parts = [
            self._run(original[start : start + largest], segmented[start : start + largest])
            for start in range(0, len(original), largest)
        ]
        return np.concatenate([p for p, _ in parts]), np.concatenate([f for _, f in parts])

    def maps(self, original: Picture, segmented: Picture) -> Answers:
        """Two (N, 128, 128, 3) uint8 stacks to what each trunk says before it is averaged.

        (N, 8, 8, 512) of the original's trunk and of the segmented one's; the mean over the
        64 positions is that trunk's half of the features. One picture at a time: explaining is
        for the few pictures that a person looks at. The first call compiles, which takes seconds.
        """
        if self._looked is None:
            trunks = [_unpooled(self._network, name) for name in ("vgg16", "densenet121")]
            both = tf.function(
                lambda a, b: [
                    tf.cast(trunk(x, training=False), tf.float32)
                    for trunk, x in zip(trunks, (a, b), strict=True)
                ]
            )
            self._looked = both.get_concrete_function(*_signature(1))
        pairs = [
            self._looked(tf.constant(unit(a[None])), tf.constant(unit(b[None])))
            for a, b in zip(original, segmented, strict=True)
        ]
        left, right = zip(*pairs, strict=True)
        return np.concatenate(left), np.concatenate(right)

    def _run(self, original: Picture, segmented: Picture) -> Answers:
        count = len(original)
        size = next(size for size in self._batches if size >= count)
        padding = ((0, size - count), (0, 0), (0, 0), (0, 0))
        pair = [tf.constant(unit(np.pad(stack, padding))) for stack in (original, segmented)]
        with self._turn:
            probabilities, features = self._compiled[size](*pair)
            return probabilities.numpy()[:count], features.numpy()[:count]

    @staticmethod
    def _forward(model: keras.Model, original: Any, segmented: Any) -> tuple[Any, Any]:
        pair = {"input_original": original, "input_segmented": segmented}
        answer = model(pair, training=False)
        return answer["probabilities"], answer["features"]


def _unpooled(network: keras.Model, trunk: str) -> keras.Model:
    """The trunk inside the network, up to its last map: the same layers, no weight twice."""
    pooled = network.get_layer(f"{trunk}_pooled")
    return keras.Model(pooled.input, pooled.layers[-1].input, name=f"{trunk}_maps")


def _signature(size: int) -> tuple[tf.TensorSpec, tf.TensorSpec]:
    spec = tf.TensorSpec((size, SIZE, SIZE, 3), tf.float32)
    return spec, spec
