"""`python -m ml read`, `explain` and `synth`: single pictures, read, explained or drawn."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ml.classes import Class
from ml.cli.console import console, progress


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


def explain(
    pictures: Annotated[list[Path], typer.Argument(help="JPEG, PNG or TIFF files.")],
    out: Annotated[Path, typer.Option(help="Folder for the sheets; made when missing.")],
    package: Annotated[Path | None, typer.Option(help="Default: the committed package.")] = None,
    label: Annotated[
        Class | None, typer.Option(help="Explain this class instead of the likeliest.")
    ] = None,
    opacity: Annotated[
        float, typer.Option(min=0, max=1, help="Of the strongest colour of the overlay.")
    ] = 0.7,
) -> None:
    """Where the model looked: writes NAME.explained.png beside words and shares for each picture.

    'VGG16 in cells' is how much of what it found for the answer lies inside the cells that were
    found. Hold it beside 'by chance', the part of the picture that cells cover: a model that does
    not look at cells more than by chance reads the glass, the stain or the lamp. DenseNet is shown
    the cells alone: 'cells for it' are those in which it found something for the answer. The maps
    show where the model looked, not where the disease is.
    """
    from ml import explanation, sheet  # noqa: PLC0415
    from ml.card import NAMES  # noqa: PLC0415
    from ml.images import decode, encode_png  # noqa: PLC0415
    from ml.reading import load  # noqa: PLC0415

    reader = load(package)
    out.mkdir(parents=True, exist_ok=True)
    table = Table("picture", "outcome", "explained", "VGG16 in cells", "by chance", "cells for it")
    with progress() as report:
        for done, path in enumerate(pictures, start=1):
            picture = decode(path.read_bytes())
            (reading,) = reader.read([picture])
            try:
                why = explanation.explain(reader, picture, label=label)
            except explanation.NothingToExplain as refused:
                table.add_row(path.name, reading.outcome.value, str(refused), "-", "-", "-")
                continue
            title = f"{path.name}: {NAMES[why.label]} ({reading.outcome.value})"
            drawn = sheet.draw(picture, reading.segmentation, why, title=title, opacity=opacity)
            (out / f"{path.stem}.explained.png").write_bytes(encode_png(drawn))
            share, chance = why.original.share, f"{why.original.by_chance:.0%}"
            row = ["-" if share is None else f"{share:.0%}", chance, sheet.votes(why)]
            table.add_row(path.name, reading.outcome.value, why.label.value, *row)
            report("explaining", done, len(pictures))
    console.print(table)
    console.print(f"{explanation.WORDS} Sheets in {out}")


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
