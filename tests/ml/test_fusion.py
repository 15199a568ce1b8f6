"""The network is the paper's Table 3, to the last parameter."""

import numpy as np
import pytest

from tests.ml.shared import VGG16, needs_shared

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def fusion():
    from ml import fusion

    return fusion


@pytest.fixture(scope="module")
def whole(fusion):
    return fusion.fusion(
        original=fusion.vgg16(None), segmented=fusion.densenet121(None), head=fusion.head()
    )


def test_the_vgg16_trunk_has_table_3s_parameters_and_shape(fusion):
    trunk = fusion.vgg16(None, scale="caffe")
    assert trunk.count_params() == 14_714_688
    assert trunk.output_shape == (None, 8, 8, 512)


def test_the_densenet_trunk_has_table_3s_parameters_and_shape(fusion):
    trunk = fusion.densenet121(None)
    assert trunk.count_params() == 2_134_592
    assert trunk.output_shape == (None, 8, 8, 512)


def test_the_dense_ladder_has_table_3s_rungs(fusion):
    head = fusion.head()
    rungs = [layer.count_params() for layer in head.layers if layer.count_params()]
    assert rungs == [1_049_600, 524_800, 131_328, 32_896, 8_256, 2_080, 528, 68]


def test_the_whole_has_18_598_836_parameters_of_which_the_head_alone_is_trained(whole):
    def count(weights):
        return sum(int(np.prod(weight.shape)) for weight in weights)

    assert whole.count_params() == 18_598_836
    assert count(whole.trainable_weights) == 1_749_556
    assert count(whole.non_trainable_weights) == 16_849_280


def test_the_inputs_are_named_as_in_the_paper_and_the_output_is_a_distribution(whole):
    assert sorted(tensor.name for tensor in whole.inputs) == ["input_original", "input_segmented"]
    pair = {
        name: np.random.default_rng(0).random((2, 128, 128, 3), dtype=np.float32)
        for name in ("input_original", "input_segmented")
    }
    answer = whole(pair, training=False)
    assert answer["features"].shape == (2, 1024)
    np.testing.assert_allclose(np.asarray(answer["probabilities"]).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("scale", ["unit", "caffe"])
def test_a_passing_block_5_hands_on_block_4s_map_and_keeps_table_3s_parameters(fusion, scale):
    import keras

    trunk = fusion.pass_through(fusion.vgg16(None, scale=scale))
    inner = next(layer for layer in trunk.layers if isinstance(layer, keras.Model))
    cut = keras.Model(inner.input, inner.get_layer("block4_pool").output)
    seen = np.random.default_rng(0).random((2, 128, 128, 3), dtype=np.float32)
    within = seen if scale == "unit" else (seen * 255 - fusion.CAFFE_MEAN_RGB)[..., ::-1]
    expected = np.asarray(cut(within))
    assert expected.max() > 0
    np.testing.assert_allclose(trunk(seen), expected, rtol=1e-4, atol=1e-5 * expected.max())
    assert trunk.count_params() == 14_714_688
    assert trunk.output_shape == (None, 8, 8, 512)


@needs_shared
def test_the_teacher_says_what_a_passing_trunk_says(fusion):
    seen = np.random.default_rng(0).random((1, 128, 128, 3), dtype=np.float32)
    trunk = fusion.pass_through(fusion.vgg16(VGG16, scale="caffe"))
    np.testing.assert_allclose(trunk(seen), fusion.teacher(VGG16)(seen), rtol=1e-3, atol=1e-2)


@needs_shared
def test_imagenet_vgg16_weights_load_from_a_path_and_see_bgr_less_the_means(fusion):
    import keras

    picture = np.random.default_rng(0).random((1, 128, 128, 3)).astype(np.float32)
    plain = fusion.vgg16(VGG16, scale="unit")
    scaled = fusion.vgg16(VGG16, scale="caffe")
    expected = plain(keras.applications.vgg16.preprocess_input(picture * 255.0))
    np.testing.assert_allclose(scaled(picture), expected, rtol=1e-3, atol=1e-2)


def test_weights_of_another_network_are_refused_by_name(fusion):
    head = fusion.head()
    weights = fusion.weights_of(head)
    weights["dense_2048/kernel"] = weights.pop("dense_512/kernel")
    with pytest.raises(ValueError, match="dense_2048/kernel"):
        fusion.set_weights(head, weights)
