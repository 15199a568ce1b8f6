"""The data scientist's command line: `python -m ml --help`.

Heavy modules are imported inside the commands, so that `--help` answers at once.
"""

import typer

from ml.cli import data, experiments, packages, pictures, report, segmentation, training

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Train, judge, verify and try the leukaemia-screening model. Not a diagnosis.",
)
app.command()(training.train)
app.command()(training.judge)
app.command()(training.evaluate)
app.command()(report.report)
app.command()(pictures.read)
app.command()(pictures.explain)
app.command()(pictures.synth)
app.add_typer(data.app, name="data")
app.add_typer(experiments.app, name="experiment")
app.add_typer(packages.app, name="package")
app.add_typer(segmentation.app, name="segmentation")
