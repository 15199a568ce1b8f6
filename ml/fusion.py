"""The paper's network (Table 3): two frozen trunks, pooled, fused, and a ladder of dense layers.

Keras 3 and neutral about its backend. Importing this module imports Keras, hence the backend:
only training, evaluation and `ml.reading.load` do.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from ml.classes import CLASSES
from ml.preprocessing import SIZE

INPUT = (SIZE, SIZE, 3)
TRUNK_WIDTH = 512  # channels that each trunk hands over, 8 x 8 of them
HEAD_UNITS = (1024, 512, 256, 128, 64, 32, 16)
DROPOUT = 0.2  # after the first two dense layers

# None: random. A path: a weights file of keras.applications' own layout (without the top).
# "imagenet": keras.applications downloads them, where there is an internet.
Weights = Path | Literal["imagenet"] | None

# How a trunk wants its 0..1 RGB. "unit": as it is (the paper). "caffe": 0..255, BGR, less the
# ImageNet means, which the published VGG16 weights were trained with.
Scale = Literal["unit", "caffe"]
CAFFE_MEAN_RGB = (123.68, 116.779, 103.939)


def fusion(*, original: keras.Model, segmented: keras.Model, head: keras.Model) -> keras.Model:
    """The whole network.

    Inputs `input_original` and `input_segmented`, (N, 128, 128, 3) RGB in 0..1. Outputs
    `probabilities` (N, 4), softmax in the order of `ml.classes.CLASSES`, and `features`
    (N, 1024), the pooled trunks side by side. Trunks are frozen: 18,598,836 parameters, of
    which 1,749,556 trainable.
    """
    original.trainable = False
    segmented.trainable = False
    inputs = {
        "input_original": keras.Input(INPUT, name="input_original"),
        "input_segmented": keras.Input(INPUT, name="input_segmented"),
    }
    features = keras.layers.Concatenate(name="features")(
        [pool(original)(inputs["input_original"]), pool(segmented)(inputs["input_segmented"])]
    )
    outputs = {"probabilities": head(features), "features": features}
    return keras.Model(inputs, outputs, name="fusion")


def pool(trunk: keras.Model) -> keras.Model:
    """The trunk with its 8 x 8 x 512 averaged to 512: (N, 128, 128, 3) to (N, 512)."""
    pooled = keras.layers.GlobalAveragePooling2D()(trunk.output)
    return keras.Model(trunk.input, pooled, name=f"{trunk.name}_pooled")


def vgg16(weights: Weights = None, *, scale: Scale = "caffe") -> keras.Model:
    """VGG16 up to `block5_conv3`, without its last pooling: 14,714,688 parameters."""
    base = keras.applications.VGG16(weights=_named(weights), include_top=False, input_shape=INPUT)
    cut = keras.Model(base.input, base.get_layer("block5_conv3").output)
    return _scaled(cut, scale, name="vgg16")


def teacher(weights: Weights) -> keras.Model:
    """VGG16 up to `block4_pool`, (N, 128, 128, 3) in 0..1 to (N, 8, 8, 512): what DenseNet's trunk
    is taught to say where no ImageNet weights for it are at hand (`ml.trunk`)."""
    base = keras.applications.VGG16(weights=_named(weights), include_top=False, input_shape=INPUT)
    cut = keras.Model(base.input, base.get_layer("block4_pool").output)
    return _scaled(cut, "caffe", name="teacher")


def vgg16_blocks(weights: Weights, names: Sequence[str]) -> keras.Model:
    """VGG16 with one output for each of these layers: what it sees on its way, (N, h, w, c)."""
    base = keras.applications.VGG16(weights=_named(weights), include_top=False, input_shape=INPUT)
    every = keras.Model(base.input, [base.get_layer(name).output for name in names])
    return _scaled(every, "caffe", name="vgg16_blocks")


def pass_through(trunk: keras.Model) -> keras.Model:
    """The VGG16 trunk with block 5 handing on what block 4 found, unchanged.

    Each of its three kernels becomes 1 in the middle of its own channel and 0 elsewhere; what
    comes in is not negative, so the ReLU behind it changes nothing. ImageNet's block 5 knows
    whole things (dogs, wheels); what tells cells apart is in block 4 (docs/model.md has the
    figures). The network stays Table 3's, to the last parameter.
    """
    inner = next(layer for layer in trunk.layers if isinstance(layer, keras.Model))
    for name in ("block5_conv1", "block5_conv2", "block5_conv3"):
        layer = inner.get_layer(name)
        kernel, bias = (np.zeros(weight.shape, np.float32) for weight in layer.weights)
        kernel[1, 1] = np.eye(kernel.shape[-1])
        layer.set_weights([kernel, bias])
    return trunk


def densenet121(weights: Weights = None, *, scale: Scale = "unit") -> keras.Model:
    """DenseNet-121 up to `conv4_block9_0_bn`: 2,134,592 parameters."""
    base = keras.applications.DenseNet121(
        weights=_named(weights), include_top=False, input_shape=INPUT
    )
    cut = keras.Model(base.input, base.get_layer("conv4_block9_0_bn").output)
    return _scaled(cut, scale, name="densenet121")


def head(*, name: str = "head") -> keras.Model:
    """The dense ladder, (N, 1024) to (N, 4) softmax: 1,749,556 parameters."""
    features = keras.Input((2 * TRUNK_WIDTH,), name="features")
    x = features
    for step, units in enumerate(HEAD_UNITS):
        x = keras.layers.Dense(units, activation="relu", name=f"dense_{units}")(x)
        if step < 2:
            x = keras.layers.Dropout(DROPOUT, name=f"dropout_{units}")(x)
    x = keras.layers.Dense(len(CLASSES), activation="softmax", name="probabilities")(x)
    return keras.Model(features, x, name=name)


def _scaled(trunk: keras.Model, scale: Scale, *, name: str) -> keras.Model:
    """The trunk behind 0..1 RGB. The change of scale holds no parameter, so Table 3 stands."""
    picture = keras.Input(INPUT, name=f"{name}_input")
    x: Any = picture
    if scale == "caffe":
        offset = [-mean for mean in CAFFE_MEAN_RGB]
        x = keras.layers.Rescaling(255.0, offset=offset, name=f"{name}_caffe")(x)
        x = keras.ops.flip(x, axis=-1)  # PyTorch knows no backward slice
    return keras.Model(picture, trunk(x), name=name)


def _named(weights: Weights) -> str | None:
    return None if weights is None else str(weights)


def weights_of(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Every weight by its path, e.g. `block1_conv1/kernel`; what a package stores."""
    return {weight.path: np.asarray(weight.numpy()) for weight in model.weights}


def set_weights(model: keras.Model, weights: Mapping[str, NDArray[Any]]) -> keras.Model:
    """Give the model exactly these weights, by path; raises `ValueError` when they do not fit."""
    wanted = {weight.path: weight for weight in model.weights}
    if wanted.keys() != weights.keys():
        odd = sorted(wanted.keys() ^ weights.keys())
        raise ValueError(f"{len(odd)} weights do not match the network, first {odd[0]}")
    for path, weight in wanted.items():
        weight.assign(weights[path])
    return model
