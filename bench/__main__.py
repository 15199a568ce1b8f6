"""Measure everything on this machine, in one run.

    make bench                                    # half an hour on two cores
    make bench ARGS="--quick"                     # two minutes: whether it works, not how fast
    make bench ARGS="--only engines,pipeline"

Writes results.json, results.png and results.svg into runs/bench. Ends with 1 when a part of it
could not be measured; a target that is not met is a finding, not a failure.
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Shown

from bench import machine, subjects, targets
from bench.tables import SECTIONS, Table

OUT = subjects.ROOT / "runs" / "bench"
COLOURS = {"met": "green", "not met": "red", "not measured": "dim"}
console = Console(width=None if sys.stdout.isatty() else 120)


def main() -> int:
    """Measure, keep, draw, print."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    run = _measured(options)
    file = options.out / "results.json"
    file.write_text(json.dumps(run, indent=1) + "\n")
    for section in SECTIONS.values():
        for table in section(run["subjects"]):
            console.print(_shown(table))
    drawn = _drawn(run, options.out)
    console.print(_machine(run))
    console.print(f"Kept: {', '.join(map(_short, [file, *drawn]))}")
    failed = {name: one["failed"] for name, one in run["subjects"].items() if "failed" in one}
    for name, why in failed.items():
        console.print(f"[red]{name} could not be measured:[/] {why}", highlight=False)
    return 1 if failed else 0


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    """Every subject in turn; nothing else of ours runs meanwhile."""
    began, found = time.monotonic(), {}
    run = {"taken": datetime.now(UTC).isoformat(timespec="minutes"), "quick": options.quick}
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("", total=len(options.only))
        for name in options.only:
            bars.update(task, description=subjects.SUBJECTS[name].says)

            def say(line: str, name: str = name) -> None:
                bars.console.print(f"[dim]{name}: {line}[/]", highlight=False)

            found[name] = subjects.run(
                name, quick=options.quick, images=options.images, folder=options.out, say=say
            )
            bars.advance(task)
    return {
        **run,
        "seconds": time.monotonic() - began,
        "machine": machine.facts(),
        "subjects": found,
        "targets": [
            {"name": one.name, "wanted": one.wanted, "value": one.value, "verdict": one.word}
            for one in targets.verdicts(found)
        ],
    }


def _shown(table: Table) -> Shown:
    shown = Shown(title=table.title, title_justify="left")
    for number, heading in enumerate(table.head):
        shown.add_column(heading, justify="right" if number else "left")
    for row in table.rows:
        shown.add_row(*(f"[{COLOURS[c]}]{c}[/]" if c in COLOURS else c for c in row))
    return shown


def _drawn(run: dict[str, Any], folder: Path) -> list[Path]:
    from bench.plot import draw  # noqa: PLC0415 - a second

    return draw(run["subjects"], [folder / "results.png", folder / "results.svg"])


def _machine(run: dict[str, Any]) -> str:
    facts = run["machine"]
    beside = max(one["cores_busy_before"] for one in run["subjects"].values())
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, "
        f"{' '.join(facts['instructions'])}; beside it at most {beside:.1f} cores were busy; "
        f"{run['seconds'] / 60:.1f} minutes"
    )


def _short(path: Path) -> str:
    whole = path.resolve()
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(whole)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure on this machine.")
    parser.add_argument("--quick", action="store_true", help="a first look, two minutes")
    parser.add_argument("--only", default="", help=f"some of: {', '.join(subjects.SUBJECTS)}")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the results")
    parser.add_argument("--images", type=Path, help="folder of pictures (else real, else drawn)")
    options = parser.parse_args()
    try:
        options.only = subjects.named(options.only)
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    sys.exit(main())
