"""`python -m ml train` and `evaluate`."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from ml.cli.console import console, progress


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
    with progress() as report:
        package = training.train(paths, training.Plan(version=version), report=report)
    console.print(f"[green]Written[/] {out}, digest {package.digest[:12]}…")
    _show_figures(json.loads((out / "figures.json").read_text()))


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

    with progress() as report:
        figures = judging.judge(package or COMMITTED, data=data, elsewhere=foreign, report=report)
    _show_figures(figures)
    if out is not None:
        out.write_text(json.dumps(figures, indent=1) + "\n")


def _weights(given: str) -> Path | Literal["imagenet"]:
    return "imagenet" if given == "imagenet" else Path(given)


def _show_figures(figures: dict[str, Any]) -> None:
    test = figures["test"]
    table = Table("figure", "value", "95 % interval", title=f"{test['pictures']} test pictures")
    for name, row in test["headline"].items():
        table.add_row(name, f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}")
    console.print(table)
    console.print(figures["warning"])
