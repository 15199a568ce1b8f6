"""The fleet drill, small: the issue's promise, held by real processes on PostgreSQL and Redis."""

import pytest
from rich.console import Console

from devices.simulator.ledger import Fate
from tests.drills.fleet import drill, hospital_in, plan_for

pytestmark = pytest.mark.stack

IMAGES = 500


def test_no_picture_is_lost_or_doubled_while_everything_fails(tmp_path):
    with hospital_in(tmp_path, postgresql=True) as hospital:
        plan = plan_for(hospital.stack, microscopes=8, images=IMAGES, faults=0.05, seed=1)

        ledger, restarted, wrong = drill(hospital, plan, tmp_path / "fleet", Console(width=100))

    assert wrong == []
    assert len(ledger.lines) == IMAGES
    assert ledger.count(Fate.REPORTED) + ledger.count(Fate.REFUSED) == IMAGES
    # What was refused was to be refused, for that very reason; nothing else was.
    assert [line.code for line in ledger.lines] == [line.taken.wrong for line in ledger.lines]
    assert len(restarted) == 4
    assert all(ledger.happened[fault] for fault in ("power_cut", "drop_request", "drop_answer"))
