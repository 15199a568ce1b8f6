"""The floor is the larger of multiplying and of bringing the weights in; and a real first look."""

import json
import subprocess
import sys
from itertools import pairwise

import pytest

from bench import limits, traffic
from bench.subjects import ROOT, SUBJECTS, named
from bench.work import Work

TOTAL, LEFT_OUT = Work(macs=5_000_000_000, weights=20_000_000), Work(macs=500_000_000, weights=0)


def floors(**rates):
    return limits.floors(TOTAL, LEFT_OUT, precision="int8", **rates)


def test_a_slow_multiplier_sets_the_floor():
    found = floors(macs_per_second=500e9, bytes_per_second=20e9)
    assert found["multiplying_ms"] == pytest.approx(10)
    assert found["floor_ms"] == found["exported_ms"] == pytest.approx(9)
    assert found["weights_batch_1_ms"] == pytest.approx(1)
    assert found["weights_batch_32_ms"] == pytest.approx(1 / 32)


def test_slow_memory_sets_the_floor():
    assert floors(macs_per_second=50e12, bytes_per_second=2e9)["floor_ms"] == pytest.approx(10)


def test_arrivals_are_random_but_the_same_every_time():
    moments = traffic.poisson(20.0, 100.0)
    assert moments == traffic.poisson(20.0, 100.0) == sorted(moments)
    assert 0 < min(moments) < max(moments) < 100
    assert len(moments) == pytest.approx(2000, rel=0.1)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    # By chance, not by the clock: a gap's deviation is its mean.
    mean = sum(gaps) / len(gaps)
    assert (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 == pytest.approx(
        mean, rel=0.1
    )


def test_a_part_is_asked_for_by_name():
    assert named("") == list(SUBJECTS)
    assert named("pipeline") == ["pipeline embedded", "pipeline hospital"]
    assert named("worklist, limits") == ["limits", "worklist"]
    with pytest.raises(ValueError, match="wishes"):
        named("limits,wishes")


def test_a_first_look_at_the_limits_leaves_figures_behind(tmp_path):
    command = [sys.executable, "-m", "bench", "--quick", "--only", "limits", "--out", str(tmp_path)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    run = json.loads((tmp_path / "results.json").read_text())
    rates, floor = (run["subjects"]["limits"][name] for name in ("rates", "floors"))
    assert all(rate["low"] <= rate["median"] <= rate["best"] for rate in rates.values())
    assert "fp32" in floor  # bf16 and int8 where the processor has them
    assert run["machine"]["cores"] >= 1
    assert {one["verdict"] for one in run["targets"]} == {"not measured"}
    assert "What the network has to do" in finished.stdout
