"""The play: stack up, hospital founded, pictures sent, reports watched, doors shown."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db import connections
from django.utils import timezone
from rich.console import Console
from rich.markup import escape

from devices.simulator.delivery import Job
from hospital.config.demo import show
from hospital.config.demo.embedded import embedded_stack
from hospital.config.demo.hospital import (
    DemoHospital,
    accession,
    ensure_playground,
    found_or_find,
    new_specimen,
)
from hospital.config.demo.ledger import Entry, Ledger
from hospital.config.demo.logins import Logins
from hospital.config.demo.performance import Performance, Work
from hospital.config.demo.pictures import Slide, make_synthetic, slides_from, taken_now
from hospital.config.demo.pulse import heartbeats
from hospital.config.stack.record import shown


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person at the terminal asked for."""

    images: Path | None
    count: int | None
    leave: bool


def play(wishes: Wishes, console: Console) -> bool:
    """Run the demonstration; returns whether every picture got its report.

    Raises:
        NoPictures, RealData, StackFailed: nothing could be shown; the message says why.
    """
    var = settings.VAR_DIR
    logins = Logins(var)
    ensure_playground(logins)
    connections.close_all()
    slides = _slides(wishes, console)
    with (
        TemporaryDirectory(prefix="leukolens-demo-") as fresh,
        embedded_stack(var, say=lambda line: console.print(f"[dim]{escape(line)}[/]")) as stack,
    ):
        stack.await_web()
        if stack.process is None:
            console.print(f"The demonstration runs already at {stack.url}: the pictures go there.")
        hospital = found_or_find(logins)
        ledger, work = _register(hospital, taken_now(slides, Path(fresh)))
        connections.close_all()
        with console.status("loading the model"):
            stack.await_model()
        console.print(f"Posting {len(ledger.entries)} pictures to [bold]{stack.url}[/]")
        with show.progress_bars(console) as progress:
            asyncio.run(Performance(stack.url, hospital, ledger, progress).run(work))
        console.print(show.report_table(ledger))
        console.print(show.verdict(ledger))
        if stack.process is not None and not wishes.leave:
            console.print(show.doors(stack.url, hospital.logins, shown(logins.path)))
            with heartbeats(stack.url, hospital.benches):
                _stay(stack.process, console)
    return ledger.reported == len(ledger.entries)


def _slides(wishes: Wishes, console: Console) -> list[Slide]:
    if wishes.images:
        return slides_from(wishes.images.expanduser(), wishes.count)
    console.print("[dim]No IMAGES given: drawing synthetic smears (marked as such on screen)[/]")
    return slides_from(make_synthetic(settings.VAR_DIR / "synthetic"), wishes.count)


def _register(hospital: DemoHospital, slides: Sequence[Slide]) -> tuple[Ledger, Work]:
    """Register a fresh specimen per slide, in turns at the two benches."""
    ledger, run = Ledger(), timezone.now()
    work: Work = {index: [] for index in range(len(hospital.benches))}
    for number, slide in enumerate(slides):
        turn, index = divmod(number, len(hospital.benches))
        bench = hospital.benches[index]
        label = accession(bench, run, number + 1)
        new_specimen(bench.patients[turn % len(bench.patients)], label)
        for picture in slide.pictures:
            entry = Entry(Job(picture, label), number=len(ledger.entries))
            ledger.entries.append(entry)
            work[index].append(entry)
    return ledger, work


def _stay(stack: "subprocess.Popen[str]", console: Console) -> None:
    """Stay up until Ctrl-C, or until the stack ends by itself."""
    console.print("Ctrl-C stops everything.")
    with contextlib.suppress(KeyboardInterrupt):
        stack.wait()
    console.print()


def end_like_ctrl_c() -> None:
    """Let SIGTERM end the demonstration the way Ctrl-C does: in order.

    Ctrl-C itself is set, too: a shell that starts something in the background turns it off.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupt)
