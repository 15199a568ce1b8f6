"""`python -m ml train`, `judge` and `evaluate`."""

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
    ] = Path("runs/fusion-2"),
    foreign: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Smears of another laboratory (*.jpg)."),
    ] = None,
    version: Annotated[str, typer.Option(help="Version to write into the package.")] = "2",
) -> None:
    """Teach the trunk and the head, judge the recipe on slides left out, write a package.

    Takes about an hour on two CPU cores; set KERAS_BACKEND=jax or torch where one of them finds
    a GPU (the last step, through the product's door, wants TensorFlow). Stop it at any time: the
    same command goes on from the last finished epoch. Example:

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
    _show_protocols(json.loads(package.document("figures.json")))


def judge(
    data: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="Folder with original/ and groups.csv."),
    ],
    out: Annotated[Path, typer.Option(help="Where report.html and the figures are written.")],
    package: Annotated[Path | None, typer.Option(help="Default: the committed package.")] = None,
    foreign: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Smears of another laboratory (*.jpg)."),
    ] = None,
    runs: Annotated[
        Path, typer.Option(help="Cached features and predictions; run again to go on.")
    ] = Path("runs/judge"),
) -> None:
    """Make every figure of the model card again: new heads, each kept from what it is judged on.

    The package's trunks, which never saw a label, speak of every picture once; then the recipe is
    judged by slide, by sitting and, as the paper did, by picture. About half an hour on two CPU
    cores. Ends with one report. Example:

    python -m ml judge --data ../shared/data/taleqani --foreign ../shared/data/bccd
    --out runs/report
    """
    from ml import packages, training  # noqa: PLC0415
    from ml.evaluation.report import write_report  # noqa: PLC0415

    with progress() as report:
        chosen = packages.verify(package or packages.COMMITTED)
        study = training.judge_again(
            chosen,
            data=data,
            elsewhere=foreign,
            runs=runs,
            plan=training.Plan(),
            report=report,
        )
        figures = training.measured(study, report=report)
        page = write_report(out, study, report=report)
    _show_protocols(figures)
    console.print(f"[green]Written[/] {page}")


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

    Slides of which the package was taught a picture are left out, so the figures stay honest
    when the data has grown. Beside each stands where the package's card said it would fall.
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
    if test is None:
        console.print("No picture got as far as the network.")
        return
    table = Table("figure", "value", "the card said", title=f"{test['pictures']} pictures")
    for name, row in figures["claims"].items():
        held = "" if row["held"] else " [red]outside[/]"
        table.add_row(name, f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}{held}")
    console.print(table)
    console.print(" · ".join(f"{count} {name}" for name, count in figures["outcomes"].items()))


def _show_protocols(figures: dict[str, Any]) -> None:
    """One column for each way of judging, side by side."""
    from ml.card import FIGURES, PROTOCOLS  # noqa: PLC0415

    shown = [name for name in PROTOCOLS if name in figures]
    table = Table("figure", *shown)
    for key, title in FIGURES.items():
        rows = [{**figures[name]["headline"], **figures[name]["further"]}[key] for name in shown]
        values = ("-" if row["value"] is None else f"{row['value']:.4f}" for row in rows)
        table.add_row(title, *values)
    console.print(table)
