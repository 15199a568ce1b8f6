"""The fault drill: microscopes send, and a gremlin breaks every process at every step meanwhile.

    python -m tests.drills faults --images 10000 --seed 7
    python -m tests.drills faults --images 300 --only steps,store

Starts the processes of docker/compose.yml on PostgreSQL, Redis and a store of objects, one of two
workers in a network of its own. Ends with 1, and names the pictures and events concerned, if any
picture is lost, double or unexplained, or any event was not told exactly once.
"""

import argparse
import contextlib
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from devices.simulator.ledger import tables
from tests.drills.faults.drill import Drilled, Wanted, drill
from tests.drills.faults.gremlin import KINDS
from tests.drills.faults.steps import STEPS


def main(arguments: Sequence[str]) -> int:
    """The drill; returns 0 if the account is clean."""
    options = _options(arguments)
    # So that who is told to end leaves no network and no file system behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(f"seed {options.seed}", highlight=False)
    wanted = Wanted(
        images=options.images,
        seed=options.seed,
        microscopes=options.microscopes,
        per_minute=options.per_minute,
        truly=options.true,
        webs=options.webs,
        faults=options.faults,
        only=frozenset(options.only),
    )
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="leukolens-faults-"))
        )
        folder.mkdir(parents=True, exist_ok=True)
        found = drill(folder, console, wanted)
    tell(found, console)
    return 0 if found.account.clean else 1


def tell(found: Drilled, console: Console) -> None:
    """The figures, what was broken, and what is wrong."""
    for table in tables(found.ledger):
        console.print(table)
    for name, many in sorted(found.done.items()):
        console.print(f"{many:5} x {name}", highlight=False, markup=False)
    for name in STEPS:
        console.print(f"{found.struck[name]:5} x struck at '{name}'", highlight=False)
    for name, many in found.account.figures.items():
        console.print(f"{many:7} {name}", highlight=False)
    for number, one in enumerate(found.heard, 1):
        console.print(
            f"screen {number}: {len(one.seen)} events told over {one.lines} lines; again after a "
            f"lost line, and dropped by their id: {sum(one.again.values())}; twice over one line: "
            f"{sum(one.twice.values())}; read everything anew: {len(one.read_whole)}",
            highlight=False,
        )
    for sentence in found.account.wrong[:40]:
        console.print(sentence, style="red", markup=False)
    console.print(
        "Most pictures were read by an engine that the drill brings; the figures above say how "
        f"many by the true package. worker-2 lived in {found.island}. {found.seconds:.0f} s."
    )
    good = found.account.clean
    console.print("Held." if good else "NOT held.", style="green" if good else "bold red")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.drills faults", description=__doc__)
    parser.add_argument("--images", type=int, default=300, help="all microscopes together")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--microscopes", type=int, default=10)
    parser.add_argument("--per-minute", type=float, default=40.0, help="of each microscope")
    parser.add_argument("--true", type=int, default=200, help="about so many by the true package")
    parser.add_argument("--webs", type=int, default=1, help="web processes at one address")
    parser.add_argument(
        "--faults", type=float, default=0.03, help="probability of each on the wire"
    )
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=list(KINDS),
        help=f"of: {','.join(KINDS)}",
    )  # fmt: skip
    parser.add_argument("--keep", type=Path, help="folder for everything, not removed at the end")
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(KINDS):
        parser.error(f"there is no kind {', '.join(sorted(unknown))}")
    return options
