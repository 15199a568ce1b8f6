"""`python -m ml data …`: look at the pictures before believing a model."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ml.cli.console import console, progress

app = typer.Typer(no_args_is_help=True, help="Audit, group and split a folder of smears.")

Folder = Annotated[
    Path,
    typer.Argument(
        exists=True,
        file_okay=False,
        help="Holds Original/<class> and Segmented/<class> (Benign, Early, Pre, Pro).",
    ),
]
Groups = Annotated[
    Path | None,
    typer.Option(
        help="CSV of file,class,group[,session,sha256]. Default: DIR/groups.csv; else inferred."
    ),
]


class How(StrEnum):
    """The ways to split."""

    PAPER = "paper"
    GROUP = "group"


@app.command()
def audit(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("audit.html"),
    groups: Groups = None,
) -> None:
    """Write one HTML page: copies, overlaps, scale bars, colours, leaks and shortcuts.

    Takes a few minutes for 3,000 pictures. Example:

    python -m ml data audit ../shared/data/taleqani --out audit.html
    """
    from ml.data.audit import audit as look  # noqa: PLC0415
    from ml.data.findings import findings  # noqa: PLC0415
    from ml.data.page import render  # noqa: PLC0415

    colours = {"bad": "red", "warn": "yellow", "fine": "green"}
    with _in_words(), progress() as report:
        found = look(folder, groups, report=report)
    out.write_text(render(found), encoding="utf-8")
    for finding in findings(found):
        console.print(f"[{colours[finding.tone]}]•[/] {finding.headline}")
    console.print(f"[green]Written[/] {out}")


@app.command()
def split(
    folder: Folder,
    by: Annotated[
        How, typer.Option(help="paper: 7:2:1 by picture. group: whole slides, 60:20:20.")
    ] = How.GROUP,
    groups: Groups = None,
    seed: Annotated[int | None, typer.Option(help="Default: the one used for training.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write file,class,group,part as CSV.")] = None,
) -> None:
    """Print a split, and how much of its test part training has seen before.

    Takes a minute or two for 3,000 pictures, to find the fields that overlap.
    """
    from ml import data  # noqa: PLC0415
    from ml.data.leakage import as_fold, leakage  # noqa: PLC0415
    from ml.data.survey import survey  # noqa: PLC0415
    from ml.data.twins import find_twins  # noqa: PLC0415

    with _in_words(), progress() as report:
        examples = data.read_index(folder, groups, report=report)
        make = data.paper_split if by is How.PAPER else data.split
        parts = make(examples, seed=data.SEED if seed is None else seed)
        twins = find_twins(survey(examples, report=report), report=report)
    _show(data.summary(parts))
    leak = leakage(examples, as_fold(examples, parts), twins)
    console.print(
        f"Of {leak.pictures} test pictures, training holds: the same file for {leak.exact:.1%}, "
        f"the same field for {leak.field:.1%}, the same slide for {leak.group:.1%}, "
        f"the same sitting for {leak.session:.1%}."
    )
    if out is not None:
        rows = ((e.path.name, e.label, e.group, part) for part in parts for e in parts[part])
        _write(out, ("file", "class", "group", "part"), rows)


@app.command()
def groups(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The CSV to write.")] = Path("groups.csv"),
) -> None:
    """Infer which pictures are probably of one slide, and write it down as a groups.csv.

    Look it over, put it into DIR, and every other command will use it at once.
    """
    from ml.data.groups import infer  # noqa: PLC0415
    from ml.data.index import found_in  # noqa: PLC0415

    with _in_words(), progress() as report:
        examples = infer(found_in(folder, report=report), report=report)
    rows = ((e.path.name, e.path.parent.name, e.group, e.session, e.sha256) for e in examples)
    _write(out, ("file", "class", "group", "session", "sha256"), rows)


@contextmanager
def _in_words() -> Iterator[None]:
    """What is wrong with the folder, without a traceback."""
    from ml.data import DataLeaks, DataUnreadable  # noqa: PLC0415

    try:
        yield
    except (DataUnreadable, DataLeaks) as error:
        console.print(f"[red]Not done:[/] {error}")
        raise typer.Exit(1) from error


def _show(summary: dict[str, dict[str, dict[str, int]]]) -> None:
    table = Table("part", *next(iter(summary.values())), "all", title="pictures (slides)")
    for part, classes in summary.items():
        cells = [f"{held['pictures']} ({held['groups']})" for held in classes.values()]
        total = sum(held["pictures"] for held in classes.values())
        table.add_row(part, *cells, str(total))
    console.print(table)


def _write(out: Path, head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> None:
    with out.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(head)
        writer.writerows(rows)
    console.print(f"[green]Written[/] {out}")
