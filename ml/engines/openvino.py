"""The CPU engine: the package's network in OpenVINO, with 8-bit integers where the CPU has them.

Loads in a second or two and 220 MB, where TensorFlow takes fifteen and a gigabyte. One compiled
network for the whole process; every thread that asks has its own request to it.
"""

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.engines import Answers
from ml.engines.exports import EngineUnavailable, Export, Precision, exported
from ml.engines.graph import network
from ml.engines.quiet import openvino
from ml.packages import Package
from ml.preprocessing import Picture

AT_ONCE = 16
"""Pictures in one request. One thread takes as long for a picture among 2 to 8; among 16 2 % more,
alone or among 32 5 % more (CPU time; `make bench` has the times of a whole machine)."""

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
        self.compiled = compiled(package, chosen, export=export)
        self._own = threading.local()

    def __call__(self, original: Picture, segmented: Picture) -> Answers:
        """Two (N, 128, 128, 3) uint8 stacks to probabilities (N, 4) and features (N, 1024)."""
        return self._ask(original, segmented, ("probabilities", "features"))

    def maps(self, original: Picture, segmented: Picture) -> Answers:
        """The same stacks to both trunks' maps before averaging, (N, 8, 8, 512) each."""
        return self._ask(original, segmented, ("maps_original", "maps_segmented"))

    def _ask(self, original: Picture, segmented: Picture, wanted: tuple[str, str]) -> Answers:
        request = self._request()
        parts: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
        for start in range(0, len(original), AT_ONCE):
            here = slice(start, start + AT_ONCE)
            # Shared: OpenVINO reads the stacks where they lie.
            given = [np.ascontiguousarray(stack[here]) for stack in (original, segmented)]
            request.infer(given, share_inputs=True)
            for part, name in zip(parts, wanted, strict=True):
                part.append(request.get_tensor(name).data.copy())  # the next call writes over it
        return np.concatenate(parts[0]), np.concatenate(parts[1])

    def _request(self) -> openvino.InferRequest:
        if not hasattr(self._own, "request"):
            self._own.request = self.compiled.create_infer_request()
        request: openvino.InferRequest = self._own.request
        return request


def compiled(
    package: Package, precision: Precision, *, export: Export | None = None
) -> openvino.CompiledModel:
    """The bare network, as OpenVINO runs it: inputs `original` and `segmented`, and the outputs
    of `ml.engines.graph.OUTPUTS`. For the engine, and for whoever measures the engine by it."""
    export = export or exported(package)
    if precision not in export.precisions:
        raise EngineUnavailable(
            f"{package.name} {package.version} was checked for {_listed(export.precisions)}, "
            f"not for {precision}"
        )
    graph = network(package, export.ranges if precision is Precision.INT8 else None)
    return compile_graph(graph, precision)


def compile_graph(graph: openvino.Model, precision: Precision) -> openvino.CompiledModel:
    """One stream over all cores: a picture alone is answered soonest. What is not 8 bits is
    computed in float32, or in bfloat16 where that was asked."""
    core = openvino.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
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
