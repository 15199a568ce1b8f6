"""The CPU engine: the package's network in OpenVINO, with 8-bit integers where the CPU has them.

Loads in a second or two and 250 MB, where TensorFlow takes fifteen and a gigabyte. The network is
compiled twice for the whole process: over all cores for a picture that somebody waits for, and
core by core for many, which then do not wait for each other at every layer.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.engines import Answers
from ml.engines.exports import EngineUnavailable, Export, Precision, exported
from ml.engines.graph import network
from ml.engines.quiet import openvino
from ml.packages import Package
from ml.preprocessing import SIZE, Picture

SIZES = (4, 2, 1)
"""Pictures in one request, and no other number. What OpenVINO prepares for a number of pictures it
keeps, 30 MB of it on a CPU with AMX, and it takes up to a tenth of a second: a worker that had seen
every number up to 16 held 640 MB where it began with 280. One thread takes as long for a picture
among 2 to 8, and 5 % more for one alone (CPU time; `make bench` has the times of a machine)."""

MANY = 4
"""From so many pictures on, or one for each core, every core takes its own. On two cores of which
something else takes a share, as in a worker that prepares the next pictures meanwhile, a picture
took 13 ms; where both cores worked on it together and waited for the slower one, 17 to 21."""

# What multiplies 8-bit integers without overflowing on the way. CPUs before these add two products
# in 16 bits, which does not hold them.
_INTEGERS = {"avx512_vnni", "avx_vnni", "amx_int8"}


class OpenVinoEngine:
    """Runs the exported network on the CPU. Whoever asks while others do is next in line."""

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
        self.batch = SIZES[0] * cores()
        self._together = _Requests(compiled(package, chosen, export=export), 1)
        # A core that has answered finds the next piece waiting: Python is not always at hand.
        lines = 2 * cores()
        apart = compiled(package, chosen, export=export, streams=cores())
        self._apart = _Requests(apart, lines)
        self._lines = ThreadPoolExecutor(lines, "openvino")
        self(*np.zeros((2, 1, SIZE, SIZE, 3), np.uint8))  # for the first that comes alone

    def __call__(self, original: Picture, segmented: Picture) -> Answers:
        """Two (N, 128, 128, 3) uint8 stacks to probabilities (N, 4) and features (N, 1024)."""
        return self._ask(original, segmented, ("probabilities", "features"))

    def maps(self, original: Picture, segmented: Picture) -> Answers:
        """The same stacks to both trunks' maps before averaging, (N, 8, 8, 512) each."""
        return self._ask(original, segmented, ("maps_original", "maps_segmented"))

    def _ask(self, original: Picture, segmented: Picture, wanted: tuple[str, str]) -> Answers:
        """Whichever core is free takes the next piece, of this question or the one after it."""
        count = len(original)
        stacks = [np.ascontiguousarray(stack) for stack in (original, segmented)]
        if count > 1 and count >= min(MANY, cores()):
            asked = [
                self._lines.submit(self._apart.ask, [stack[here] for stack in stacks], wanted)
                for here in pieces(count, cores())
            ]
            parts = [one.result() for one in asked]
        else:
            singles = ([stack[at : at + 1] for stack in stacks] for at in range(count))
            parts = [self._together.ask(pair, wanted) for pair in singles]
        first, second = zip(*parts, strict=True)
        return np.concatenate(first), np.concatenate(second)


class _Requests:
    """A compiled network that so many may ask at once; the others wait."""

    def __init__(self, network: openvino.CompiledModel, count: int) -> None:
        self._free: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        for _ in range(count):
            self._free.put(network.create_infer_request())

    def ask(self, pair: list[Picture], wanted: tuple[str, str]) -> list[NDArray[np.float32]]:
        request = self._free.get()
        try:
            request.infer(pair, share_inputs=True)
            # The next question writes over it.
            return [request.get_tensor(name).data.copy() for name in wanted]
        finally:
            self._free.put(request)


def pieces(count: int, sides: int) -> list[slice]:
    """`count` pictures in pieces of `SIZES`: the largest of which there is one for each side."""
    sizes, left = [], count
    for size in SIZES:
        while left >= size * sides:
            sizes += [size] * sides
            left -= size * sides
    edges = np.cumsum([0, *sizes, *[1] * left]).tolist()
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
