"""The CPU engine: the package's network in OpenVINO, with 8-bit integers where the CPU has them.

Loads in a second or two and 250 MB, where TensorFlow takes fifteen and a gigabyte. The network is
compiled twice for the whole process: over all cores for a picture that somebody waits for, and
core by core for many, which then do not wait for each other at every layer. Every thread that
asks has its own requests.
"""

import os
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.engines import Answers
from ml.engines.exports import EngineUnavailable, Export, Precision, exported
from ml.engines.graph import network
from ml.engines.quiet import openvino
from ml.packages import Package
from ml.preprocessing import Picture

AT_ONCE = 8
"""Pictures in one request. One thread takes as long for a picture among 2 to 8; among 16 2 % more,
alone or among 32 5 % more (CPU time; `make bench` has the times of a whole machine)."""

MANY = 4
"""From so many pictures on each core takes its own. On two cores of which something else takes a
share, as in a worker that prepares the next pictures meanwhile, a picture took 13 ms; where both
cores worked on it together and waited for the slower one, 17 to 21. Undisturbed it is the same."""

# What multiplies 8-bit integers without overflowing on the way. CPUs before these add two products
# in 16 bits, which does not hold them.
_INTEGERS = {"avx512_vnni", "avx_vnni", "amx_int8"}


class OpenVinoEngine:
    """Runs the exported network on the CPU. For use by several threads at once."""

    def __init__(
        self, package: Package, precision: Precision | None = None, *, export: Export | None = None
    ) -> None:
        """Compile the package's network; `precision` None takes the fastest that it may.

        `export` is for making one: the package's own is taken without it. Raises
        `EngineUnavailable` where the package was not exported, or not for this precision,
        `PackageTampered` where a file has changed.
        """
        export = export or exported(package)
        chosen = precision or fastest(export)
        self.precision = chosen
        self.name = f"openvino {openvino.__version__.split('-')[0]} cpu {chosen}"
        self._together = compiled(package, chosen, export=export)
        self._apart = compiled(package, chosen, export=export, streams=cores())
        self._own = threading.local()

    def __call__(self, original: Picture, segmented: Picture) -> Answers:
        """Two (N, 128, 128, 3) uint8 stacks to probabilities (N, 4) and features (N, 1024)."""
        return self._ask(original, segmented, ("probabilities", "features"))

    def maps(self, original: Picture, segmented: Picture) -> Answers:
        """The same stacks to both trunks' maps before averaging, (N, 8, 8, 512) each."""
        return self._ask(original, segmented, ("maps_original", "maps_segmented"))

    def _ask(self, original: Picture, segmented: Picture, wanted: tuple[str, str]) -> Answers:
        """In rounds of as many pieces as there are requests, each piece a request of its own."""
        requests = self._requests(len(original))
        parts: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
        pieces = _pieces(len(original), len(requests))
        for start in range(0, len(pieces), len(requests)):
            asked = list(zip(requests, pieces[start : start + len(requests)], strict=False))
            for request, here in asked:
                # Shared: OpenVINO reads the stacks where they lie.
                given = [np.ascontiguousarray(stack[here]) for stack in (original, segmented)]
                request.start_async(given, share_inputs=True)
            for request, _ in asked:
                request.wait()
                for part, name in zip(parts, wanted, strict=True):
                    # The next round writes over it.
                    part.append(request.get_tensor(name).data.copy())
        return np.concatenate(parts[0]), np.concatenate(parts[1])

    def _requests(self, count: int) -> Sequence[openvino.InferRequest]:
        """This thread's own, for so many pictures."""
        own: Any = self._own
        if not hasattr(own, "alone"):
            own.alone = [self._together.create_infer_request()]
            own.beside = [self._apart.create_infer_request() for _ in range(cores())]
        found: Sequence[openvino.InferRequest] = own.alone if count < MANY else own.beside
        return found


def _pieces(count: int, sides: int) -> list[slice]:
    """`count` pictures in `sides` pieces alike, or a multiple of it: of `AT_ONCE` at most."""
    rounds = -(-count // (sides * AT_ONCE))
    edges = np.linspace(0, count, min(count, rounds * sides) + 1).round().astype(int).tolist()
    return [slice(low, high) for low, high in pairwise(edges)]


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compiled(
    package: Package, precision: Precision, *, export: Export | None = None, streams: int = 1
) -> openvino.CompiledModel:
    """The bare network, as OpenVINO runs it: inputs `original` and `segmented`, and the outputs
    of `ml.engines.graph.OUTPUTS`. For the engine, and for whoever measures the engine by it;
    `streams` as for `compile_graph`."""
    export = export or exported(package)
    if precision not in export.precisions:
        raise EngineUnavailable(
            f"{package.name} {package.version} was checked for {_listed(export.precisions)}, "
            f"not for {precision}"
        )
    graph = network(package, export.ranges if precision is Precision.INT8 else None)
    return compile_graph(graph, precision, streams=streams)


def compile_graph(
    graph: openvino.Model, precision: Precision, *, streams: int = 1
) -> openvino.CompiledModel:
    """In one stream all cores work on the same request: a picture alone is answered soonest. In
    several, each takes its share of the cores, and requests run side by side. What is not 8 bits
    is computed in float32, or in bfloat16 where that was asked."""
    core = openvino.Core()
    settings: dict[str, Any] = {
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": cores(),
        "INFERENCE_PRECISION_HINT": "bf16" if precision is Precision.BF16 else "f32",
    }
    return core.compile_model(graph, "CPU", settings)


def fastest(export: Export) -> Precision:
    """The fastest precision that this CPU has and the export allows."""
    here = [precision for precision in supported() if precision in export.precisions]
    if not here:
        raise EngineUnavailable(
            f"the package was checked for {_listed(export.precisions)}; "
            f"this CPU has {_listed(supported())}"
        )
    return here[0]


def supported() -> tuple[Precision, ...]:
    """What this CPU computes quickly and rightly, fastest first."""
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    found = [Precision.INT8] if _INTEGERS & _flags() else []
    return (*found, *([Precision.BF16] if "BF16" in able else []), Precision.FP32)


def _flags() -> set[str]:
    """What the kernel says that the CPU can do; nothing where there is no Linux to ask."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    lines = (line for line in text.splitlines() if line.startswith("flags"))
    return set(next(lines, "").partition(":")[2].split())


def _listed(precisions: tuple[Precision, ...]) -> str:
    return ", ".join(precisions) or "none"
