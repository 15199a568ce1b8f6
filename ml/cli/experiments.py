"""`python -m ml experiment …`: the paper's tables run again, and the model's rivals."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ml.cli.console import console, progress

app = typer.Typer(no_args_is_help=True, help="The paper's tables, and rivals on the same folds.")

Data = Annotated[
    Path,
    typer.Option(exists=True, file_okay=False, help="Folder with original/ and groups.csv."),
]


@app.command("paper-tables")
def paper_tables(
    data: Data,
    weights: Annotated[
        str, typer.Option(help="VGG16 weights file (without top), or 'imagenet' to download.")
    ] = "imagenet",
    densenet_weights: Annotated[
        str,
        typer.Option(
            help="DenseNet-121: 'imagenet', a weights file (without top), or, where neither can "
            "be had, a taught trunk (.keras) or a model package's folder."
        ),
    ] = "imagenet",
    resnet50: Annotated[
        str | None, typer.Option(help="ResNet50 weights (without top) or 'imagenet'.")
    ] = None,
    mobilenet: Annotated[
        str | None, typer.Option(help="MobileNet weights (without top) or 'imagenet'.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many draws of the paper's split.")] = 5,
    level: Annotated[
        bool, typer.Option(help="Not the paper's: bring trunks that are not alike to one loudness.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Tables, features and heads; run again to go on.")
    ] = Path("runs/paper-tables"),
) -> None:
    """Tables 4 and 5 by the paper's recipe: its split and whole slides, with and without the bar.

    A row whose weights are not at hand says so. What a trunk was given instead of ImageNet's
    weights stands beside its name. Stop it at any time: the same command goes on.
    `python -m ml report OUT/paper-study` makes figures like the paper's 6 to 9 of it. Example:

    python -m ml experiment paper-tables --data ../shared/data/taleqani
    --weights ../shared/weights/vgg16_imagenet_notop.weights.h5
    --densenet-weights ml/package/leukolens-fusion-2
    """
    from ml.data import read_index  # noqa: PLC0415
    from ml.experiments import paper_page  # noqa: PLC0415
    from ml.experiments.paper import LEVELLED, PAPER, Trunk  # noqa: PLC0415
    from ml.experiments.paper_tables import Settings, run  # noqa: PLC0415
    from ml.experiments.trunks import load  # noqa: PLC0415

    settings = Settings(LEVELLED if level else PAPER, tuple(range(seeds)))
    sources: dict[Trunk, str | None] = {
        "vgg16": weights,
        "densenet121": densenet_weights,
        "resnet50": resnet50,
        "mobilenet": mobilenet,
    }
    with _in_words(), progress() as report:
        examples = read_index(data, report=report)
        frozen = {name: load(name, sources[name], settings.recipe) for name in sources}
        result = run(examples, frozen, settings=settings, folder=out, report=report)
    _show(paper_page.ACCURACY_HEAD, paper_page.accuracy_lines(result), "Accuracy, %")
    _show(paper_page.REPORT_HEAD, paper_page.report_lines(result), "Classification report, %")
    _show(paper_page.FUSIONS_HEAD, paper_page.fusion_lines(result), "Fusions, %")
    _show(("trunk", "weights"), paper_page.origin_lines(result), "Whose weights")
    console.print(paper_page.summary(result))
    _write(out / f"{settings.recipe.name}-tables.html", paper_page.write(result))


@app.command()
def leaderboard(
    data: Data,
    package: Annotated[
        Path | None, typer.Option(help="Whose trunks are asked. Default: the committed package.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A classifier's short name; give it again for more.")
    ] = None,
    cnn: Annotated[
        bool, typer.Option(help="Also teach a small CNN from nothing: minutes for every fold.")
    ] = True,
    out: Annotated[
        Path, typer.Option(help="Tables, features and answers; run again to go on.")
    ] = Path("runs/leaderboard"),
) -> None:
    """Table 6's families of classifiers on the same features: by picture, by slide, by sitting.

    SVM, nearest neighbours, random forest, gradient boosting, PCA and SVM, the dense head, each
    trunk alone, colour alone, a small CNN. Stop it at any time: the same command goes on. Example:

    python -m ml experiment leaderboard --data ../shared/data/taleqani
    """
    from ml import packages  # noqa: PLC0415
    from ml.data import read_index  # noqa: PLC0415
    from ml.experiments import leaderboard as board  # noqa: PLC0415
    from ml.experiments import leaderboard_page  # noqa: PLC0415
    from ml.experiments.classifiers import chosen  # noqa: PLC0415
    from ml.experiments.trunks import shipped  # noqa: PLC0415

    with _in_words(), progress() as report:
        families = chosen(only, slow=cnn)
        held = packages.verify(package or packages.COMMITTED)
        result = board.run(
            read_index(data),
            shipped(held),
            origin=f"package {held.name} {held.version} ({held.digest[:12]})",
            families=families,
            folder=out,
            report=report,
        )
    for by in result["folds"]:
        rows = leaderboard_page.lines(result, by)
        _show(leaderboard_page.HEAD, rows, f"Judged {leaderboard_page.WAYS[by]}, %")
    console.print(leaderboard_page.colour_note(result))
    _write(out / "leaderboard.html", leaderboard_page.write(result))


@app.command()
def recognition(
    data: Data,
    weights: Annotated[
        str, typer.Option(help="VGG16 weights file (without top), or 'imagenet' to download.")
    ] = "imagenet",
    package: Annotated[
        Path | None, typer.Option(help="Whose trunks are asked. Default: the committed package.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many draws of the paper's split.")] = 5,
    out: Annotated[Path, typer.Option(help="Features and figures; run again to go on.")] = Path(
        "runs/recognition"
    ),
) -> None:
    """How far the paper's protocol can be pushed, and what that is worth on another slide.

    An SVM on frozen trunks, eight views a picture, the scale bar left in: made to know slides
    again. About twenty minutes on two cores, once. Example:

    python -m ml experiment recognition --data ../shared/data/taleqani
    --weights ../shared/weights/vgg16_imagenet_notop.weights.h5
    """
    from ml import packages  # noqa: PLC0415
    from ml.data import read_index  # noqa: PLC0415
    from ml.experiments import recognition as experiment  # noqa: PLC0415
    from ml.experiments.trunks import shipped  # noqa: PLC0415

    source = weights if weights == "imagenet" else Path(weights)
    with _in_words(), progress() as report:
        examples = read_index(data, report=report)
        vgg16 = experiment.blocks(source)  # type: ignore[arg-type]
        trunks = shipped(packages.verify(package or packages.COMMITTED))
        said = experiment.seen(examples, vgg16, trunks, folder=out / "features", report=report)
        result = experiment.run(examples, said, seeds=range(seeds), report=report)
    for way, title in experiment.WAYS.items():
        _show(experiment.HEAD, experiment.lines(result, way), title)
    console.print(f"[green]Written[/] {experiment.write(result, out)}")


@contextmanager
def _in_words() -> Iterator[None]:
    """What is wrong with the data or the weights, without a traceback."""
    from ml.data import DataLeaks, DataUnreadable  # noqa: PLC0415
    from ml.experiments.classifiers import UnknownFamily  # noqa: PLC0415
    from ml.experiments.trunks import TrunkUnusable  # noqa: PLC0415
    from ml.packages import PackageTampered  # noqa: PLC0415

    known = (DataLeaks, DataUnreadable, UnknownFamily, TrunkUnusable, PackageTampered)
    try:
        yield
    except known as error:
        console.print(f"[red]Not done:[/] {error}")
        raise typer.Exit(1) from error


def _show(head: Sequence[str], rows: Iterable[Sequence[str]], title: str) -> None:
    table = Table(*head, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _write(path: Path, html: str) -> None:
    path.write_text(html, encoding="utf-8")
    console.print(f"[green]Written[/] {path}, the figures beside it as JSON")
