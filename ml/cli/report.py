"""`python -m ml report`."""

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.console import console, progress


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            help="What an experiment left: protocols.json and <protocol>.csv beside it.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Where report.html, figures.json and figures/ are written.")
    ] = Path("runs/report"),
    draws: Annotated[
        int, typer.Option(min=100, help="Bootstrap draws for each interval; fewer are faster.")
    ] = 2000,
) -> None:
    """Make one HTML page of figures from the predictions that an experiment left behind.

    Needs no model and no pictures: headline table with intervals, the paper's figures beside
    ours, confusion, ROC, calibration, every slide. About half a minute for three protocols.
    """
    from ml.evaluation import sections  # noqa: PLC0415
    from ml.evaluation.predictions import PredictionsUnreadable  # noqa: PLC0415
    from ml.evaluation.report import write_report  # noqa: PLC0415

    try:
        study = sections.read(folder)
    except (sections.SectionsUnreadable, PredictionsUnreadable) as error:
        console.print(f"[red]Not readable:[/] {error}")
        raise typer.Exit(1) from error
    with progress() as shown:
        written = write_report(out, study, report=shown, draws=draws)
    console.print(f"[green]Written[/] {written}")
