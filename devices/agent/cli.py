"""The command line: `leukolens-agent --help`."""

import hashlib
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import __version__, running
from .client import Microscope, Refused, Unreachable
from .home import DEFAULT, AlreadyRunning, Credentials, Home, NotEnrolled, invitation
from .labels import NAME_PATTERN, NUMBER, Labels, Unclear, note_beside
from .page import PORT
from .picture import Unusable, look_at
from .queue import Item, Limits, Queue, QueueFull, State, WrongState
from .rows import GIB
from .standing import remark_on, standing_of

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Brings a microscope's pictures to the hospital, and loses none.",
)
console = Console(soft_wrap=True)
problem = Console(stderr=True, soft_wrap=True)

HomeOption = Annotated[
    Path,
    typer.Option("--home", envvar="LEUKOLENS_AGENT_HOME", help="Where key and queue lie."),
]
LOCAL = {"127.0.0.1", "localhost", "::1"}


@app.command()
def enrol(
    code: Annotated[
        list[str], typer.Argument(help="The one-time code, or the text of its QR code.")
    ],
    server: Annotated[str, typer.Option(help="The hospital's address, https://…")] = "",
    serial: Annotated[str, typer.Option(help="This microscope's serial number.")] = "",
    home: HomeOption = DEFAULT,
) -> None:
    """Exchange a one-time code for this microscope's own key."""
    with _explained():
        invited = invitation("-".join(code))  # typed with blanks, too
        server = (server or invited.server).rstrip("/")
        if urlsplit(server).scheme not in {"http", "https"}:
            raise ValueError("Say where the hospital is: --server https://…")
        if urlsplit(server).scheme == "http" and urlsplit(server).hostname not in LOCAL:
            problem.print("Careful: over http the key can be read on the way. Use https.")
        place = Home(home)
        with _queue(place) as queue:
            _ensure_nothing_waits_for_another(place, queue, server)
            with Microscope(server, "") as microscope:
                told = microscope.enrol(invited.code, serial or invited.serial)
            device = told.get("device", {})
            place.save(
                Credentials(
                    server=server,
                    key=told["key"],
                    device_id=str(device.get("id", "")),
                    device_name=str(device.get("name", "")),
                    clinic=str(device.get("clinic", "")),
                    interval_seconds=float(told.get("interval_seconds", 60)),
                )
            )
            # Whatever was told to the microscope that this one was before.
            queue.note(revision=0, configuration={}, stopped="")
    console.print(
        f"This is {device.get('name', 'a microscope')} of {device.get('clinic', 'the hospital')} "
        "now. Next: leukolens-agent run FOLDER",
        markup=False,
    )


@app.command()
def run(  # noqa: PLR0913, PLR0917 - each is an option of the command
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="To be watched.")],
    home: HomeOption = DEFAULT,
    done: Annotated[
        Path | None,
        typer.Option(help="Move files there once they are taken; without it they are deleted."),
    ] = None,
    name_pattern: Annotated[
        str, typer.Option(help="Regular expression of a file's name without its ending.")
    ] = NAME_PATTERN,
    barcode_pattern: Annotated[
        str, typer.Option(help="Regular expression of a barcode that is an accession number.")
    ] = NUMBER,
    barcodes: Annotated[bool, typer.Option(help="Look for barcodes in the picture.")] = True,
    strict: Annotated[
        bool, typer.Option(help="Set blurred or badly lit pictures aside instead of sending them.")
    ] = False,
    max_gib: Annotated[float, typer.Option(min=0.001, help="The queue takes no more.")] = 20,
    keep_free: Annotated[float, typer.Option(min=0, help="GiB of the disk left free.")] = 1,
    large_mb: Annotated[
        float, typer.Option(min=0, help="Larger pictures go in pieces, if the hospital can.")
    ] = 1,
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds for which a file must not have changed.")
    ] = 2,
    every: Annotated[float, typer.Option(min=0.01, help="Seconds between looks.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Specimens sent at once.")] = 4,
    firmware: Annotated[
        str, typer.Option(help="The microscope's version; without it the agent's.")
    ] = __version__,
    page: Annotated[bool, typer.Option(help="Show a status page on this machine.")] = True,
    port: Annotated[int, typer.Option(help="Of the status page, on 127.0.0.1.")] = PORT,
) -> None:
    """Watch a folder and send every picture that comes, until stopped."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    # It would note every request, and a request each second is not worth a line.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with _explained():
        place = Home(home)
        place.credentials()
        labels = Labels(
            name=_name_pattern(name_pattern),
            barcode=re.compile(barcode_pattern) if barcodes else None,
        )
        options = running.Options(
            firmware=firmware,
            labels=labels,
            done=done.absolute() if done else None,
            strict=strict,
            workers=workers,
            large=int(large_mb * 1e6),
            settle=settle,
            every=every,
            page_port=port if page else None,
        )
        limits = Limits(most=int(max_gib * GIB), keep_free=int(keep_free * GIB))
        with _queue(place, limits) as queue, running.stopping_on_signals() as stop:
            well = running.run(place, queue, folder.absolute(), options, stop=stop)
    raise typer.Exit(0 if well else 1)


@app.command()
def send(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    accession: Annotated[str, typer.Option(help="Of their specimen, as on the label.")],
    home: HomeOption = DEFAULT,
) -> None:
    """Send these pictures of one specimen. The files stay where they are."""
    with _explained():
        place = Home(home)
        place.credentials()
        with _queue(place) as queue, running.stopping_on_signals() as stop:
            items = [_put(queue, file, accession.strip()) for file in files]
            mine = {item.id for item in items}

            said: set[str] = set()

            def settled() -> bool:
                """Whether nothing is left that is worth waiting for; says what goes wrong."""
                now = [item for image_id in mine if (item := queue.get(image_id))]
                left = [item for item in now if item.state is State.WAITING]
                for detail in {item.detail for item in left if item.detail} - said:
                    said.add(detail)
                    problem.print(detail, markup=False)
                return not any(item.unknown == 0 for item in left)

            console.print(f"{len(items)} stored. Sending; Ctrl-C leaves them in the queue.")
            try:
                running.send_and_wait(place, queue, settled, stop=stop)
            except AlreadyRunning:
                console.print("The agent runs already and sends them.")
                while not settled() and not stop.wait(0.2):
                    if queue.notes().get("stopped"):
                        break
            refused = _say_what_became(queue, mine)
            if stopped := queue.notes().get("stopped"):
                problem.print(
                    f"The hospital does not let this microscope in: {stopped}", markup=False
                )
    raise typer.Exit(1 if refused else 0)


@app.command()
def status(
    home: HomeOption = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """How the agent stands, and what waits. Exit code 0 if all is well, else 1."""
    with _explained():
        place = Home(home)
        with _queue(place) as queue:
            standing = standing_of(place, queue)
    if as_json:
        console.print_json(json.dumps(asdict(standing), default=str))
    else:
        colour = "green" if standing.word == "working" else "red"
        console.print(f"[bold {colour}]{standing.word}[/]")
        if standing.matter:
            console.print(standing.matter, markup=False)
        facts = Table.grid(padding=(0, 2))
        for name, value in standing.facts.items():
            facts.add_row(f"[dim]{name}[/]", escape(value))
        console.print(facts)
        if standing.waiting:
            console.print(_table("Waiting to be sent", standing.waiting))
    raise typer.Exit(0 if standing.word == "working" else 1)


@app.command()
def refused(home: HomeOption = DEFAULT) -> None:
    """The dead letters: pictures that will not be sent until a person has decided."""
    with _explained(), _queue(Home(home)) as queue:
        items = queue.in_state(State.REFUSED)
        if not items:
            console.print("There are no dead letters.")
            return
        console.print(_table("Dead letters", items))
        for item in items:
            console.print(f"{str(item.id)[:8]}  {queue.path_of(item)}", markup=False)
    console.print("Send one after all: leukolens-agent retry PICTURE [--accession NUMBER]")
    console.print("Delete one: leukolens-agent discard PICTURE --for-good")


@app.command()
def retry(
    picture: Annotated[str, typer.Argument(help="The beginning of its id.")],
    accession: Annotated[str, typer.Option(help="Of its specimen, as on the label.")] = "",
    home: HomeOption = DEFAULT,
) -> None:
    """Send a dead letter after all."""
    with _explained(), _queue(Home(home)) as queue:
        item = _found(queue, picture)
        queue.retry(item, accession=accession.strip())
        console.print(
            f"{str(item.id)[:8]} goes out again for {accession or item.accession}.", markup=False
        )


@app.command()
def discard(
    picture: Annotated[str, typer.Argument(help="The beginning of its id.")],
    for_good: Annotated[bool, typer.Option(help="Really delete it.")] = False,
    home: HomeOption = DEFAULT,
) -> None:
    """Delete a dead letter: the hospital will never see this picture."""
    with _explained(), _queue(Home(home)) as queue:
        item = _found(queue, picture)
        what = f"{str(item.id)[:8]} of {item.accession or 'an unknown specimen'} ({item.code})"
        if not for_good:
            raise ValueError(
                f"This would delete {what} from this machine. The hospital does not have it, and "
                "nobody could bring it back. If that is meant, add --for-good."
            )
        queue.discard(item)
        console.print(f"{what} is deleted.", markup=False)


def main() -> None:
    """The command `leukolens-agent`."""
    app()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what can go wrong into one sentence and exit code 1."""
    try:
        yield
    except (Refused, Unreachable, NotEnrolled, AlreadyRunning, QueueFull) as error:
        problem.print(str(error), markup=False)
    except (Unclear, Unusable, WrongState, ValueError, OSError) as error:
        problem.print(str(error), markup=False)
    else:
        return
    raise typer.Exit(1)


@contextmanager
def _queue(home: Home, limits: Limits | None = None) -> Iterator[Queue]:
    queue = Queue(home.queue_folder, limits=limits)
    try:
        yield queue
    finally:
        queue.close()


def _ensure_nothing_waits_for_another(home: Home, queue: Queue, server: str) -> None:
    """An accession number means another patient in another hospital."""
    counts = queue.counts()
    unsent = counts.waiting + counts.refused
    try:
        before = home.credentials().server
    except NotEnrolled:
        return
    if unsent and before != server:
        raise ValueError(
            f"{unsent} pictures here are meant for {before}. Send or discard them first, or take "
            "another folder with --home."
        )


def _name_pattern(text: str) -> re.Pattern[str]:
    pattern = re.compile(text)
    if "accession" not in pattern.groupindex:
        raise ValueError("--name-pattern must have a group: (?P<accession>…)")
    return pattern


def _put(queue: Queue, file: Path, accession: str) -> Item:
    """Into the queue, if it is whole and nothing in or about it names another specimen."""
    body = file.read_bytes()
    look = look_at(body)
    note = note_beside(file)
    number = Labels().accession_of(file, note, look.grey, said=accession)
    for known in queue.seen(hashlib.sha256(body).hexdigest()):
        if known.state in {State.WAITING, State.SENT} and known.accession == number:
            console.print(f"{file.name} was stored before: {str(known.id)[:8]}", markup=False)
            return known
    saved = datetime.fromtimestamp(file.stat().st_mtime).astimezone()
    return queue.put(body, accession=number, captured_at=note.captured_at or saved)


def _say_what_became(queue: Queue, ids: set[UUID]) -> int:
    """Print it; returns how many are not delivered."""
    items = [item for image_id in ids if (item := queue.get(image_id))]
    missing = [item for item in items if item.state is not State.SENT]
    console.print(f"{len(items) - len(missing)} of {len(items)} are safe in the hospital.")
    if missing:
        console.print(_table("Not delivered", missing))
        if any(item.state is State.WAITING for item in missing):
            console.print("What waits is sent by 'leukolens-agent run', or the next 'send'.")
    return len(missing)


def _found(queue: Queue, beginning: str) -> Item:
    """The dead letter whose id begins so; ValueError if it is none or several."""
    found = [item for item in queue.find(beginning) if item.state is State.REFUSED]
    if not beginning or len(found) != 1:
        many = "No" if not found else "More than one"
        raise ValueError(f"{many} dead letter begins with '{beginning}'. See: refused")
    return found[0]


def _table(title: str, items: list[Item]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    for name in ("picture", "accession", "taken", "attempts", "remark"):
        table.add_column(name)
    for item in items:
        taken = datetime.fromtimestamp(item.taken_at).strftime("%d %b %H:%M")
        known = (str(item.id)[:8], item.accession or "?", taken, str(item.attempts))
        table.add_row(*map(escape, (*known, remark_on(item))))
    return table
