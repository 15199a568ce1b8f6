"""The data scientist's command line: `python -m ml --help`.

Heavy modules are imported inside the commands, so that `--help` answers at once.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

Report = Callable[[str, int, int], None]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Train, judge, verify and try the leukaemia-screening model. Not a diagnosis.",
)
package_app = typer.Typer(
    no_args_is_help=True, help="Model packages: folders that prove themselves."
)
app.add_typer(package_app, name="package")
console = Console()


@app.command()
def train(
    data: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="Folder with original/ and groups.csv."),
    ],
    weights: Annotated[
        str, typer.Option(help="VGG16 weights file (without top), or 'imagenet' to download.")
    ] = "imagenet",
    densenet_weights: Annotated[
        str | None,
        typer.Option(help="DenseNet-121 weights file or 'imagenet'; left out, it is taught here."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the package is written.")] = Path("runs/package"),
    runs: Annotated[
        Path, typer.Option(help="Checkpoints and cached features; run again to go on.")
    ] = Path("runs/fusion-1"),
    foreign: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Smears of another laboratory (*.jpg)."),
    ] = None,
    version: Annotated[str, typer.Option(help="Version to write into the package.")] = "1",
) -> None:
    """Train on whole slides, calibrate, judge on slides never seen, write a package.

    Takes about 45 minutes on two CPU cores. Stop it at any time: the same command goes on
    from the last finished epoch. Example:

    python -m ml train --data ../shared/data/taleqani
    --weights ../shared/weights/vgg16_imagenet_notop.weights.h5
    """
    from ml import training  # noqa: PLC0415

    paths = training.Paths(
        data=data,
        out=out,
        runs=runs,
        vgg16=_weights(weights),
        densenet121=_weights(densenet_weights) if densenet_weights else None,
        foreign=foreign,
    )
    with _progress() as report:
        package = training.train(paths, training.Plan(version=version), report=report)
    console.print(f"[green]Written[/] {out}, digest {package.digest[:12]}…")
    _show_figures(json.loads((out / "figures.json").read_text()))


@app.command()
def evaluate(
    data: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="Folder with original/ and groups.csv."),
    ],
    package: Annotated[Path | None, typer.Option(help="Default: the committed package.")] = None,
    foreign: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Smears of another laboratory (*.jpg)."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
) -> None:
    """Measure a package on slides it has never seen, through the door that the product uses.

    Slides that the package names as trained or tuned on are left out, so the figures stay
    honest when the data has grown.
    """
    from ml import judging  # noqa: PLC0415
    from ml.packages import COMMITTED  # noqa: PLC0415

    with _progress() as report:
        figures = judging.judge(package or COMMITTED, data=data, elsewhere=foreign, report=report)
    _show_figures(figures)
    if out is not None:
        out.write_text(json.dumps(figures, indent=1) + "\n")


@app.command()
def read(
    pictures: Annotated[list[Path], typer.Argument(help="JPEG, PNG or TIFF files.")],
    package: Annotated[Path | None, typer.Option(help="Default: the committed package.")] = None,
) -> None:
    """What the model says of each picture: outcome, probability of every class, familiarity."""
    from ml.classes import CLASSES  # noqa: PLC0415
    from ml.images import decode  # noqa: PLC0415
    from ml.reading import load  # noqa: PLC0415

    reader = load(package)
    console.print(f"{reader.package.name} {reader.package.version}, {reader.engine}")
    table = Table("picture", "outcome", *(label.value for label in CLASSES), "familiarity")
    for path, reading in zip(
        pictures, reader.read([decode(path.read_bytes()) for path in pictures]), strict=True
    ):
        shares = reading.probabilities or {}
        cells = [f"{shares[label]:.1%}" if label in shares else "-" for label in CLASSES]
        said = reading.outcome.value + (f" ({reading.quality.code})" if not shares else "")
        table.add_row(path.name, said, *cells, f"{reading.familiarity:.2f}")
    console.print(table)


@app.command()
def synth(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when missing.")],
    count: Annotated[int, typer.Option(min=1, help="How many smears.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed draws the same smears.")] = 0,
    size: Annotated[int, typer.Option(min=64, help="Pixels a side.")] = 512,
    flawed: Annotated[
        float, typer.Option(min=0, max=1, help="Share that is blurred, dark or over-exposed.")
    ] = 0.0,
) -> None:
    """Draw smears to try the product with: marked as synthetic, never to be trained on."""
    from ml import synthetic  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(synthetic.catalogue(count, seed=seed, size=size, flawed=flawed)):
        name = f"synthetic-{seed}-{number:04d}{'-' + one.flaw if one.flaw else ''}.png"
        synthetic.write(folder / name, one.rgb)
    console.print(f"{count} synthetic smears in {folder}")


@package_app.command()
def verify(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The package.")],
) -> None:
    """Check every file of a package against its manifest; exit 1 naming the first that differs."""
    from ml import packages  # noqa: PLC0415

    try:
        package = packages.verify(folder)
    except packages.PackageTampered as error:
        console.print(f"[red]Not to be trusted:[/] {error}")
        raise typer.Exit(1) from error
    console.print(f"[green]Intact:[/] {package.name} {package.version}, digest {package.digest}")


def _weights(given: str) -> Path | Literal["imagenet"]:
    return "imagenet" if given == "imagenet" else Path(given)


@contextmanager
def _progress() -> Iterator[Report]:
    """A progress bar for each thing being done; plain lines where there is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=console) as progress:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
                if not console.is_terminal:
                    console.print(what)
            progress.update(tasks[what], completed=done, total=total)

        yield report


def _show_figures(figures: dict[str, Any]) -> None:
    test = figures["test"]
    table = Table("figure", "value", "95 % interval", title=f"{test['pictures']} test pictures")
    for name, row in test["headline"].items():
        table.add_row(name, f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}")
    console.print(table)
    console.print(figures["warning"])
