"""The one door through which the rest of the product asks the model.

    reader = ml.reading.load()          # once, in a worker: seconds
    readings = reader.read(pictures)    # often

Importing this module loads neither TensorFlow nor OpenVINO; `load` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ml import engines, preprocessing
from ml.classes import CLASSES, Class
from ml.engines import Engine
from ml.packages import COMMITTED, Package, verify
from ml.preprocessing import Picture, Prepared, prepare
from ml.quality import Quality
from ml.segmentation import Segmentation

AT_ONCE = 8  # pictures held in several copies at once
FAMILIAR = 0.5  # the gate's threshold, on the scale of `Reading.familiarity`


class PackageNeedsOtherPreprocessing(Exception):
    """The package was trained behind another version of `ml.preprocessing` than this program's.

    Its figures would not hold. Train again, or run the program version that it came with.
    """


class Outcome(StrEnum):
    """What a reading came to. Only `classified` carries a label."""

    CLASSIFIED = "classified"
    UNFAMILIAR = "unfamiliar"  # a smear, but unlike anything the model was trained on
    NOT_A_SMEAR = "not_a_smear"
    UNUSABLE = "unusable"  # out of focus, too dark, empty...: `quality.code` says which


@dataclass(frozen=True, slots=True)
class Reading:
    """The model's word on one picture.

    `probabilities` are calibrated and sum to 1; None where the picture was not shown to the
    network at all. For an unfamiliar picture they are there to be looked at, not to be believed.
    `familiarity` is 0..1, below 0.5 unfamiliar, 0 where the network was not asked. `label` is
    the likeliest class, None unless classified.
    """

    outcome: Outcome
    quality: Quality
    segmentation: Segmentation
    probabilities: dict[Class, float] | None
    familiarity: float
    label: Class | None


class Reader:
    """A loaded, warm model package. One per process, shared by all its threads."""

    def __init__(self, package: Package, engine: Engine) -> None:
        self.package = package  # .name, .version, .digest
        self.engine = engine.name  # e.g. "openvino 2026.4.1 cpu int8"
        self.batch = engine.batch  # pictures for one `classify`, where many wait
        self.preprocessing = preprocessing.VERSION
        self._run = engine
        self._temperature = package.temperature
        self._gate = package.gate

    def read(self, pictures: Sequence[Picture]) -> list[Reading]:
        """One reading for each (H, W, 3) uint8 RGB picture, in their order.

        Sizes may differ. Eight are worked on at a time, so a long list costs time, not memory,
        beyond the pictures and their masks.
        """
        return [
            reading
            for start in range(0, len(pictures), AT_ONCE)
            for reading in self.classify(
                [self.prepare(picture) for picture in pictures[start : start + AT_ONCE]]
            )
        ]

    def prepare(self, picture: Picture) -> Prepared:
        """The first half of a reading: all that is done before the network is asked.

        Holds no state, so other threads may prepare pictures while the network works.
        """
        return prepare(picture)

    def classify(self, ready: Sequence[Prepared]) -> list[Reading]:
        """The second half: the network's word on prepared pictures, in their order."""
        shown = [index for index, one in enumerate(ready) if one.quality.verdict == "ok"]
        answers = dict(zip(shown, self._ask([ready[index] for index in shown]), strict=True))
        return [
            self._classified(one, *answers[index]) if index in answers else _refused(one)
            for index, one in enumerate(ready)
        ]

    def maps(
        self, original: Picture, segmented: Picture
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Both trunks' maps of prepared pictures, as `Engine.maps`: for `ml.explanation`."""
        return self._run.maps(original, segmented)

    def _ask(self, ready: Sequence[Prepared]) -> list[tuple[NDArray[Any], float]]:
        """Calibrated probabilities (4,) and familiarity of each."""
        if not ready:
            return []
        raw, features = self._run(
            np.stack([one.original for one in ready]), np.stack([one.segmented for one in ready])
        )
        familiarity = self._gate.familiarity(features)
        return list(zip(self._temperature(raw), familiarity.tolist(), strict=True))

    def _classified(
        self, ready: Prepared, probabilities: NDArray[Any], familiarity: float
    ) -> Reading:
        familiar = familiarity >= FAMILIAR
        return Reading(
            outcome=Outcome.CLASSIFIED if familiar else Outcome.UNFAMILIAR,
            quality=ready.quality,
            segmentation=ready.segmentation,
            probabilities=dict(zip(CLASSES, map(float, probabilities), strict=True)),
            familiarity=float(familiarity),
            label=CLASSES[int(probabilities.argmax())] if familiar else None,
        )


def load(path: Path | None = None, *, engine: str = engines.AUTO) -> Reader:
    """Verify the package in `path` (default: the committed one), load it, warm it up, try it.

    `engine` is one of `ml.engines.NAMES`; by itself a GPU gets TensorFlow and a CPU OpenVINO.
    Raises `ml.packages.PackageTampered` when a file is missing or changed,
    `PackageNeedsOtherPreprocessing` when this program prepares pictures otherwise than the
    package was trained with, `ml.engines.EngineUnavailable`, and
    `ml.engines.selftest.EngineDisagrees` when the engine does not say what the reference said.
    """
    # The engine has the cores. OpenCV's own threads would take turns with it, and spin meanwhile:
    # a picture of 1200 x 900 took a quarter more of the processor to prepare. So do those of
    # numpy's BLAS, long after each of the gate's small products: 5 ms of the processor a picture.
    cv2.setNumThreads(1)
    threadpool_limits(1, user_api="blas")
    package = verify(path or COMMITTED)
    if package.preprocessing != preprocessing.VERSION:
        raise PackageNeedsOtherPreprocessing(
            f"{package.name} {package.version} was trained behind {package.preprocessing}, "
            f"this program has {preprocessing.VERSION}"
        )
    return Reader(package, engines.start(package, engine))


def _refused(ready: Prepared) -> Reading:
    """A picture that the quality gate kept from the network."""
    return Reading(
        outcome=Outcome(ready.quality.verdict),
        quality=ready.quality,
        segmentation=ready.segmentation,
        probabilities=None,
        familiarity=0.0,
        label=None,
    )
