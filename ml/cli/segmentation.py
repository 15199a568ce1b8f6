"""`python -m ml segmentation …`: how the cells are found, held against what was published."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ml.cli.console import console, progress

app = typer.Typer(no_args_is_help=True, help="Finding cells: ours, the paper's, the published.")


@app.callback()
def _group() -> None:
    """Finding cells: ours, the paper's, the published."""


@app.command()
def compare(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True, file_okay=False, help="Holds Original/<class> and Segmented/<class>."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with examples here (HTML, one file).")
    ] = None,
) -> None:
    """Our segmentation and the paper's threshold against the published twins, class by class.

    IoU is the agreement with the published mask. That mask is no truth: it was made by a
    threshold that finds next to nothing in pale Pro-B fields, so look at 'nothing found' and
    the area beside it. Takes a minute for 2,778 fields. Example:

    python -m ml segmentation compare ../shared/data/taleqani --page segmentation.html
    """
    from ml import published  # noqa: PLC0415
    from ml.data import DataUnreadable, read_index  # noqa: PLC0415

    with progress() as report:
        try:
            fields = published.compare(read_index(folder, report=report), report=report)
        except (DataUnreadable, published.NoTwins) as error:
            console.print(f"[red]Cannot compare:[/] {error}")
            raise typer.Exit(1) from error
        summed = published.summary(fields)
        html = published.write_page(fields, summed, report=report) if page else ""
    _show(published.HEAD, list(published.lines(summed)))
    if out is not None:
        out.write_text(json.dumps(summed, indent=1) + "\n")
    if page is not None:
        page.write_text(html, encoding="utf-8")


def _show(head: tuple[str, ...], rows: list[list[str]]) -> None:
    """Turned on its side: classes are columns, so that it fits a terminal."""
    table = Table("", *(row[0] for row in rows), title="Segmentation, median (quartiles)")
    for number, name in enumerate(head[1:], start=1):
        table.add_row(name, *(row[number] for row in rows))
    console.print(table)
