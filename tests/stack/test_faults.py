"""The fault drill, small: everything is killed at every step, and every picture is where it
belongs."""

import pytest
from rich.console import Console

from devices.simulator.ledger import Fate
from tests.drills.faults.drill import Wanted, drill
from tests.drills.faults.steps import STEPS

pytestmark = pytest.mark.stack


def test_whatever_is_killed_cut_off_or_full_every_picture_is_reported_once(tmp_path):
    found = drill(tmp_path, Console(width=100), Wanted(images=100, seed=11, truly=4))

    assert found.account.wrong == []
    settled = found.ledger.count(Fate.REPORTED, Fate.REFUSED, Fate.FAILED)
    assert settled == len(found.ledger.lines)
    # Set aside is the one that kills every worker that touches it, and no other with it.
    assert found.ledger.count(Fate.FAILED) == 1
    assert all(found.struck[step] for step in STEPS)
    assert all(heard.seen and not heard.twice for heard in found.heard)
