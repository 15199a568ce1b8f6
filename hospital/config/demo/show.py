"""What the terminal shows of the demonstration."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hospital.config.demo.ledger import Entry, Ledger
from hospital.config.demo.logins import Login

LONG_NAME = 20


def progress_bars(console: Console) -> Progress:
    """Bars for what is sent and what is reported."""
    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def arrival(entry: Entry) -> str:
    """One line for a result that has just come over the socket."""
    if entry.lost:
        return f"[red]✗[/] {_picture(entry)}  {entry.job.accession}  [red]{escape(entry.lost)}[/]"
    return (
        f"[green]●[/] {_picture(entry)}  {entry.job.accession}  {_result(entry)}  "
        f"{entry.certainty}  [dim]{entry.seconds:.1f} s[/]"
    )


def report_table(ledger: Ledger) -> Table:
    """Every picture with what came of it."""
    table = Table(
        title="Reports, as they came over the websocket",
        title_justify="left",
        # To fit a terminal of eighty columns.
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("Picture", no_wrap=True)
    for heading in ("Specimen", "Result", "Certainty"):
        table.add_column(heading)
    table.add_column("s", justify="right")
    for entry in sorted(ledger.entries, key=lambda one: one.number):
        result = f"[red]{escape(entry.lost)}[/]" if entry.lost else _result(entry)
        seconds = f"{entry.seconds:.1f}" if entry.result else ""
        table.add_row(_picture(entry), entry.job.accession, result, entry.certainty, seconds)
    return table


def verdict(ledger: Ledger) -> str:
    """The one line that counts."""
    total, lost = len(ledger.entries), len(ledger.entries) - ledger.reported
    colour = "green" if not lost else "red"
    return f"[bold {colour}]{ledger.reported} of {total} reported, {lost} lost[/]"


def doors(url: str, logins: Iterable[Login], kept_in: str) -> Panel:
    """Where to look, and as whom."""
    table = Table.grid(padding=(0, 2))
    for login in logins:
        table.add_row(
            f"[bold]{login.username}[/]",
            login.password,
            escape(login.name),
            f"[dim]{login.part}[/]",
        )
    parts = Table.grid()
    parts.add_row(f"Sign in  [bold]{url}/[/]")
    parts.add_row(f"Admin    {url}/admin/")
    parts.add_row(f"Fleet    {url}/fleet/  (tara, dev, ada, root)")
    parts.add_row(f"API      {url}/api/docs/")
    parts.add_row("")
    parts.add_row(table)
    parts.add_row("")
    parts.add_row(f"[dim]These passwords were made for this machine and are kept in {kept_in}[/]")
    parts.add_row(
        "To see pages change by themselves: sign in as [bold]mira[/] in one window and as "
        "[bold]nadia[/] in another, private one; then sign a report, or run [bold]make demo[/] "
        "again in a second terminal."
    )
    return Panel(parts, title="Leukolens is running", title_align="left", expand=False)


def _picture(entry: Entry) -> str:
    """Folder and name; when they are long the end, which tells more than the beginning."""
    path = entry.job.picture
    name = f"{path.parent.name}/{path.name}"
    return escape(name if len(name) <= LONG_NAME else f"…{name[-LONG_NAME + 1 :]}")


def _result(entry: Entry) -> str:
    if not entry.certainty:
        return f"[yellow]{entry.result}[/]"
    colour = "green" if entry.result == "Benign" else "magenta"
    return f"[{colour}]{entry.result}[/]"
