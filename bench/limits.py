"""What this machine can do at best, and how long the network would take at that rate.

Multiplying: large matrices through NumPy's BLAS (fp32) and through OpenVINO (fp32, bf16, int8),
four in a row so that what stands between two multiplications is fused as it is in a network.
Memory: a copy of arrays far beyond the cache. Best of all rounds, for a limit is what was reached
once.

The floor leaves out what an export need not do (`bench.work.of`). One thing can still beat it: a
convolution by Winograd's method multiplies less than its kernel's size says.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import numpy as np

from bench import machine, rounds, work
from ml.packages import COMMITTED, verify

SIDE = 2048
CHAIN = 4
COPIED = 256 * 2**20  # bytes; eight times a large third-level cache
WIDTH = {"fp32": 4, "bf16": 2, "int8": 1}  # bytes of a weight
RUNTIME = {"fp32": {"f32"}, "bf16": {"bf16"}, "int8": {"i8", "u8"}}
Rate = Callable[[], float]


def measure(report: Callable[[str], None], *, quick: bool = False) -> dict[str, Any]:
    """Rates (multiply-adds and bytes a second), the network's work, and the floors they imply."""
    works = work.of(verify(COMMITTED))
    report("multiplying matrices, copying memory")
    contenders = {**_multipliers(), **_copies()}
    found = rounds.in_turns(contenders, 3 if quick else 9, report=report)
    rates = {name: {**rounds.spread(values), "best": max(values)} for name, values in found.items()}
    bandwidth = max(rates[name]["best"] for name in _copies_names())
    return {
        "rates": rates,
        "work": work.table(works),
        "floors": {
            precision: floors(
                work.total(works),
                works["left_out"],
                precision=precision,
                macs_per_second=_best(rates, precision),
                bytes_per_second=bandwidth,
            )
            for precision in WIDTH
            if any(name.endswith(precision) for name in rates)
        },
    }


def floors(
    total: work.Work,
    left_out: work.Work,
    *,
    precision: str,
    macs_per_second: float,
    bytes_per_second: float,
) -> dict[str, float]:
    """Milliseconds a picture: to multiply all, to multiply what an export must, to bring the
    weights in at batch 1 and 32, and the floor at batch 1: the larger of the two that count."""
    reading = {
        batch: work.memory_ms(
            total, width=WIDTH[precision], batch=batch, bytes_per_second=bytes_per_second
        )
        for batch in (1, 32)
    }
    multiplying = work.floor_ms(total, macs_per_second=macs_per_second)
    exported = multiplying * (1 - left_out.macs / total.macs)
    return {
        "multiplying_ms": multiplying,
        "exported_ms": exported,
        "weights_batch_1_ms": reading[1],
        "weights_batch_32_ms": reading[32],
        "floor_ms": max(exported, reading[1]),
    }


def _best(rates: dict[str, dict[str, float]], precision: str) -> float:
    return max(rate["best"] for name, rate in rates.items() if name.endswith(precision))


def _multipliers() -> dict[str, Rate]:
    """OpenVINO's only in those precisions that it really multiplies in on this machine."""
    rates = {"numpy fp32": _blas()}
    for precision in WIDTH:
        if rate := _openvino(precision):
            rates[f"openvino {precision}"] = rate
    return rates


def _blas() -> Rate:
    left, right = (_random(SIDE, SIDE) for _ in range(2))
    out = np.empty_like(left)

    def rate() -> float:
        began = perf_counter()
        for _ in range(CHAIN):
            np.matmul(left, right, out=out)
        return CHAIN * SIDE**3 / (perf_counter() - began)

    rate()
    return rate


def _openvino(precision: str) -> Rate | None:
    """Multiply-adds a second of a chain of matrices; None where it is done in another precision."""
    from ml.engines.quiet import openvino as ov  # noqa: PLC0415

    hint = "bf16" if precision == "bf16" else "f32"
    compiled = ov.Core().compile_model(
        _chain(quantised=precision == "int8"),
        "CPU",
        {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"},
    )
    if not _done_in(compiled) <= RUNTIME[precision]:
        return None
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(_random(SIDE, SIDE)))

    def rate() -> float:
        began = perf_counter()
        request.infer()
        return CHAIN * SIDE**3 / (perf_counter() - began)

    rate()
    return rate


def _chain(*, quantised: bool) -> Any:
    """`CHAIN` square matrices in a row as an OpenVINO model, quantised to 8 bits if wanted."""
    from ml.engines.quiet import openvino as ov  # noqa: PLC0415
    from ml.engines.quiet import ops  # noqa: PLC0415

    picture = x = ops.parameter([SIDE, SIDE], np.float32)
    for _ in range(CHAIN):
        if quantised:
            ends = [ops.constant(np.float32(end)) for end in (0, 4, 0, 4)]
            x = ops.fake_quantize(x, *ends, levels=256)
            eight = np.random.default_rng(0).integers(-127, 128, (SIDE, SIDE), np.int8)
            weights = ops.multiply(
                ops.convert(ops.constant(eight), np.float32),
                ops.constant(np.full((1, SIDE), 1e-3, np.float32)),
            )
        else:
            weights = ops.constant(_random(SIDE, SIDE) / SIDE)
        x = ops.relu(ops.matmul(x, weights, transpose_a=False, transpose_b=False))
    return ov.Model([x], [picture], "chain")


def _done_in(compiled: Any) -> set[str]:
    """The precisions that the compiled model multiplies its matrices in, by OpenVINO's names."""
    about = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    return {
        str(one["runtimePrecision"].astype(str))
        for one in about
        if one["layerType"].astype(str) in {"FullyConnected", "MatMul"}
    }


def _copies_names() -> list[str]:
    return [f"copy {threads} thread{'s' * (threads > 1)}" for threads in sorted({1, _threads()})]


def _threads() -> int:
    return max(1, machine.cores())


def _copies() -> dict[str, Rate]:
    return {
        name: _copy(threads)
        for name, threads in zip(_copies_names(), sorted({1, _threads()}), strict=True)
    }


def _copy(threads: int) -> Rate:
    """Bytes a second, counted as STREAM does: once for reading and once for writing."""
    source = np.ones(COPIED, np.uint8)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    pool = ThreadPoolExecutor(threads)

    def rate() -> float:
        began = perf_counter()
        # NumPy lets go of the interpreter's lock while it copies.
        list(pool.map(lambda part: np.copyto(*part), parts))
        return 2 * COPIED / (perf_counter() - began)

    rate()
    return rate


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, np.float32)
