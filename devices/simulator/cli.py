"""The command line: `leukolens-simulator`, or `python -m devices.simulator`."""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .faults import SAID, Faults
from .fleet import Fleet, Standing
from .ledger import Fate, Ledger, drawn_up, tables, troubles
from .pictures import NoPictures
from .plan import KEY_VARIABLE, BadPlan, FleetPlan, dealt, read_keys, read_plan

app = typer.Typer(add_completion=False)
FAULT_NAMES = ", ".join(name.replace("_", "-") for name in SAID)


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - each is a flag
    pictures: Annotated[
        Path | None, typer.Argument(help="Folder of pictures; without one smears are drawn.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where Leukolens runs; http://127.0.0.1:8000 by itself.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The fleet in a file, TOML or JSON; see docs/simulator.md.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help=f"A microscope's key; several times for several. Better: {KEY_VARIABLE}"),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="A file with a microscope a line: 'name key'.")
    ] = None,
    accession: Annotated[
        list[str] | None, typer.Option(help="An accession number; may be given several times.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Pictures for each microscope.")] = None,
    duration: Annotated[
        float | None, typer.Option(help="Or: take pictures for so long, s.")
    ] = None,
    per_minute: Annotated[
        float, typer.Option(min=0, help="Pictures a minute for each; 0: as fast as it can.")
    ] = 0.0,
    faults: Annotated[
        float | None, typer.Option(min=0, max=1, help="The probability of every fault.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help=f"One fault's probability, 'slow=0.2'. There are: {FAULT_NAMES}"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same gives the same run again.")] = None,
    pace: Annotated[
        int | None, typer.Option(min=100, help="Bytes a second of a slow line.")
    ] = None,
    longest_wait: Annotated[
        float | None, typer.Option(help="Seconds between attempts, at most; 600 by itself.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="Folder to work in and keep; given again, it goes on there."),
    ] = None,
    ledger: Annotated[Path | None, typer.Option(help="Write the ledger there, as JSON.")] = None,
) -> None:
    """Simulate microscopes on a network that misbehaves, and account for every picture.

    Ends with 1 if a picture is lost, double or unexplained.
    """
    console = Console()
    said: dict[str, Any] = {
        "url": url.rstrip("/") if url else None,
        "duration": duration,
        "seed": seed,
        "pace": pace,
        "longest_wait": longest_wait,
    }
    said = {name: value for name, value in said.items() if value is not None}
    try:
        if config:
            plan = read_plan(config, **said)
        else:
            same = {
                "accessions": tuple(accession or ()),
                "pictures": pictures,
                "count": count,
                "per_minute": per_minute,
            }
            said.setdefault("url", "http://127.0.0.1:8000")
            plan = FleetPlan(microscopes=dealt(_keys(key or [], keys), **same), **said)
        plan = _with_faults(plan, faults, fault or [])
        drawn = simulated(plan, keep, console, ledger)
    except (BadPlan, NoPictures, ValueError) as error:
        console.print(str(error), markup=False, style="red")
        raise typer.Exit(2) from error
    raise typer.Exit(0 if drawn.sound else 1)


def main() -> None:
    """The command."""
    app()


def simulated(
    plan: FleetPlan,
    keep: Path | None,
    console: Console,
    written: Path | None = None,
    *,
    watch: Callable[[Standing], None] = lambda standing: None,
) -> Ledger:
    """Run the fleet, draw up its ledger, print it.

    Args:
        keep: the folder to work in; None: one that is removed when all is well.
        written: where the ledger goes as JSON, if anywhere.
        watch: is told how far the fleet is, twice a second.

    Raises:
        NoPictures: there is nothing to photograph.
    """
    folder = keep or Path(tempfile.mkdtemp(prefix="leukolens-simulator-"))
    folder.mkdir(parents=True, exist_ok=True)
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console,
    )  # fmt: skip
    with bars:
        shown = _Shown(bars)

        def look(standing: Standing) -> None:
            shown.standing(standing)
            watch(standing)

        try:
            outcome = Fleet(plan, folder).run(watch=look)
        except NoPictures:
            if not keep:
                shutil.rmtree(folder)
            raise
        ledger = drawn_up(plan, folder, outcome, patience=plan.patience, watch=shown.ledger)
    for table in tables(ledger):
        console.print(table)
    for sentence in troubles(ledger):
        console.print(sentence, style="red", markup=False)
    for name, how in ledger.endings.items():
        if how != "done":
            console.print(f"{name}: {how}", style="yellow", markup=False)
    if written:
        ledger.write(written)
    if ledger.sound and not keep and not ledger.count(Fate.WAITING):
        shutil.rmtree(folder)
    else:
        console.print(f"The microscopes' folders: {folder}", markup=False)
    return ledger


class _Shown:
    """Progress on the screen."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._taken = bars.add_task("taken", total=None)
        self._settled = bars.add_task("delivered or refused", total=None)
        self._asked = bars.add_task("reported or refused", total=None)

    def standing(self, standing: Standing) -> None:
        """While the microscopes work."""
        self._bars.update(self._taken, completed=standing.taken, total=standing.wanted)
        self._bars.update(
            self._settled,
            completed=standing.delivered + standing.refused,
            total=standing.wanted or standing.taken,
        )

    def ledger(self, ledger: Ledger) -> None:
        """While the hospital does."""
        pending = ledger.count(Fate.PENDING)
        self._bars.update(
            self._asked, completed=len(ledger.lines) - pending, total=len(ledger.lines)
        )


def _keys(given: list[str], file: Path | None) -> list[tuple[str, str]]:
    """Names and keys of the microscopes: from a file, the flags, or the environment."""
    if file:
        return read_keys(file)
    found = given or os.environ.get(KEY_VARIABLE, "").split()
    return [(f"microscope-{number}", key) for number, key in enumerate(found, 1)]


def _with_faults(plan: FleetPlan, all_of_them: float | None, single: list[str]) -> FleetPlan:
    """The plan, its faults changed by what the flags say."""
    faults = plan.faults if all_of_them is None else Faults.all(all_of_them)
    changes = dict(one.partition("=")[::2] for one in single)
    return replace(plan, faults=faults.changed({n: float(v) for n, v in changes.items()}))
