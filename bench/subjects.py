"""What there is to measure, each in a process of its own.

Of its own, because the settings know one database, engines bring threads, and what one subject
leaves behind must not be the next one's memory.

    python -m bench.subjects NAME FILE [--quick] [--images DIR]     # result as JSON in FILE
"""

import argparse
import inspect
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import machine

ROOT = Path(__file__).resolve().parents[1]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """A module's `measure`, what it is asked for, and what in its place on a quick look."""

    module: str
    says: str
    options: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)


SUBJECTS = {
    "limits": Subject("limits", "what the machine can do at best"),
    "engines": Subject("engines", "the network by engine and batch, against the paper's way"),
    "preprocessing": Subject("preprocessing", "what comes before the network", {}, {"rounds": 2}),
    "memory": Subject("memory", "start and memory of the worker"),
    "pipeline embedded": Subject(
        "pipeline", "upload to screen, SQLite", {"configuration": "embedded"}
    ),
    "pipeline hospital": Subject(
        "pipeline", "upload to screen, PostgreSQL and Redis", {"configuration": "hospital"}
    ),
    "intake": Subject("intake", "durable uploads", {}, {"seconds": 1.5}),
    "worklist": Subject(
        "worklist",
        "the worklist page as the archive grows",
        {"sizes": [1_000, 100_000, 1_000_000], "vendors": ["postgresql"]},
        {"sizes": [1_000, 10_000], "rounds": 10},
    ),
    "case": Subject("case", "the case page of a large case", {}, {"rounds": 5}),
    "scale_out": Subject(
        "scale_out",
        "more workers, until the database is the limit",
        {},
        {"workers": [1, 2], "count": 100},
    ),
}


def named(only: str) -> list[str]:
    """The subjects that a comma-separated list means, '' all; 'pipeline' means both of its kinds.

    Raises `ValueError` for a name that means nothing.
    """
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    known = {name.split()[0] for name in SUBJECTS} | set(SUBJECTS)
    if strange := [name for name in wanted if name not in known]:
        raise ValueError(f"{', '.join(strange)}: choose among {', '.join(SUBJECTS)}")
    return [s for s in SUBJECTS if not wanted or s in wanted or s.split()[0] in wanted]


def run(name: str, *, quick: bool, images: Path | None, folder: Path, say: Say) -> dict[str, Any]:
    """Measure one subject; its figures with the time it took and what ran beside it.

    One that falls over gives {"failed": its last words} and costs the others nothing.
    """
    file = folder / f"{name.replace(' ', '-')}.json"
    file.unlink(missing_ok=True)
    beside, began = machine.busy(), time.monotonic()
    command = [sys.executable, "-m", "bench.subjects", name, str(file)]
    command += ["--quick"] if quick else []
    command += ["--images", str(images)] if images else []
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    last = ""
    try:
        for line in process.stdout:
            if line.strip():
                last = line.strip()
                say(last)
        code = process.wait()
    finally:
        process.terminate()
        process.wait()
    found = json.loads(file.read_text()) if code == 0 else {"failed": last or f"code {code}"}
    return {**found, "seconds": time.monotonic() - began, "cores_busy_before": beside}


def measure(name: str, *, quick: bool, images: Path | None, say: Say) -> dict[str, Any]:
    """The subject's own `measure`, given those options that it takes."""
    subject = SUBJECTS[name]
    function = import_module(f"bench.{subject.module}").measure
    options = {"report": say, "quick": quick, "images": images, **subject.options}
    options |= subject.quick if quick else {}
    taken = inspect.signature(function).parameters
    found: dict[str, Any] = function(**{k: v for k, v in options.items() if k in taken})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=SUBJECTS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--images", type=Path)
    options = parser.parse_args()
    found = measure(options.name, quick=options.quick, images=options.images, say=_say)
    options.file.write_text(json.dumps(found, indent=1))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
