"""The TensorFlow engine: a verified package turned into one compiled function.

Imported by `ml.reading.load` and by nothing at import time: it costs seconds and half a
gigabyte, which only a worker should pay.
"""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before the import, or it says nothing

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml import fusion
from ml.packages import Package
from ml.preprocessing import SIZE, Picture, unit

# One compiled graph for a single picture, one for a full batch. Anything else is padded up.
BATCHES = (1, 8)


def network(package: Package) -> keras.Model:
    """The package's fusion network, weights dequantised to float32."""
    scales = package.manifest["preprocessing"]
    original = fusion.vgg16(scale=scales["scale_original"])
    segmented = fusion.densenet121(scale=scales["scale_segmented"])
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
        devices = tf.config.list_physical_devices("GPU")
        for device in devices:
            tf.config.experimental.set_memory_growth(device, True)
        version = ".".join(tf.__version__.split(".")[:2])
        self.name = f"tensorflow {version} {'gpu' if devices else 'cpu'}"
        model = network(package)
        call = tf.function(lambda original, segmented: self._forward(model, original, segmented))
        self._compiled = {size: call.get_concrete_function(*_signature(size)) for size in BATCHES}
        for size in BATCHES:
            self._run(
                np.zeros((size, SIZE, SIZE, 3), np.uint8), np.zeros((size, SIZE, SIZE, 3), np.uint8)
            )

    def __call__(
        self, original: Picture, segmented: Picture
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Two (N, 128, 128, 3) uint8 stacks to probabilities (N, 4) and features (N, 1024)."""
        largest = BATCHES[-1]
        parts = [
            self._run(original[start : start + largest], segmented[start : start + largest])
            for start in range(0, len(original), largest)
        ]
        return np.concatenate([p for p, _ in parts]), np.concatenate([f for _, f in parts])

    def _run(
        self, original: Picture, segmented: Picture
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        count = len(original)
        size = next(size for size in BATCHES if size >= count)
        padding = ((0, size - count), (0, 0), (0, 0), (0, 0))
        probabilities, features = self._compiled[size](
            tf.constant(unit(np.pad(original, padding))),
            tf.constant(unit(np.pad(segmented, padding))),
        )
        return probabilities.numpy()[:count], features.numpy()[:count]

    @staticmethod
    def _forward(model: keras.Model, original: Any, segmented: Any) -> tuple[Any, Any]:
        pair = {"input_original": original, "input_segmented": segmented}
        answer = model(pair, training=False)
        return answer["probabilities"], answer["features"]


def _signature(size: int) -> tuple[tf.TensorSpec, tf.TensorSpec]:
    spec = tf.TensorSpec((size, SIZE, SIZE, 3), tf.float32)
    return spec, spec
