"""A thousand spoilt and forged pictures at the door; the drill tries twenty thousand."""

from typing import Any

import pytest

from tests.drills.fuzzing import Tally, fuzz
from tests.drills.mutants import mutants, pictures
from tests.world import World

CASES = 1000


@pytest.mark.django_db
def test_no_file_breaks_the_door_or_leaves_anything_behind(world: World, settings: Any) -> None:
    settings.UPLOADS_PER_MINUTE = settings.MAX_QUEUED_ANALYSES = 1_000_000
    tally = Tally()
    fuzz(world, tally, seed=1, cases=range(CASES))
    assert not tally.trouble
    # Both happen, or it has tried nothing.
    assert tally.answers["201"] > CASES // 10
    assert {"422 corrupt", "422 truncated", "422 too_many_pixels"} <= set(tally.answers)


def test_a_case_can_be_made_again_without_the_others() -> None:
    [again] = mutants(pictures(), seed=7, cases=range(30, 31))
    assert list(mutants(pictures(), seed=7, cases=range(40)))[30] == again
