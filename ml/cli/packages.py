"""`python -m ml package …`: model packages, folders that prove themselves."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ml import card
from ml.cli.console import console, progress

app = typer.Typer(no_args_is_help=True, help="Model packages: folders that prove themselves.")


@app.command()
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


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The package.")],
    data: Annotated[
        Path,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Its training pictures: Original/<class>, groups.csv.",
        ),
    ],
    version: Annotated[str, typer.Option(help="Version to write into the package.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the new version is written; default: in its place.")
    ] = None,
    runs: Annotated[
        Path, typer.Option(help="What was answered so far; run again to go on.")
    ] = Path("runs/export"),
) -> None:
    """Make the package's CPU engine, check it on every picture, write a new version of the package.

    Measures the ranges that 8-bit integers need on 256 of the pictures, then asks TensorFlow and
    the CPU engine in each precision about all of them. A precision is allowed where it agrees; if
    none does, nothing is written. Weights stay as they are, to the byte. About ten minutes for
    2,778 pictures on two cores. Example:

    python -m ml package export ml/package/leukolens-fusion-2 --version 2.1
    --data ../shared/data/taleqani
    """
    from ml import packages, samples  # noqa: PLC0415
    from ml.data import DataUnreadable, read_index  # noqa: PLC0415
    from ml.engines import making  # noqa: PLC0415

    try:
        with progress() as report:
            package = packages.verify(folder)
            held = samples.prepared(read_index(data, report=report), report)
            made = making.export(
                package, held, out=out or folder, version=version, folder=runs, report=report
            )
    except (packages.PackageTampered, DataUnreadable, making.ExportDisagrees) as error:
        console.print(f"[red]Cannot export:[/] {error}")
        raise typer.Exit(1) from error
    figures = json.loads(made.document("figures.json"))["engines"]
    console.print(_table("Against TensorFlow", card.ENGINE_HEAD, card.engine_rows(figures)))
    console.print(f"[green]Written[/] {made.folder}, digest {made.digest[:12]}…")


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Package A.")],
    b: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Package B.")],
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True, file_okay=False, help="Labelled pictures: Original/<class>, groups.csv."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Write everything here as JSON.")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with the changed pictures here (HTML).")
    ] = None,
) -> None:
    """Both packages read the same labelled pictures: which is better, and on which pictures.

    Says how sure the difference is (drawing whole slides anew), lists every picture whose answer
    changed and who was right, and warns of slides that either was trained on. Both packages must
    have been trained behind this program's preprocessing. Takes some minutes for 2,778 pictures.
    """
    from ml import comparison, comparison_page, packages, reading  # noqa: PLC0415
    from ml.data import DataUnreadable, read_index  # noqa: PLC0415

    try:
        readers = []
        for name, path in (("A", a), ("B", b)):
            try:
                readers.append(reading.load(path))
            except reading.PackageNeedsOtherPreprocessing as error:
                raise typer.BadParameter(
                    f"{error}. Only packages behind the same preprocessing can be compared here: "
                    "run `python -m ml evaluate --out` for each in the program it came with, and "
                    "hold the figures side by side.",
                    param_hint=f"package {name}",
                ) from error
        with progress() as report:
            examples = read_index(folder, report=report)
            result = comparison.compare(readers[0], readers[1], examples, report=report)
    except (packages.PackageTampered, DataUnreadable, comparison.NothingToCompare) as error:
        console.print(f"[red]Cannot compare:[/] {error}")
        raise typer.Exit(1) from error
    _show(result)
    if out is not None:
        out.write_text(json.dumps(result, indent=1) + "\n")
    if page is not None:
        page.write_text(comparison_page.write(result, examples), encoding="utf-8")


CHANGED_SHOWN = 30


def _show(result: dict[str, Any]) -> None:
    from ml import comparison_page as words  # noqa: PLC0415

    for side in ("a", "b"):
        console.print(words.title(result, side))
    for sentence in result["warnings"]:
        console.print(f"[red]Mind:[/] {sentence}")
    blocks = {"Slides new to both": result["unseen"], "All pictures": result["all"]}
    if result["unseen"] in (None, result["all"]):
        blocks = {"All pictures": result["all"]}
    for name, block in blocks.items():
        console.print(_table(f"{name}", words.FIGURE_HEAD, list(words.figure_lines(block))))
        console.print(words.right_line(block))
    changed = list(words.changed_lines(result))
    if changed:
        shown = f" (first {CHANGED_SHOWN})" if len(changed) > CHANGED_SHOWN else ""
        heading = f"{len(changed)} changed answers{shown}"
        console.print(_table(heading, words.CHANGED_HEAD, changed[:CHANGED_SHOWN]))
    console.print(result["method"])


def _table(title: str, head: tuple[str, ...], rows: list[list[str]]) -> Table:
    table = Table(*head, title=title)
    table.columns[0].overflow = "fold"  # a file's name ends in what tells it from the next
    for row in rows:
        table.add_row(*row)
    return table
