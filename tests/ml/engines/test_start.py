"""Which engine is taken, and that none is taken which says something else than the reference."""

import json

import numpy as np
import pytest

from ml import engines, packages, reading
from ml.engines import EngineUnavailable, selftest
from ml.engines.exports import FILE
from ml.engines.selftest import EngineDisagrees
from ml.packages import COMMITTED, PackageTampered, verify

PACKAGE = verify(COMMITTED)


def lying(folder, change):
    """The committed package with another `engine.json`, honestly signed."""
    held = json.loads(PACKAGE.document(FILE))
    change(held)
    return packages.revise(PACKAGE, folder, version="lie", documents={FILE: json.dumps(held)})


def test_a_machine_without_a_gpu_takes_openvino_by_itself(monkeypatch):
    monkeypatch.setattr(engines, "_GPUS", ("/dev/none",))
    assert engines.start(PACKAGE).name.startswith("openvino")


def test_the_engine_can_be_chosen():
    reader = reading.load(engine="openvino-fp32")
    assert reader.engine.startswith("openvino") and reader.engine.endswith("fp32")


def test_an_engine_that_does_not_exist_is_refused_naming_those_that_do():
    with pytest.raises(EngineUnavailable, match="openvino-int8"):
        reading.load(engine="onnx")


def test_the_worker_takes_the_engine_of_its_settings(settings, monkeypatch):
    from diagnostics import pipeline, readers

    settings.MODEL_ENGINE = "openvino-fp32"
    monkeypatch.setattr(readers, "_held", readers._Held())
    monkeypatch.setattr(readers.packages, "in_use", lambda: None)
    assert pipeline.reader().engine.endswith("fp32")


def halve_a_range(held):
    held["ranges"]["block3_conv2"] /= 20


def forget_where_glass_is(held):
    held["ranges"] = dict.fromkeys(held["ranges"], 1.0)


def claim_other_answers(held):
    held["answers"][0] = held["answers"][0][::-1]


@pytest.mark.parametrize("change", [halve_a_range, forget_where_glass_is, claim_other_answers])
def test_an_export_that_lies_is_refused_at_the_start(tmp_path, change):
    package = lying(tmp_path, change)
    with pytest.raises(EngineDisagrees, match="MODEL_ENGINE"):
        engines.start(package, "openvino-int8")


def test_a_changed_export_is_refused_naming_the_file(tmp_path):
    package = lying(tmp_path, lambda held: None)
    (package.folder / FILE).write_text("{}")
    with pytest.raises(PackageTampered, match=FILE):
        reading.load(package.folder)


def test_an_answer_that_is_no_number_is_a_disagreement():
    class Broken:
        name = "broken"

        def __call__(self, original, segmented):
            count = len(original)
            return np.full((count, 4), np.nan, np.float32), np.zeros((count, 1024), np.float32)

    with pytest.raises(EngineDisagrees, match="broken"):
        selftest.check(Broken(), PACKAGE)


def test_a_package_without_an_export_says_how_to_make_one(tmp_path):
    packages.write(tmp_path, description={"name": "old", "version": "1"}, tensors={}, documents={})
    with pytest.raises(EngineUnavailable, match="package export"):
        engines.start(verify(tmp_path), "openvino")


def test_the_self_tests_pictures_are_the_same_for_ever():
    import hashlib

    original, segmented = selftest.pictures()
    assert original.shape == segmented.shape == (selftest.COUNT, 128, 128, 3)
    seen = hashlib.sha256(original.tobytes() + segmented.tobytes()).hexdigest()
    assert seen == "cdfd0448baf5fe312346ec5191e4324648135ca96002615cf8f2a5d79b754ff9"
