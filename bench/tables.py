"""The figures as tables of words: for the terminal and for docs/performance.md alike.

Each function takes the results of one run (subject to figures) and gives no table where its
subject was not measured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import targets
from bench.cost import SHARES, costs

Results = Mapping[str, Any]
CONFIGURATIONS = ("embedded", "hospital")


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and cells; the first column is words, the rest figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def of_targets(results: Results) -> list[Table]:
    rows = [(one.name, one.wanted, one.measured, one.word) for one in targets.verdicts(results)]
    return [Table("What the issue asks for", ("", "wanted", "measured", ""), rows)]


def of_limits(results: Results) -> list[Table]:
    found = _measured(results, "limits")
    if not found:
        return []
    rates = [
        (name, f"{rate['best'] / 1e9:.1f}", f"{rate['median'] / 1e9:.1f}", _between(rate, 1e9, 1))
        for name, rate in found["rates"].items()
    ]
    work = [
        (name, f"{one['macs'] / 1e9:.3f}", f"{one['weights'] / 1e6:.2f}")
        for name, one in found["work"].items()
    ]
    floors = [
        (precision, *(f"{one[name]:.1f}" for name in FLOORS)) for precision, one in _floors(found)
    ]
    return [
        Table("The machine at its best", ("10⁹ a second", "best", "median", "quartiles"), rates),
        Table("What the network has to do", ("part", "GMAC", "million weights"), work),
        Table("No faster than, ms a picture", ("", *FLOORS.values()), floors),
    ]


FLOORS = {
    "multiplying_ms": "multiplying",
    "exported_ms": "what an export must multiply",
    "weights_batch_1_ms": "weights from memory, batch 1",
    "weights_batch_32_ms": "the same, batch 32",
}


def _floors(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float]]]:
    return list(found["floors"].items())


def of_engines(results: Results) -> list[Table]:
    found = _measured(results, "engines")
    if not found:
        return []
    rows = [
        (
            f"{row['engine']}, {row['how']}",
            str(row["batch"]),
            f"{row['ms']['median']:.1f}",
            _between(row["ms"]),
            _times(row.get("times_faster")),
            _times(row.get("over_bare"), 3),
        )
        for row in found["rows"]
    ]
    starts = [
        (
            name,
            f"{one['ready_seconds']:.1f}",
            f"{one['memory_mib']['rss']:.0f}",
            f"{one['memory_mib']['pss']:.0f}",
        )
        for name, one in found["start"].items()
    ]
    head = ("engine", "batch", "ms a picture", "quartiles", "times faster than naive", "over bare")
    return [
        Table("The network, by engine", head, rows),
        Table(
            "A process with nothing but the engine", ("", "ready s", "RSS MiB", "PSS MiB"), starts
        ),
    ]


def of_pipeline(results: Results) -> list[Table]:
    """Latency, then throughput, of each configuration."""
    found = {
        name: held for name in CONFIGURATIONS if (held := _measured(results, f"pipeline {name}"))
    }
    if not found:
        return []
    waits = [
        (f"{name}, {when}", *_latency(held[key]))
        for name, held in found.items()
        for key, when in (
            ("idle", "idle"),
            ("load", f"at {held['load']['offered_per_second']:.0f}/s"),
        )
    ]
    through = [
        (
            name,
            f"{held['sustained']['median']:.1f}",
            _between(held["sustained"]),
            f"{max(one['median'] for one in held['engine_alone'].values()):.1f}",
            _times(held["sustained_over_engine"], 2),
            f"{held['inference_ms']:.1f}",
        )
        for name, held in found.items()
    ]
    head = (
        "pictures a second",
        "sustained",
        "quartiles",
        "engine alone",
        "ratio",
        "one inference ms",
    )
    return [
        Table("From the 201 to the event, ms", ("", "n", "p50", "p95", "p99", "longest"), waits),
        Table("A backlog drained", head, through),
    ]


def _latency(one: Mapping[str, Any]) -> tuple[str, ...]:
    return str(one["n"]), *(
        f"{one[name]:.0f}" for name in ("p50_ms", "p95_ms", "p99_ms", "longest_ms")
    )


def of_intake(results: Results) -> list[Table]:
    found = _measured(results, "intake")
    rows = [
        (
            f"{database}, {run['clients']} clients"
            + f", {run['bulk']} at once" * (run["bulk"] > 1),
            f"{run['per_second']:.0f}",
            f"{run['p50_ms']:.1f}",
            f"{run['p99_ms']:.1f}",
            str(sum(run["failed"].values()) if run["failed"] else 0),
        )
        for database, runs in found.items()
        if isinstance(runs, list)
        for run in runs
    ]
    head = ("", "uploads a second", "p50 ms", "p99 ms", "failed")
    return [Table("Durable uploads", head, rows)] if rows else []


def of_worklist(results: Results) -> list[Table]:
    if not _measured(results, "worklist"):
        return []
    by_name = targets.pages(results)
    sizes = sorted({size for held in by_name.values() for size in held})
    rows = [
        (
            name,
            *(f"{held[size]['median']:.1f} / {held[size]['p95']:.1f}" for size in sizes),
            f"{held[sizes[-1]]['median'] / held[sizes[0]]['median']:.2f}",
            str(max(held[size]["queries"] for size in sizes)),
        )
        for name, held in by_name.items()
    ]
    head = ("median / p95 ms", *(f"{size:,} reports" for size in sizes), "growth", "queries")
    return [Table("The worklist page", head, rows)]


def of_case(results: Results) -> list[Table]:
    found = _measured(results, "case")
    if not found:
        return []
    rows = [
        (
            what,
            f"{one['median']:.0f} / {one['p95']:.0f}",
            f"{one['cpu']:.0f}",
            str(one["queries"]),
            f"{one['kilobytes']:.0f}",
        )
        for what, one in found["asked"].items()
    ]
    title = f"The case page, {found['fields']} fields and {found['cells']:,} cells"
    head = ("", "median / p95 ms", "CPU ms of the server", "queries", "kB")
    return [Table(title, head, rows)]


def of_memory(results: Results) -> list[Table]:
    found = _measured(results, "memory").get("workers", {})
    rows = [
        (
            engine,
            f"{max(one['ready_seconds']):.1f}",
            f"{one['alone_mib']['rss']:.0f}",
            f"{one['alone_mib']['pss']:.0f}",
            " + ".join(f"{each['pss']:.0f}" for each in one["together_mib"]),
        )
        for engine, one in found.items()
    ]
    under_load = [
        (
            f"{name}, {process}",
            *(f"{held['memory_mib'][when][process]['rss']:.0f}" for when in WHEN),
        )
        for name in CONFIGURATIONS
        if (held := _measured(results, f"pipeline {name}"))
        for process in ("web", "analyses")
    ]
    head = ("engine", "ready s", "RSS MiB", "PSS MiB", "PSS of two MiB")
    tables = [Table("An analyses worker", head, rows)] if rows else []
    if under_load:
        tables.append(
            Table("In the stack, RSS MiB", ("", "warm", "after the pipeline's runs"), under_load)
        )
    return tables


WHEN = ("start", "end")


def of_cost(results: Results) -> list[Table]:
    """What a picture costs, by process, and what a million does."""
    found = _measured(results, "pipeline hospital")
    if not found:
        return []
    one = costs(found["cpu_ms"])
    rows = [
        (
            SHARES.get(name, name),
            f"{held['upload_ms']:.2f}",
            f"{held['analysis_ms']:.2f}",
            f"{held['core_hours']:.2f}",
            f"{held['money']:.2f}",
        )
        for name, held in one["shares"].items()
    ]
    head = ("", "upload, core-ms", "analysis, core-ms", "core-hours a million", "money a million")
    return [Table("What a picture costs, PostgreSQL and Redis", head, rows)]


def of_scale_out(results: Results) -> list[Table]:
    """Workers with sleeping engines: how many pictures a second, and who pays for them."""
    found = _measured(results, "scale_out")
    if not found:
        return []
    rows = [
        (
            str(run["workers"]),
            f"{run['rate']:.0f}",
            f"{run['share_of_ideal']:.0%}",
            f"{run['database_cpu_ms']:.2f}",
            f"{run['worker_cpu_ms']:.2f}",
        )
        for run in found["runs"]
    ]
    title = f"Sleeping engines, {1000 * found['sleep_s']:.0f} ms a picture, {found['cores']} cores"
    head = ("workers", "pictures a second", "of ideal", "database core-ms", "worker core-ms")
    return [Table(title, head, rows)]


def of_preprocessing(results: Results) -> list[Table]:
    """Core-milliseconds of each stage, a column for each size of picture."""
    sizes = {
        size: stages
        for size, stages in _measured(results, "preprocessing").items()
        if isinstance(stages, Mapping)
    }
    if not sizes:
        return []
    stages = list(next(iter(sizes.values())))
    rows = [(stage, *(f"{held[stage]:.2f}" for held in sizes.values())) for stage in stages]
    return [Table("Before the network, core-ms a picture", ("stage", *sizes), rows)]


def _measured(results: Results, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = results.get(name, {})
    return {} if "failed" in found else found


def _between(spread: Mapping[str, float], unit: float = 1.0, digits: int = 1) -> str:
    return f"{spread['low'] / unit:.{digits}f}-{spread['high'] / unit:.{digits}f}"


def _times(spread: Mapping[str, float] | None, digits: int = 1) -> str:
    return f"{spread['median']:.{digits}f}" if spread else ""


SECTIONS: dict[str, Callable[[Results], list[Table]]] = {
    "targets": of_targets,
    "limits": of_limits,
    "engines": of_engines,
    "preprocessing": of_preprocessing,
    "pipeline": of_pipeline,
    "intake": of_intake,
    "worklist": of_worklist,
    "case": of_case,
    "memory": of_memory,
    "scale-out": of_scale_out,
    "cost": of_cost,
}
