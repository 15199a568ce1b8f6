"""What goes wrong, and how often."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Self

# In the order in which they are told of; the sentences are for people.
SAID = {
    "drop_request": "connection broken while a request was on its way",
    "drop_answer": "request arrived, its answer was lost",
    "damage": "a byte changed on the way",
    "slow": "request and answer over a slow line",
    "duplicate": "a picture sent a second time, by the network",
    "reorder": "a picture sent after the one that was taken later",
    "skew": "a picture's or a heartbeat's clock was wrong",
    "power_cut": "power cut: process killed with -9, started again",
    "refusable": "a picture that the hospital has to refuse",
}


@dataclass(frozen=True, slots=True)
class Faults:
    """The probability of each fault, 0 to 1.

    Those of the wire are drawn anew for every request, those of the bench for every picture.
    """

    drop_request: float = 0.0
    drop_answer: float = 0.0
    damage: float = 0.0
    slow: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    skew: float = 0.0
    power_cut: float = 0.0
    refusable: float = 0.0

    def __post_init__(self) -> None:
        for name, probability in asdict(self).items():
            if not 0 <= probability <= 1:
                raise ValueError(f"{name} is a probability, 0 to 1, not {probability}")

    @classmethod
    def all(cls, probability: float) -> Self:
        """Every fault with the same probability."""
        return cls(**{field.name: probability for field in fields(cls)})

    def changed(self, changes: Mapping[str, float]) -> Self:
        """The same but for `changes`; names may be written with dashes.

        Raises:
            ValueError: there is no such fault, or it is no probability.
        """
        named = {name.replace("-", "_"): float(value) for name, value in changes.items()}
        if unknown := sorted(named.keys() - SAID.keys()):
            known = ", ".join(name.replace("_", "-") for name in SAID)
            raise ValueError(f"There is no fault '{unknown[0]}'; there are: {known}")
        return replace(self, **named)

    def drawn(self, chance: random.Random) -> frozenset[str]:
        """Which of them strike now. The same generator always gives the same answer."""
        # One draw for each, also for those that are off: switching one on leaves the others.
        return frozenset(
            n for n, probability in asdict(self).items() if chance.random() < probability
        )
