"""Puts the figures of a run into docs/performance.md, between their marks.

    python -m bench.page runs/bench/results.json [--into docs/performance.md]

What stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` is written by this and by
nobody else; the words around it are a person's.
"""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import cost
from bench.plot import draw, drawable
from bench.tables import SECTIONS, Table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
PLOT = "images/performance.svg"
MARKED = re.compile(r"(<!-- bench:([\w-]+) -->\n).*?(<!-- /bench:\2 -->)", re.DOTALL)
UNMEASURED = "Not measured in the run that this page was made from.\n"


def filled(text: str, run: Mapping[str, Any]) -> str:
    """The page with every marked section rendered from the run; LookupError for a strange mark."""
    return MARKED.sub(lambda mark: mark[1] + section(mark[2], run) + mark[3], text)


def section(name: str, run: Mapping[str, Any]) -> str:
    """One section's Markdown, ending with a line break."""
    results = run["subjects"]
    if name == "machine":
        return machine(run)
    if name == "plot":
        return f"![Engines, waiting times, throughput]({PLOT})\n" if drawable(results) else ""
    tables = SECTIONS[name](results)
    parts = [markdown(table) for table in tables]
    if name == "cost" and tables:
        parts.insert(0, cost.sentence(results["pipeline hospital"]["cpu_ms"]) + "\n")
    return "\n".join(parts) if parts else UNMEASURED


def machine(run: Mapping[str, Any]) -> str:
    """What the figures were taken on, when, and what ran beside."""
    facts = run["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    whose = {one["pictures"] for one in run["subjects"].values() if "pictures" in one}
    beside = [one["cores_busy_before"] for one in run["subjects"].values()]
    lines = [
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB; "
        f"{', '.join(facts['instructions']) or 'no wide instructions'}.",
        f"{facts['system']}; {versions}.",
        f"Taken {run['taken']}{', a quick look' if run['quick'] else ''}, "
        f"in {run['seconds'] / 60:.0f} minutes; pictures: {'; '.join(sorted(whose)) or 'none'}.",
        f"Before each part others kept {min(beside):.1f} to {max(beside):.1f} cores busy."
        if beside
        else "Nothing was measured.",
    ]
    return "".join(f"- {line}\n" for line in lines)


def markdown(table: Table) -> str:
    """The table with its title; figures to the right."""
    rule = ["---", *["---:"] * (len(table.head) - 1)]
    rows = [table.head, rule, *table.rows]
    lines = [f"| {' | '.join(cell or ' ' for cell in row)} |" for row in rows]
    return f"**{table.title}**\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="of `make bench`")
    parser.add_argument("--into", type=Path, default=PAGE)
    options = parser.parse_args()
    run = json.loads(options.results.read_text())
    text = options.into.read_text()
    options.into.write_text(filled(text, run))
    if "<!-- bench:plot -->" in text:
        draw(run["subjects"], [options.into.parent / PLOT])
    print(f"{options.into} holds the figures of {run['taken']}")


if __name__ == "__main__":
    main()
