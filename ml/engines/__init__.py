"""What runs the network: one small interface, and the choice of who stands behind it.

`tensorflow` is the reference, and the engine of a machine with a GPU. `openvino` is the CPU's: it
takes the package's own integers (`graph`), with the ranges that were measured when the package
was made (`making`), and only in a precision whose answers were found to agree (`agreement`).
Whichever it is, it must give the reference's answers to a few drawn pictures before it is given
a patient's (`selftest`).

Importing this package loads neither TensorFlow nor OpenVINO; `start` loads the one that is needed.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ml.engines import selftest
from ml.engines.exports import FILE, EngineUnavailable, Precision
from ml.packages import Package
from ml.preprocessing import Picture

Answers = tuple[NDArray[np.float32], NDArray[np.float32]]

AUTO, TENSORFLOW, OPENVINO = "auto", "tensorflow", "openvino"
NAMES = (AUTO, TENSORFLOW, OPENVINO, *(f"{OPENVINO}-{precision}" for precision in Precision))
_GPUS = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")  # NVIDIA, AMD, and either one under Windows


class Engine(Protocol):
    """What runs the network. For use by several threads at once."""

    name: str  # e.g. "openvino 2026.4.1 cpu int8"; recorded with every result
    batch: int  # with so many pictures a call, one call behind the other, it is at its fastest

    def __call__(self, original: Picture, segmented: Picture) -> Answers:
        """Two (N, 128, 128, 3) uint8 stacks to probabilities (N, 4) and features (N, 1024)."""
        ...  # pragma: no cover

    def maps(self, original: Picture, segmented: Picture) -> Answers:
        """The same stacks to both trunks' maps before averaging, (N, 8, 8, 512) each."""
        ...  # pragma: no cover


def start(package: Package, wanted: str = AUTO) -> Engine:
    """The engine `wanted`, one of `NAMES`, warm and tried.

    `auto` is TensorFlow where it finds a GPU, else OpenVINO in the fastest precision that this
    CPU has and the package allows, or TensorFlow again for a package without an export. Raises
    `EngineUnavailable`, and `ml.engines.selftest.EngineDisagrees` when the engine does not give
    the reference's answers.
    """
    engine = _open(package, wanted)
    if FILE in package.manifest["files"]:
        selftest.check(engine, package)
    return engine


def _open(package: Package, wanted: str) -> Engine:
    if wanted not in NAMES:
        raise EngineUnavailable(f"there is no engine {wanted!r}; choose among {', '.join(NAMES)}")
    seen = any(Path(device).exists() for device in _GPUS)
    if wanted == AUTO and FILE in package.manifest["files"] and not (seen and _usable_gpu()):
        wanted = OPENVINO
    if wanted in (AUTO, TENSORFLOW):
        from ml.engines.tensorflow import TensorFlowEngine  # noqa: PLC0415  (workers only)

        return TensorFlowEngine(package)
    from ml.engines.openvino import OpenVinoEngine  # noqa: PLC0415  (workers only)

    _, _, precision = wanted.partition("-")
    return OpenVinoEngine(package, Precision(precision) if precision else None)


def _usable_gpu() -> bool:
    """Whether TensorFlow can use the GPU that the machine shows: it may lack the driver's half."""
    from ml.engines.tensorflow import gpus  # noqa: PLC0415  (seconds: only where a GPU is seen)

    return bool(gpus())
