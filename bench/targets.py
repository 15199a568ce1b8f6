"""What issue 4 asks for, beside what was measured.

A target looks its figure up in the results; where that subject was not measured it says so. What
is bare arithmetic here is tried in tests/bench.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.memory import CHOSEN

Results = Mapping[str, Any]  # subject to its figures, as `bench.subjects.run` gives them
INTAKE_CLIENTS = 4
GROWTH = 1.25  # times; medians of a page repeat to about a tenth
QUERIES = 10
OUR_SIZE = "224 x 224"  # of the pictures that the engines are measured with


@dataclass(frozen=True, slots=True)
class Target:
    """`wanted` in words; `figure` finds the measured one, `fulfils` judges it, `unit` follows it.

    `figure` raises LookupError or TypeError where the results hold nothing for it.
    """

    name: str
    wanted: str
    figure: Callable[[Results], float]
    fulfils: Callable[[float], bool]
    unit: str = ""
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target with its figure; both None and 'not measured' where there is none."""

    name: str
    wanted: str
    measured: str
    value: float | None
    met: bool | None

    @property
    def word(self) -> str:
        return {True: "met", False: "not met", None: "not measured"}[self.met]


def verdicts(results: Results) -> list[Verdict]:
    """Every target of the issue, judged."""
    return [judged(target, results) for target in TARGETS]


def judged(target: Target, results: Results) -> Verdict:
    """The target beside its figure."""
    try:
        value = float(target.figure(results))
    except (LookupError, TypeError, ValueError):
        return Verdict(target.name, target.wanted, "-", None, None)
    shown = f"{value:.{target.digits}f}{target.unit}"
    return Verdict(target.name, target.wanted, shown, value, target.fulfils(value))


def engine_row(results: Results, *, batch: int = 1, how: str = "engine") -> Mapping[str, Any]:
    """The row of the engine that the product chooses on this machine."""
    found = results["engines"]
    rows: Iterable[Mapping[str, Any]] = found["rows"]
    wanted = found["chosen"], how, batch
    return next_of(row for row in rows if (row["engine"], row["how"], row["batch"]) == wanted)


def next_of(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first; LookupError without any."""
    for row in rows:
        return row
    raise LookupError("nothing of the kind was measured")


def idle_margin(results: Results, configuration: str) -> float:
    """Milliseconds by which the idle p95 exceeds one inference."""
    found = results[f"pipeline {configuration}"]
    return float(found["idle"]["p95_ms"]) - float(found["inference_ms"])


def intake(results: Results, database: str, figure: str) -> float:
    """Of single uploads by four clients; a failed one makes the rate 0."""
    runs = results["intake"][database]
    run = next_of(r for r in runs if (r["clients"], r["bulk"]) == (INTAKE_CLIENTS, 1))
    return 0.0 if run["failed"] and figure == "per_second" else float(run[figure])


def pages(results: Results) -> dict[str, dict[int, Mapping[str, Any]]]:
    """The worklist page's figures by who asks, then by the number of reports."""
    sizes = {int(n): found["asked"] for n, found in results["worklist"]["postgresql"].items()}
    asked = [name for name in sizes[min(sizes)] if name.endswith(("first page", "live"))]
    mine = [name for name in asked if not name.startswith("root")]
    return {name: {size: sizes[size][name] for size in sorted(sizes)} for name in mine}


def page_growth(results: Results) -> float:
    """The page's median time in the largest archive over that in the smallest; the worst of all
    who ask. Judged only with a million reports: LookupError with fewer."""
    by_name = pages(results)
    if any(max(sizes) < 1_000_000 for sizes in by_name.values()):
        raise LookupError("the archive was smaller")
    return max(
        sizes[max(sizes)]["median"] / sizes[min(sizes)]["median"] for sizes in by_name.values()
    )


def page_queries(results: Results) -> float:
    """The most queries for the page; infinite where the number grows with the archive."""
    counts = [[one["queries"] for one in sizes.values()] for sizes in pages(results).values()]
    if any(len(set(count)) > 1 for count in counts):
        return float("inf")
    return max(max(count) for count in counts)


def case_page(results: Results) -> float:
    """Wall milliseconds that the server takes over the page of a large case, 95 of 100 times."""
    return float(results["case"]["asked"]["the page"]["p95"])


def preparation_share(results: Results) -> float:
    """Opening and preparing a picture of the set's size on one core, over the inference that
    follows on all of them; per cent."""
    preparing = results["preprocessing"][OUR_SIZE]["open + prepare"]
    return 100 * float(preparing) / float(engine_row(results)["ms"]["median"])


def preparation_core_share(results: Results) -> float:
    """The same, core time over core time: what of a worker's cores preparing takes beside the
    engine; per cent."""
    preparing = results["preprocessing"][OUR_SIZE]["open + prepare"]
    return 100 * float(preparing) / float(engine_row(results)["core_ms"])


def ready_seconds(results: Results) -> float:
    """The slowest start of a worker with the engine that it chooses by itself."""
    return float(max(results["memory"]["workers"][CHOSEN]["ready_seconds"]))


def worker_megabytes(results: Results) -> float:
    """The most that such a worker held, warm or at the end of the pipeline's runs: RSS."""
    held = [results["memory"]["workers"][CHOSEN]["alone_mib"]["rss"]]
    held += [
        found["memory_mib"]["end"]["analyses"]["rss"]
        for name, found in results.items()
        if name.startswith("pipeline") and "memory_mib" in found
    ]
    return float(max(held)) * 2**20 / 1e6


def _sustained(configuration: str) -> Callable[[Results], float]:
    return lambda r: r[f"pipeline {configuration}"]["sustained_over_engine"]["median"]


TARGETS = (
    Target(
        "engine at batch 1, against the naive path",
        "at least 10 times",
        lambda r: engine_row(r)["times_faster"]["median"],
        lambda value: value >= 10,
        " times",
        1,
    ),
    Target(
        "engine at batch 1, over the same network bare",
        "at most 1.15",
        lambda r: engine_row(r)["over_bare"]["median"],
        lambda value: value <= 1.15,
        digits=3,
    ),
    Target(
        "pipeline over engine alone, hospital",
        "at least 0.85",
        _sustained("hospital"),
        lambda value: value >= 0.85,
        digits=2,
    ),
    Target(
        "pipeline over engine alone, embedded",
        "at least 0.85",
        _sustained("embedded"),
        lambda value: value >= 0.85,
        digits=2,
    ),
    Target(
        "idle p95 beyond one inference, hospital",
        "under 150 ms",
        lambda r: idle_margin(r, "hospital"),
        lambda value: value < 150,
        " ms",
    ),
    Target(
        "idle p95 beyond one inference, embedded",
        "under 150 ms",
        lambda r: idle_margin(r, "embedded"),
        lambda value: value < 150,
        " ms",
    ),
    Target(
        "durable uploads, 4 clients, hospital",
        "at least 200 a second",
        lambda r: intake(r, "postgresql", "per_second"),
        lambda value: value >= 200,
        " a second",
    ),
    Target(
        "durable uploads, 4 clients, embedded",
        "at least 100 a second",
        lambda r: intake(r, "sqlite", "per_second"),
        lambda value: value >= 100,
        " a second",
    ),
    Target(
        "p99 of an upload, 4 clients, hospital",
        "under 100 ms",
        lambda r: intake(r, "postgresql", "p99_ms"),
        lambda value: value < 100,
        " ms",
    ),
    Target(
        "p99 of an upload, 4 clients, embedded",
        "under 100 ms",
        lambda r: intake(r, "sqlite", "p99_ms"),
        lambda value: value < 100,
        " ms",
    ),
    Target(
        "worklist page, 1,000 to 1,000,000 reports",
        f"no growth (at most {GROWTH} times)",
        page_growth,
        lambda value: value <= GROWTH,
        " times",
        2,
    ),
    Target(
        "queries of the worklist page",
        f"at most {QUERIES}, however many reports",
        page_queries,
        lambda value: value <= QUERIES,
    ),
    Target(
        "case page, 100 fields and 2,000 cells, p95",
        "under 300 ms",
        case_page,
        lambda value: value < 300,
        " ms",
    ),
    Target(
        "preprocessing, share of inference, core time",
        "at most 20 %",
        preparation_core_share,
        lambda value: value <= 20,
        " %",
    ),
    Target(
        "preprocessing on one core, over inference on all",
        "at most 20 %",
        preparation_share,
        lambda value: value <= 20,
        " %",
    ),
    Target(
        "worker ready to serve",
        "under 5 s",
        ready_seconds,
        lambda value: value < 5,
        " s",
        1,
    ),
    Target(
        "memory of a worker (RSS)",
        "under 700 MB",
        worker_megabytes,
        lambda value: value < 700,
        " MB",
    ),
)
