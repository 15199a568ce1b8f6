"""Microscopes as processes: whatever is done to them, every picture is accounted for."""

import random
import re

import pytest

from devices.simulator.faults import Faults
from devices.simulator.fleet import Fleet
from devices.simulator.ledger import Fate, drawn_up, tables, troubles
from devices.simulator.plan import FleetPlan, MicroscopePlan
from tests.devices.simulator.hospital import LARGEST, hospital


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        noise = random.Random(number).randbytes(3000)
        (folder / f"{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0" + noise)
    return folder


def plan_for(url, pictures, *, scopes=2, count=12, **changes):
    return FleetPlan(
        url=url,
        microscopes=tuple(
            MicroscopePlan(
                f"scope-{n}", "llk_a", (f"A-{n}-1", f"A-{n}-2"), pictures=pictures, count=count
            )
            for n in range(scopes)
        ),
        **{
            "too_large": LARGEST + 1,
            "first_wait": 0.05,
            "longest_wait": 0.2,
            "patience": 60.0,
            **changes,
        },
    )


def ran(plan, folder):
    outcome = Fleet(plan, folder).run()
    return drawn_up(plan, folder, outcome, patience=5)


def test_through_every_fault_each_picture_arrives_once_or_is_refused_with_its_reason(
    tmp_path, pictures
):
    with hospital() as there:
        plan = plan_for(there.url, pictures, faults=Faults.all(0.2), pace=100_000)
        ledger = ran(plan, tmp_path / "fleet")

    assert ledger.sound
    assert len(ledger.lines) == 24
    assert ledger.count(Fate.REPORTED, Fate.REFUSED) == 24
    for line in ledger.lines:
        assert line.code == line.taken.wrong
        stored = there.pictures.get(str(line.taken.id))
        assert stored == (None if line.taken.wrong else (line.taken.sha256, line.taken.accession))
    assert len({digest for digest, _ in there.pictures.values()}) == len(there.pictures)
    # It was no fair weather.
    assert ledger.happened["power_cut"] > 0
    assert ledger.happened["drop_request"] > 0
    assert ledger.happened["drop_answer"] > 0
    assert set(ledger.endings.values()) == {"done"}


def test_the_same_seed_takes_the_same_pictures(tmp_path, pictures):
    def taken(folder, seed):
        with hospital() as there:
            plan = plan_for(there.url, pictures, scopes=1, seed=seed, faults=Faults(refusable=0.3))
            ledger = ran(plan, tmp_path / folder)
        return [(one.taken.id, one.taken.sha256, one.taken.wrong) for one in ledger.lines]

    assert taken("a", 1) == taken("b", 1) != taken("c", 2)


def test_a_run_goes_on_where_it_was_left(tmp_path, pictures):
    with hospital() as there:
        ran(plan_for(there.url, pictures, scopes=1, count=3), tmp_path / "fleet")
        ledger = ran(plan_for(there.url, pictures, scopes=1, count=5), tmp_path / "fleet")
    assert ledger.count(Fate.REPORTED) == len(there.pictures) == 5


@pytest.mark.parametrize(
    ("wrong", "fate", "words"),
    [
        ("forgets", Fate.LOST, "does not know it|has let go of it"),
        ("mislabels", Fate.DOUBLE, "stored under X-1"),
        ("keeps_refused", Fate.UNEXPLAINED, "stored all the same"),
    ],
)
def test_a_hospital_that_breaks_its_promise_is_found_out(tmp_path, pictures, wrong, fate, words):
    with hospital(wrong) as there:
        plan = plan_for(there.url, pictures, scopes=1, count=6, faults=Faults(refusable=0.5))
        ledger = ran(plan, tmp_path / "fleet")
    assert not ledger.sound
    assert ledger.count(fate) > 0
    wanted = [line for line in ledger.lines if line.fate is fate]
    assert len(troubles(ledger)) == len(wanted)
    assert re.search(words, wanted[0].detail)


def test_a_hospital_that_is_away_leaves_everything_waiting(tmp_path, pictures):
    with hospital() as there:
        plan = plan_for("http://127.0.0.1:1", pictures, scopes=1, count=2, patience=2.0)
        outcome = Fleet(plan, tmp_path / "fleet").run()
        reachable = plan_for(there.url, pictures, scopes=1, count=2)
        ledger = drawn_up(reachable, tmp_path / "fleet", outcome, patience=1)
    assert outcome.endings == {"scope-0": "nothing moved any more"}
    assert ledger.sound
    assert ledger.count(Fate.WAITING) == 2


def test_the_ledger_says_the_same_to_people_and_to_programs(tmp_path, pictures):
    with hospital() as there:
        plan = plan_for(there.url, pictures, scopes=1, count=4, faults=Faults(refusable=0.5))
        ledger = ran(plan, tmp_path / "fleet")
    told = ledger.as_json()
    assert told["taken"] == len(told["pictures"]) == 4
    assert told["reported"] + told["refused"] == 4
    assert sum(told["refusals"].values()) == told["refused"] > 0
    assert {"sound": True, "lost": 0, "double": 0}.items() <= told.items()
    assert [table.row_count for table in tables(ledger)] == [11, len(told["refusals"]), 9]
