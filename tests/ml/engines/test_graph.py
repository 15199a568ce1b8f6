"""The graph is the network of `ml.fusion`, whatever its weights and scales; what may be left out
is left out because its weights say so."""

import numpy as np
import pytest

from ml import packages
from ml.engines import graph, selftest
from ml.engines.exports import Precision
from ml.engines.openvino import compile_graph
from ml.packages import COMMITTED, SCALE, verify

PACKAGE = verify(COMMITTED)


def shaken(weights, rng):
    """Weights that leave no part of the network idle: normalisations that do something, biases."""
    return {
        name: np.abs(1 + rng.normal(0, 0.2, held.shape))
        if name.endswith(("gamma", "variance"))
        else held + rng.normal(0, 0.05, held.shape) * (held.ndim == 1)
        for name, held in weights.items()
    }


@pytest.mark.model
@pytest.mark.parametrize("scale", ["unit", "caffe"])
def test_any_weights_give_what_keras_gives(tmp_path, scale):
    import keras

    from ml import fusion
    from ml.engines.tensorflow import network

    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    made = {
        "vgg16.safetensors": (fusion.vgg16(scale=scale), packages.pack8),
        "densenet121.safetensors": (fusion.densenet121(scale=scale), packages.pack16),
        "head.safetensors": (fusion.head(), packages.pack16),
    }
    package = packages.write(
        tmp_path,
        description={
            "name": "random",
            "version": "0",
            "preprocessing": {"scale_original": scale, "scale_segmented": scale},
        },
        tensors={
            file: pack(shaken(fusion.weights_of(model), rng))
            for file, (model, pack) in made.items()
        },
        documents={},
    )
    original, segmented = (one[:2] for one in selftest.pictures())
    found = compile_graph(graph.network(package), Precision.FP32)([original, segmented])
    unit = [one.astype(np.float32) / 255 for one in (original, segmented)]
    expected = network(package)(dict(zip(("input_original", "input_segmented"), unit, strict=True)))
    for name in ("features", "probabilities"):
        wanted = np.asarray(expected[name])
        assert np.abs(found[name] - wanted).max() <= 1e-3 * np.abs(wanted).max()


@pytest.mark.model
def test_half_precision_on_a_gpu_would_pass_the_self_test():
    """The very network that a GPU gets, here on the CPU: trunks in float16, the rest float32."""
    from ml.engines.tensorflow import network

    unit = [one[:2].astype(np.float32) / 255 for one in selftest.pictures()]
    pair = dict(zip(("input_original", "input_segmented"), unit, strict=True))
    half = network(PACKAGE, half=True)(pair)
    assert half["probabilities"].dtype == half["features"].dtype == "float32"
    full = network(PACKAGE)(pair)
    off = np.abs(np.asarray(half["probabilities"]) - np.asarray(full["probabilities"])).max()
    assert 0 < off < selftest.TOLERANCE / 2


def test_the_block_that_hands_on_what_it_gets_is_left_out_and_no_other():
    names = [op.get_type_name() for op in graph.network(PACKAGE).get_ops()]
    assert names.count("Convolution") == 10 + 1 + 2 * (6 + 12 + 8) + 2
    stored = PACKAGE.stored("vgg16.safetensors")
    assert graph._passes_on(stored, "block5_conv1")
    kernel = stored["block5_conv1/kernel"].copy()
    kernel[0, 0, 0, 1] = 1
    assert not graph._passes_on({**stored, "block5_conv1/kernel": kernel}, "block5_conv1")
    bias = np.full(512, 0.1, np.float32)
    assert not graph._passes_on({**stored, "block5_conv1/bias": bias}, "block5_conv1")
    doubled = stored["block5_conv1/kernel" + SCALE] * 2
    changed = {**stored, "block5_conv1/kernel" + SCALE: doubled}
    assert not graph._passes_on(changed, "block5_conv1")


def test_vgg16_runs_on_the_very_integers_of_the_package():
    held = [
        np.array(op.data)
        for op in graph.network(PACKAGE).get_ops()
        if op.get_type_name() == "Constant" and op.get_element_type().get_type_name() == "i8"
    ]
    stored = PACKAGE.stored("vgg16.safetensors")["block3_conv2/kernel"].transpose(3, 2, 0, 1)
    assert any(one.shape == stored.shape and (one == stored).all() for one in held)


def test_a_range_that_is_lacking_is_missed_at_once():
    with pytest.raises(KeyError, match="block1_conv1"):
        graph.network(PACKAGE, {})
