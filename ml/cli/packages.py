"""`python -m ml package …`: model packages, folders that prove themselves."""

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.console import console

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
