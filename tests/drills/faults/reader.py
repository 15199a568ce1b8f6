"""A reader that asks the true package about a few pictures and answers for the others itself.

So that ten thousand pictures can be read on two cores. Which pictures are read truly is said by
the checksums of their pixels, in the environment.
"""

import os
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRULY = "LEUKOLENS_DRILL_TRULY"
# Seconds that the light engine takes for a picture.
TAKES = "LEUKOLENS_DRILL_TAKES"
# By this number the database tells whose answer it was.
LIGHT_FAMILIARITY = 0.987654321
USUALLY = "0.004"


def checksum(picture: Any) -> str:
    """Of a decoded picture's pixels."""
    return str(zlib.crc32(picture.tobytes()))


@dataclass(frozen=True, slots=True)
class Light:
    """A picture that nobody looks at."""

    quality: Any
    segmentation: Any


class Mixed:
    """As the pipeline sees it, a `ml.reading.Reader`."""

    batch = 8

    def __init__(self, package: Any, load: Callable[[], Any]) -> None:
        from ml import preprocessing, synthetic

        self.package = package
        self.engine = "drill: mostly light"
        self.preprocessing = preprocessing.VERSION
        ready = preprocessing.prepare(synthetic.smear(seed=1, size=224))
        self._light = Light(ready.quality, ready.segmentation)
        self._truly = set(os.environ.get(TRULY, "").split())
        self._takes = float(os.environ.get(TAKES, USUALLY))
        self._load, self._loading, self._reader = load, threading.Lock(), None

    def prepare(self, picture: Any) -> Any:
        """What the network is shown, of the few."""
        return self._true.prepare(picture) if checksum(picture) in self._truly else self._light

    def classify(self, ready: Sequence[Any]) -> list[Any]:
        """In their order."""
        from ml.classes import CLASSES, Class
        from ml.reading import Outcome, Reading

        true = [one for one in ready if one is not self._light]
        answers = iter(self._true.classify(true) if true else ())
        shares = dict(zip(CLASSES, (0.01, 0.01, 0.97, 0.01), strict=True))
        light = Reading(
            Outcome.CLASSIFIED, self._light.quality, self._light.segmentation, shares,
            LIGHT_FAMILIARITY, Class.PRE_B,
        )  # fmt: skip
        time.sleep(self._takes * (len(ready) - len(true)))
        return [light if one is self._light else next(answers) for one in ready]

    @property
    def _true(self) -> Any:
        """The package as the product loads it, when it is first needed."""
        with self._loading:
            if self._reader is None:
                self._reader = self._load()
            return self._reader


def lightly(load: Callable[..., Any]) -> Callable[..., Any]:
    """`ml.reading.load`, for a reader that is mostly light."""

    def loaded(path: Path | None = None, **how: Any) -> Mixed:
        from ml import packages

        return Mixed(packages.verify(path or packages.COMMITTED), lambda: load(path, **how))

    return loaded
