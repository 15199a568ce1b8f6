"""How long the network takes for a picture, by engine and batch, against the paper's way.

Every engine is warm in a process of its own (`bench.contender`) and is asked in turns, a fraction
of a second each. `naive` is the paper's web page: Keras's `predict`, one picture a call. `bare` is
the network of the same export, run by OpenVINO itself without anything of ours around it.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from bench import pictures, rounds
from bench.contender import Contender, ContenderFailed, lay_out

BATCHES = (1, 8, 32)
NAIVE, PRODUCT = "naive", "product"
NAMES = (
    NAIVE,
    "tensorflow fp32",
    "tensorflow bf16",
    "openvino fp32",
    "openvino bf16",
    "openvino int8",
)
QUICK = (NAIVE, "tensorflow fp32", "openvino int8")
A_TURN = 0.25  # seconds
MOST_CALLS = 15


def measure(
    report: Callable[[str], None], *, quick: bool = False, images: Path | None = None
) -> dict[str, Any]:
    """Milliseconds a picture, ratios to the naive path and to bare, start and memory of each."""
    files, whose = pictures.chosen(images, count=max(BATCHES))
    with tempfile.TemporaryDirectory(prefix="leukolens-engines-") as name, ExitStack() as stack:
        lay_out(files, Path(name))
        started: dict[str, Contender] = {}
        absent: dict[str, str] = {}
        for engine in (PRODUCT, *(QUICK if quick else NAMES)):
            report(f"starting {engine}")
            try:
                started[engine] = Contender(engine, Path(name))
            except ContenderFailed as failure:
                absent[engine] = str(failure)
                report(f"without {engine}: {failure}")
            else:
                stack.callback(started[engine].close)
        product = started.pop(PRODUCT, None)  # asked for its name only
        turns = _turns(started, [1, 8] if quick else [b for b in BATCHES if b <= len(files)])
        found = rounds.in_turns(turns, 3 if quick else 7, report=report)
        told = rows(found)
        for row in told:
            if row["how"] == "engine":
                engine, batch = started[row["engine"]], row["batch"]
                seconds = engine.core_time("engine", batch, MOST_CALLS) / batch
                row["core_ms"] = 1000 * seconds
    return {
        "pictures": whose,
        "absent": absent,
        "chosen": _same_as(product, started),
        "start": {
            engine: {
                "calls_itself": one.told["name"],
                "ready_seconds": one.ready_seconds,
                "memory_mib": one.memory,
            }
            for engine, one in started.items()
        },
        "rows": told,
    }


def _same_as(product: Contender | None, started: dict[str, Contender]) -> str:
    """Which of the engines the product chooses here; '' when it starts none."""
    wanted = product and product.told["name"]
    return next((name for name, one in started.items() if one.told["name"] == wanted), "")


def rows(found: dict[str, list[float]]) -> list[dict[str, Any]]:
    """One row for each key of `found` ("engine|how|batch"; milliseconds a picture, by round)."""
    naive = found.get(f"{NAIVE}|predict|1")
    told = []
    for key, milliseconds in found.items():
        engine, how, batch = key.split("|")
        row = {
            "engine": engine,
            "how": how,
            "batch": int(batch),
            "ms": rounds.spread(milliseconds),
        }
        if naive and how != "prepare":
            row["times_faster"] = rounds.ratios(naive, milliseconds)
        if how == "engine" and (bare := found.get(f"{engine}|bare|{batch}")):
            row["over_bare"] = rounds.ratios(milliseconds, bare)
        told.append(row)
    return told


def _turns(started: dict[str, Contender], batches: list[int]) -> dict[str, Callable[[], float]]:
    turns: dict[str, Callable[[], float]] = {}
    for engine, contender in started.items():
        for how in contender.told["runs"]:
            for batch in [1] if engine == NAIVE else batches:
                contender.time(how, batch, 1)  # this batch size's own warm-up
                seconds = contender.time(how, batch, 1)
                calls = min(MOST_CALLS, max(1, round(A_TURN / seconds)))
                turns[f"{engine}|{how}|{batch}"] = partial(_turn, contender, how, batch, calls)
    return turns


def _turn(contender: Contender, how: str, batch: int, calls: int) -> float:
    """Milliseconds a picture."""
    return 1000 * contender.time(how, batch, calls) / batch
