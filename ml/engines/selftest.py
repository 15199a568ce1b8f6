"""A few drawn pictures that every engine must answer as the reference did, before any patient's.

A new OpenVINO, a CPU that rounds otherwise, ranges that are not this network's: whatever makes an
engine say something else is found at the worker's start and not in a report. The pictures are
drawn with whole numbers alone, so they are the same, to the bit, on every machine and with every
version of every library; nothing of them has to be stored, and nobody's blood is in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.engines.exports import exported
from ml.gallery import GLASS, GRID
from ml.packages import Package
from ml.preprocessing import SIZE, Picture

if TYPE_CHECKING:
    from ml.engines import Engine

COUNT = 8
TOLERANCE = 0.08
"""The most by which a calibrated probability or a familiarity, 0..1, may be off. On these drawings
the network is of two minds, so they show more than smears do: eight bits cost 0.03 here (and 0.003
on smears), half a range in one layer of VGG16 0.15 to 0.25. An export is made only where half of
this is kept."""

NUCLEI = ((120, 70, 175), (150, 110, 195), (175, 120, 185), (135, 90, 160))
RED_CELL = (205, 195, 205)
GRAIN = 6  # grey levels that a pixel may lie off its colour


class EngineDisagrees(Exception):
    """The engine does not answer the self-test as the reference did: it must not read pictures."""


def check(engine: Engine, package: Package) -> None:
    """Raises `EngineDisagrees` unless the engine gives the answers that the package carries."""
    wanted = np.array(exported(package).answers)
    off = np.abs(answers(engine, package) - wanted).max()
    if not off <= TOLERANCE:  # nor may it be NaN
        raise EngineDisagrees(
            f"{engine.name} does not give the answers that {package.name} {package.version} was "
            f"made with: off by {off:.3f} on its self-test, where {TOLERANCE} is allowed. Choose "
            "another engine (MODEL_ENGINE) or make the package's export again"
        )


def answers(engine: Engine, package: Package) -> NDArray[np.float64]:
    """(COUNT, 5): the four calibrated probabilities and the familiarity of each picture."""
    probabilities, features = engine(*pictures())
    return np.column_stack(
        [package.temperature(probabilities), package.gate.familiarity(features)]
    ).astype(np.float64)


def pictures() -> tuple[Picture, Picture]:
    """Two (COUNT, 128, 128, 3) uint8 stacks: something like fields, and like their galleries."""
    drawn = [_Drawing(number) for number in range(COUNT)]
    return np.stack([one.field() for one in drawn]), np.stack([one.gallery() for one in drawn])


class _Drawing:
    """Discs on glass. The dice are SHAKE-256's bytes: they will fall the same way for ever."""

    def __init__(self, number: int) -> None:
        size = SIZE * SIZE * 3
        dice = hashlib.shake_256(f"self-test {number}".encode()).digest(2 * size + 1024)
        thrown = np.frombuffer(dice, np.uint8).astype(np.int64)
        self.grain = thrown[: 2 * size].reshape(2, SIZE, SIZE, 3) % (2 * GRAIN + 1) - GRAIN
        self.rest: Iterator[int] = iter(thrown[2 * size :].tolist())
        self.nucleus = np.array(NUCLEI[number % len(NUCLEI)])
        self.rows, self.columns = np.mgrid[:SIZE, :SIZE]

    def field(self) -> Picture:
        """Red cells and a few nuclei, anywhere."""
        ground = np.full((SIZE, SIZE, 3), GLASS)
        for _ in range(40):
            self.disc(ground, self.place(), self.place(), 5, np.array(RED_CELL))
        for _ in range(3 + next(self.rest) % 8):
            self.disc(ground, self.place(), self.place(), 6 + next(self.rest) % 4, self.nucleus)
        return self.finished(ground, self.grain[0])

    def gallery(self) -> Picture:
        """A nucleus in each of the sixteen tiles."""
        ground, tile = np.full((SIZE, SIZE, 3), GLASS), SIZE // GRID
        for number in range(GRID * GRID):
            row, column = (tile * place + tile // 2 for place in divmod(number, GRID))
            self.disc(ground, row, column, 9 + next(self.rest) % 5, self.nucleus)
        return self.finished(ground, self.grain[1])

    def place(self) -> int:
        return next(self.rest) % SIZE

    def disc(
        self,
        ground: NDArray[np.int64],
        row: int,
        column: int,
        radius: int,
        colour: NDArray[np.int64],
    ) -> None:
        inside = (self.rows - row) ** 2 + (self.columns - column) ** 2 <= radius**2
        ground[inside] = colour

    @staticmethod
    def finished(ground: NDArray[np.int64], grain: NDArray[np.int64]) -> Picture:
        return np.asarray(np.clip(ground + grain, 0, 255), dtype=np.uint8)
