"""`python -m ml read` and `synth`: one picture at a time, read or drawn."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ml.cli.console import console


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
