"""What the drills ask of the simulated microscopes that `tests.drills.founding` founded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devices.simulator.faults import Faults
from devices.simulator.plan import FleetPlan, MicroscopePlan

# Pictures of few bytes, so that a drill has many: what is too large, and what goes in pieces, is
# so accordingly. The hospital of such a drill takes less than TOO_LARGE.
LARGE, TOO_LARGE, PACE = 100_000, 600_000, 50_000


def microscopes(
    founded: Sequence[Mapping[str, Any]],
    *,
    per_minute: float,
    images: int | None = None,
    pictures: Path | None = None,
) -> tuple[MicroscopePlan, ...]:
    """One for each of `founded`, of which each takes its share of `images` if there is an end."""
    many = len(founded)
    return tuple(
        MicroscopePlan(
            one["name"],
            one["key"],
            tuple(one["accessions"]),
            pictures=pictures,
            count=None if images is None else images // many + (number < images % many),
            per_minute=per_minute,
        )
        for number, one in enumerate(founded)
    )


def rough(
    url: str, fleet: tuple[MicroscopePlan, ...], *, faults: float, seed: int, patience: float
) -> FleetPlan:
    """A fleet on a network on which each fault has the probability `faults`, soon to try again."""
    return FleetPlan(
        url=url,
        microscopes=fleet,
        faults=Faults.all(faults),
        seed=seed,
        pace=PACE,
        too_large=TOO_LARGE,
        large=LARGE,
        first_wait=0.2,
        longest_wait=5.0,
        patience=patience,
    )
