"""A fleet from a file, and what a wrong one is told."""

import json
import random
from pathlib import Path

import pytest

from devices.simulator.faults import SAID, Faults
from devices.simulator.plan import BadPlan, read_keys, read_plan

FLEET = """
url = "https://hospital.example"
seed = 7

[faults]
power-cut = 0.1

[[microscope]]
name = "north-1"
key = "llk_a"
accessions = ["N-1", "N-2"]
pictures = "smears"
count = 3

[[microscope]]
key_env = "SECOND_KEY"
accessions = ["S-1"]
per_minute = 6
"""


def written(tmp_path, text, name="fleet.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_fleet_is_read_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SECOND_KEY", "llk_b")

    plan = read_plan(written(tmp_path, FLEET), seed=8)

    first, second = plan.microscopes
    assert (plan.url, plan.seed, plan.faults) == (
        "https://hospital.example",
        8,  # what is said on the command line wins
        Faults(power_cut=0.1),
    )
    assert (first.name, first.key, first.accessions) == ("north-1", "llk_a", ("N-1", "N-2"))
    assert (first.pictures, first.count) == (tmp_path / "smears", 3)
    assert (second.name, second.key, second.per_minute) == ("microscope-2", "llk_b", 6)


def test_the_same_in_json(tmp_path):
    told = {"microscope": [{"name": "a", "key_file": "a.key", "accessions": ["N-1"]}]}
    (tmp_path / "a.key").write_text("llk_a\n")
    plan = read_plan(written(tmp_path, json.dumps(told), "fleet.json"))
    assert plan.microscopes[0].key == "llk_a"


def test_keys_do_not_show_in_a_printed_plan(tmp_path, monkeypatch):
    monkeypatch.setenv("SECOND_KEY", "llk_b")
    assert "llk_" not in repr(read_plan(written(tmp_path, FLEET)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no microscope"),
        ("url = ", "Invalid"),
        ("[[microscope]]\naccessions = ['A']", "no key"),
        ("[[microscope]]\nkey = 'k'", "no accession"),
        ("[[microscope]]\nkey = 'k'\naccessions = ['A']\nname = '../b'", "no name"),
        ("[[microscope]]\nkey = 'k'\naccessions = ['A']\nspeed = 3", "no 'speed'"),
        ("[faults]\nmeteor = 0.1", "no fault 'meteor'"),
        ("[faults]\nslow = 3", "probability"),
        ("colour = 'red'", "no 'colour'"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_says_why(tmp_path, monkeypatch, text, words):
    monkeypatch.delenv("LEUKOLENS_DEVICE_KEY", raising=False)
    with pytest.raises(BadPlan, match=words):
        read_plan(written(tmp_path, text))


def test_the_manual_describes_a_fleet_that_can_be_read_and_every_fault(tmp_path, monkeypatch):
    monkeypatch.setenv("NORTH_1_KEY", "llk_a")
    (tmp_path / "north-2.key").write_text("llk_b")
    manual = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()
    sample = manual.partition("```toml\n")[2].partition("```")[0]

    plan = read_plan(written(tmp_path, sample))

    assert [one.key for one in plan.microscopes] == ["llk_a", "llk_b"]
    assert plan.faults == Faults(drop_request=0.05, power_cut=0.01)
    for fault in SAID:
        assert f"| `{fault.replace('_', '-')}` |" in manual


def test_keys_stand_in_a_file_with_or_without_names(tmp_path):
    path = written(tmp_path, "# the north\nscope-1 llk_a\n\nllk_b\n", "keys")
    assert read_keys(path) == [("scope-1", "llk_a"), ("microscope-2", "llk_b")]
    with pytest.raises(BadPlan, match="line 1"):
        read_keys(written(tmp_path, "a b c", "keys"))


def test_the_same_seed_draws_the_same_faults_and_one_switched_on_leaves_the_others():
    def struck(faults):
        chance = random.Random(1)
        return [faults.drawn(chance) for _ in range(200)]

    some = Faults(slow=0.3)
    both = some.changed({"power-cut": 0.3})
    assert struck(some) == struck(some)
    assert [drawn - {"power_cut"} for drawn in struck(both)] == struck(some)
    assert struck(Faults.all(1)) == [frozenset(SAID)] * 200
    assert struck(Faults()) == [frozenset()] * 200
