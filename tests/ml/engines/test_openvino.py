"""The CPU engine answers as the reference did: whoever asks, and however many at a time."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ml import engines
from ml.data import read_index
from ml.engines import EngineUnavailable, selftest
from ml.engines.exports import Export, Precision, exported
from ml.engines.openvino import (
    MANY,
    SIZES,
    OpenVinoEngine,
    compiled,
    fastest,
    pieces,
    supported,
)
from ml.images import decode
from ml.packages import COMMITTED, verify
from ml.preprocessing import prepare
from tests.ml.shared import TALEQANI, needs_shared

PACKAGE = verify(COMMITTED)


@pytest.fixture(scope="module")
def engine():
    return engines.start(PACKAGE, "openvino")


def test_a_process_with_the_engine_has_no_messenger_and_no_tensorflow():
    code = (
        "import sys, socket\n"
        "def no(*_, **__): raise SystemExit('it wants to talk to someone')\n"
        "socket.socket.connect = socket.getaddrinfo = no\n"
        "from ml import reading; reading.load(engine='openvino')\n"
        "held = [name for name, module in sys.modules.items() if module is not None]\n"
        "bad = ('openvino_telemetry', 'openvino.tools.ovc', 'tensorflow', 'keras')\n"
        "sys.exit(str([name for name in held if name.startswith(bad)] or ''))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert finished.stderr.strip() == ""


@pytest.mark.parametrize("precision", exported(PACKAGE).precisions)
def test_every_allowed_precision_says_what_the_reference_said(precision):
    if precision not in supported():
        pytest.skip(f"this CPU has no {precision}")
    own = OpenVinoEngine(PACKAGE, precision)
    off = np.abs(selftest.answers(own, PACKAGE) - np.array(exported(PACKAGE).answers))
    assert off.max() <= selftest.TOLERANCE / 2
    assert precision.value in own.name


@pytest.mark.parametrize("count", [1, 2, 3, MANY, 7, 8, 17, 48])
def test_any_number_of_pictures_gets_each_its_own_answer(engine, count):
    original, segmented = (np.concatenate([one] * 6)[:count] for one in selftest.pictures())
    together = engine(original, segmented)
    assert [len(part) for part in together] == [count, count]
    alone = engine(original[-1:], segmented[-1:])
    for one, many in zip(alone, together, strict=True):
        np.testing.assert_allclose(one[0], many[-1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sides", [1, 2, 3, 16])
def test_the_network_is_only_ever_asked_in_sizes_that_it_is_ready_for(sides):
    """Each other number of pictures would cost a worker 30 MB for good."""
    for count in range(1, 70):
        cut = pieces(count, sides)
        sizes = [here.stop - here.start for here in cut]
        assert set(sizes) <= set(SIZES)
        assert [number for here in cut for number in range(count)[here]] == list(range(count))
        # No side waits for another longer than for the smallest piece.
        shares = [sum(sizes[side::sides]) for side in range(sides)]
        assert max(shares) - min(shares) <= min(SIZES)


def test_threads_share_the_engine_and_never_see_each_others_answers(engine):
    original, segmented = selftest.pictures()
    expected = [engine(original[i : i + 1], segmented[i : i + 1])[1] for i in range(len(original))]

    def ask(number):
        which = number % len(original)
        here = slice(which, which + 1)
        return which, engine(original[here], segmented[here])[1]

    with ThreadPoolExecutor(4) as threads:
        for which, features in threads.map(ask, range(48)):
            np.testing.assert_allclose(features, expected[which], rtol=1e-3, atol=1e-3)


def test_an_answer_stays_as_it_was_after_the_next_question(engine):
    original, segmented = selftest.pictures()
    probabilities, _ = engine(original[:1], segmented[:1])
    kept = probabilities.copy()
    engine(original[1:2], segmented[1:2])
    np.testing.assert_array_equal(probabilities, kept)


def test_a_view_that_does_not_lie_in_one_piece_is_read_rightly(engine):
    original, segmented = selftest.pictures()
    turned = np.ascontiguousarray(original[..., ::-1])[..., ::-1]
    for count in (1, len(original)):
        many = engine(original[:count], segmented[:count])[1]
        np.testing.assert_allclose(engine(turned[:count], segmented[:count])[1], many, rtol=1e-5)


def test_the_maps_average_to_the_features(engine):
    pair = [one[:2] for one in selftest.pictures()]
    left, right = engine.maps(*pair)
    assert left.shape == right.shape == (2, 8, 8, 512)
    pooled = np.concatenate([left.mean((1, 2)), right.mean((1, 2))], axis=1)
    np.testing.assert_allclose(pooled, engine(*pair)[1], rtol=1e-3, atol=1e-3)


def test_the_bare_network_can_be_had_to_measure_against():
    bare = compiled(PACKAGE, fastest(exported(PACKAGE)))
    pair = [one[:1] for one in selftest.pictures()]
    assert bare(pair)["probabilities"].shape == (1, 4)


def test_a_precision_that_did_not_agree_is_not_to_be_had():
    export = Export(ranges={}, precisions=(Precision.FP32,), answers=())
    with pytest.raises(EngineUnavailable, match="fp32, not for int8"):
        OpenVinoEngine(PACKAGE, Precision.INT8, export=export)
    with pytest.raises(EngineUnavailable, match="none"):
        fastest(Export(ranges={}, precisions=(), answers=()))


@needs_shared
@pytest.mark.model
def test_real_smears_are_read_as_tensorflow_reads_them(engine):
    reference = engines.start(PACKAGE, "tensorflow")
    examples = read_index(TALEQANI)
    ready = [prepare(decode(e.read())) for e in examples[:: len(examples) // 24][:24]]
    pair = [np.stack([getattr(r, name) for r in ready]) for name in ("original", "segmented")]
    ours, theirs = engine(*pair), reference(*pair)
    off = np.abs(PACKAGE.temperature(ours[0]) - PACKAGE.temperature(theirs[0]))
    assert off.max() < 0.02
    assert (ours[0].argmax(1) == theirs[0].argmax(1)).all()
