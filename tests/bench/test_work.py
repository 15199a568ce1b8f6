"""The network's work is counted exactly: the floors are divided by it."""

import numpy as np
import pytest

from bench import work
from ml.packages import COMMITTED, verify


@pytest.fixture(scope="module")
def counted():
    return work.of(verify(COMMITTED))


def test_a_convolution_multiplies_its_kernel_for_every_pixel():
    assert work.layer((3, 3, 64, 128), side=10) == work.Work(
        macs=9 * 64 * 128 * 100, weights=9 * 64 * 128
    )


def test_a_dense_layer_multiplies_each_weight_once():
    assert work.layer((1024, 512)) == work.Work(macs=1024 * 512, weights=1024 * 512)


def test_vgg16_comes_to_the_known_figure(counted):
    # 15.35 GMAC of convolutions at 224 x 224, as published; a 128 x 128 picture has fewer pixels.
    assert counted["vgg16"].macs == pytest.approx(15.347e9 * (128 / 224) ** 2, rel=0.001)
    assert counted["vgg16"].weights == 14_714_688 - 4_224  # Table 3, less the biases


def test_densenet_comes_to_the_sum_of_its_blocks(counted):
    first = 7 * 7 * 3 * 64 * 64**2
    blocks = sum(
        side**2 * ((start + 32 * n) * 128 + 9 * 128 * 32)
        for side, start, count in ((32, 64, 6), (16, 128, 12), (8, 256, 8))
        for n in range(count)
    )
    transitions = 256 * 128 * 32**2 + 512 * 256 * 16**2
    assert counted["densenet121"].macs == first + blocks + transitions


def test_the_head_is_table_3s(counted):
    assert counted["head"].weights == 1_749_556 - (1024 + 512 + 256 + 128 + 64 + 32 + 16 + 4)


def test_the_whole_is_the_five_odd_gmac_of_the_issue(counted):
    assert 5e9 < work.total(counted).macs < 6e9
    assert work.table(counted)["total"]["macs"] == sum(
        counted[part].macs for part in ("vgg16", "densenet121", "head")
    )


def test_what_an_export_leaves_out_is_less_than_the_whole(counted):
    assert 0 < counted["left_out"].macs < work.total(counted).macs / 5


def test_a_convolution_that_hands_on_is_known_by_its_kernel():
    kernel = np.zeros((3, 3, 4, 4), np.float32)
    kernel[1, 1] = np.eye(4)
    assert work.passes_on(kernel)
    kernel[0, 0, 0, 1] = 0.5
    assert not work.passes_on(kernel)
    assert not work.passes_on(np.zeros((3, 3, 4, 8), np.float32))


def test_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match="unknown layer"):
        work.side("vgg16", "surprise")


def test_the_floor_is_work_over_rate():
    one = work.Work(macs=5_000_000_000, weights=18_000_000)
    assert work.floor_ms(one, macs_per_second=500e9) == pytest.approx(10)
    # 18 MB at 9 GB/s are 2 ms, shared by a batch.
    assert work.memory_ms(one, width=1, batch=1, bytes_per_second=9e9) == pytest.approx(2)
    assert work.memory_ms(one, width=1, batch=8, bytes_per_second=9e9) == pytest.approx(0.25)
