"""What a package says to its engines: `engine.json`, written when it is made (`making`)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ml.packages import Package

FILE = "engine.json"


class Precision(StrEnum):
    """How the CPU engine computes: 8-bit integers, bfloat16, float32."""

    INT8 = "int8"
    BF16 = "bf16"
    FP32 = "fp32"


class EngineUnavailable(Exception):
    """The engine that was asked for does not exist, or the package is not made for it."""


@dataclass(frozen=True, slots=True)
class Export:
    """`ranges`: what comes into each rounded convolution lies between 0 and this. `precisions`:
    those whose answers agreed with the reference's. `answers`: the reference's to the self-test,
    for each picture the four calibrated probabilities and the familiarity."""

    ranges: Mapping[str, float]
    precisions: tuple[Precision, ...]
    answers: tuple[tuple[float, ...], ...]

    def text(self) -> str:
        """The file's content."""
        return json.dumps(asdict(self), indent=1) + "\n"


def exported(package: Package) -> Export:
    """The package's export. Raises `EngineUnavailable` where it has none, and `PackageTampered`
    where it has changed."""
    if FILE not in package.manifest["files"]:
        raise EngineUnavailable(
            f"{package.name} {package.version} was not exported for the CPU engine: "
            "run `python -m ml package export`, or choose the engine 'tensorflow'"
        )
    held: dict[str, Any] = json.loads(package.document(FILE))
    return Export(
        ranges=held["ranges"],
        precisions=tuple(Precision(name) for name in held["precisions"]),
        answers=tuple(tuple(row) for row in held["answers"]),
    )
