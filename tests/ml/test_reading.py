"""What the rest of the product may rely on when it asks the model."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from ml import preprocessing, reading
from ml.calibration import Temperature
from ml.classes import CLASSES, Class
from ml.data import read_index
from ml.images import decode
from ml.packages import COMMITTED
from ml.preprocessing import blank_corner, prepare
from ml.reading import FAMILIAR, Outcome, Reader, load
from tests.ml.shared import BCCD, TALEQANI, needs_shared


def smear(height=224, width=224, cells=9):
    """A drawn field: glass, pale red cells, purple cells; enough for the quality gate."""
    rng = np.random.default_rng(4)
    field = np.full((height, width, 3), (238, 236, 230), np.uint8)
    side = min(height, width)
    for count, radius, colour in (
        (60, side // 26, (205, 195, 205)),
        (cells, side // 17, (120, 70, 175)),
    ):
        for _ in range(count):
            centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
            cv2.circle(field, centre, radius, colour, -1, cv2.LINE_AA)
    return np.clip(field + rng.normal(0, 3, field.shape), 0, 255).astype(np.uint8)


class Stub:
    """An engine that always says the same, and keeps what it was shown."""

    name = "stub"
    batch = 8

    def __init__(self, distance):
        self.distance = distance
        self.shown = []

    def __call__(self, original, segmented):
        self.shown.append((original, segmented))
        features = np.full((len(original), 4), self.distance, np.float32)
        return np.tile(np.float32([0.1, 0.2, 0.6, 0.1]), (len(original), 1)), features


class Near:
    """A gate for which whatever lies further than 1 from nothing is unfamiliar."""

    def familiarity(self, features):
        return 1 / (1 + np.linalg.norm(features, axis=1))


class Tiny:
    """A package of no weights: temperature 2, and a gate."""

    temperature = Temperature(2.0)
    gate = Near()


def read_with_stub(picture, distance=0.1):
    (answer,) = Reader(Tiny(), Stub(distance)).read([picture])
    return answer


def test_importing_the_door_loads_no_network_library():
    code = (
        "import sys, ml.reading, ml.images, ml.classes;"
        "bad = ('tensorflow', 'keras', 'openvino', 'django');"
        "sys.exit(any(name in sys.modules for name in bad))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_familiar_smear_is_classified_with_its_likeliest_class():
    answer = read_with_stub(smear())
    assert answer.outcome is Outcome.CLASSIFIED and answer.label is Class.PRE_B
    assert list(answer.probabilities) == list(CLASSES)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.probabilities[Class.PRE_B] < 0.6  # the temperature made it less sure
    assert answer.familiarity > FAMILIAR


def test_an_unfamiliar_smear_gets_no_label_but_shows_its_doubtful_probabilities():
    answer = read_with_stub(smear(), distance=5)
    assert answer.outcome is Outcome.UNFAMILIAR and answer.label is None
    assert answer.probabilities is not None and answer.familiarity < FAMILIAR


def test_what_the_quality_gate_refuses_is_never_shown_to_the_network():
    stub = Stub(0.1)
    black = np.zeros((224, 224, 3), np.uint8)
    (answer,) = Reader(Tiny(), stub).read([black])
    assert answer.outcome in {Outcome.UNUSABLE, Outcome.NOT_A_SMEAR}
    assert answer.outcome.value == answer.quality.verdict
    assert answer.probabilities is None and answer.label is None and answer.familiarity == 0
    assert not stub.shown


def test_answers_come_in_the_order_of_the_pictures_whatever_is_refused_between():
    black = np.zeros((224, 224, 3), np.uint8)
    answers = Reader(Tiny(), Stub(0.1)).read([smear(), black, smear(300, 400), black] * 3)
    assert [a.outcome is Outcome.CLASSIFIED for a in answers] == [True, False] * 6
    assert answers[2].segmentation.mask.shape == (300, 400)


def test_nothing_asked_nothing_answered():
    assert Reader(Tiny(), Stub(0.1)).read([]) == []


def test_a_burnt_in_scale_bar_reaches_neither_input_nor_answer():
    clean = smear()
    marked = clean.copy()
    marked[194:222, 193:] = 255
    marked[205:216, 195:223:2] = (200, 0, 0)
    one, other = prepare(clean), prepare(marked)
    assert np.abs(one.original.astype(int) - other.original).max() <= 2
    np.testing.assert_array_equal(one.segmented[112:, 112:], other.segmented[112:, 112:])


def test_only_the_corner_is_blanked():
    field = smear()
    blanked = blank_corner(field)
    np.testing.assert_array_equal(blanked[:189], field[:189])
    np.testing.assert_array_equal(blanked[:, :189], field[:, :189])
    assert len(np.unique(blanked[189:, 189:].reshape(-1, 3), axis=0)) == 1


def test_the_lamps_colour_is_taken_out():
    field = smear()
    yellow = np.clip(field * np.array([1.0, 0.98, 0.85]), 0, 255).astype(np.uint8)
    one, other = prepare(field).original.astype(int), prepare(yellow).original.astype(int)
    assert np.abs(one - other).mean() < 3


def test_a_package_for_another_preprocessing_is_refused(monkeypatch):
    monkeypatch.setattr(preprocessing, "VERSION", "something-newer")
    with pytest.raises(reading.PackageNeedsOtherPreprocessing, match="something-newer"):
        load()


@pytest.fixture(scope="module")
def reader():
    return load(COMMITTED)


@pytest.mark.model
def test_the_committed_package_names_itself_and_its_engine(reader):
    assert reader.package.name == "leukolens-fusion" and len(reader.package.digest) == 64
    assert reader.engine.startswith(("openvino ", "tensorflow "))
    assert reader.preprocessing == preprocessing.VERSION


@pytest.mark.model
def test_a_loaded_reader_leaves_the_cores_to_its_engine(reader):
    reader.read([smear()])
    assert cv2.getNumThreads() == 1
    pools = threadpool_info()
    assert [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"], pools
    assert {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"} == {1}


@pytest.mark.model
def test_a_picture_gets_the_same_answer_alone_and_in_company(reader):
    pictures = [smear(cells=n) for n in range(4, 15)]
    together = reader.read(pictures)
    for picture, expected in list(zip(pictures, together, strict=True))[:3]:
        (alone,) = reader.read([picture])
        assert alone.outcome is expected.outcome
        assert alone.familiarity == pytest.approx(expected.familiarity, abs=1e-3)
        if expected.probabilities:
            for label in CLASSES:
                assert alone.probabilities[label] == pytest.approx(
                    expected.probabilities[label], abs=1e-3
                )


@needs_shared
@pytest.mark.model
def test_real_smears_are_read_as_they_were_taught(reader):
    """Every part of the way fits the others. How well new slides are read, the card says."""
    examples = read_index(TALEQANI)
    examples = examples[:: len(examples) // 40][:40]
    answers = reader.read([decode(example.read()) for example in examples])
    labelled = [(a, e) for a, e in zip(answers, examples, strict=True) if a.label is not None]
    assert len(labelled) > 0.9 * len(examples)
    assert np.mean([answer.label is example.label for answer, example in labelled]) > 0.95


@needs_shared
@pytest.mark.model
def test_smears_of_another_laboratory_are_seldom_given_a_label(reader):
    answers = reader.read([decode(p.read_bytes()) for p in sorted(BCCD.glob("*.jpg"))[1:48:2]])
    labelled = [answer.outcome is Outcome.CLASSIFIED for answer in answers]
    assert np.mean(labelled) < 0.25
