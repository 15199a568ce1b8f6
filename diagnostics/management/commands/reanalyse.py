"""`manage.py reanalyse`: an archive read again under another model package, in the background."""

import getpass
import os
import re
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from diagnostics.services import reanalysis
from diagnostics.services.reanalysis import UnknownFilter, Where
from hospital.audit.services import Actor
from ml import packages

LOOK_SECONDS = 1.0
NICE = 10


class Command(BaseCommand):
    """Queueing may be broken off and begun again: nothing is queued or read twice."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to read again, under what, and whether to stay."""
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = Where.__doc__
        parser.add_argument("--package", required=True, help="its folder, or its digest (64 hex)")
        parser.add_argument(
            "--where",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="only such pictures, see below; may be said several times, all must hold",
        )
        parser.add_argument("--dry-run", action="store_true", help="say how many, queue nothing")
        parser.add_argument("--watch", action="store_true", help="stay until all are read")
        parser.add_argument(
            "--work",
            action="store_true",
            help="read them in this process, with the package in the folder given",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Queue, then watch or work."""
        self.console = Console(file=cast(IO[str], self.stdout), soft_wrap=True)
        folder, digest = _package(options["package"])
        if options["work"] and folder is None:
            raise CommandError("To work, give --package as a folder: the digest alone is no model.")
        try:
            where = Where.parsed(options["where"])
            count = reanalysis.candidates(where, package=digest).count()
            self.console.print(f"{count} pictures to be read again by {digest[:12]}")
            if options["dry_run"]:
                return
            self._queue(where, digest, count)
            if options["work"] and folder:
                self._work(folder, digest)
            elif options["watch"]:
                self._watch(digest)
        except UnknownFilter as problem:
            raise CommandError(problem.detail) from None
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped. What is queued stays queued; the same command goes on from here.",
                returncode=130,
            ) from None

    def _queue(self, where: Where, digest: str, count: int) -> None:
        actor = Actor.system(f"reanalyse command ({getpass.getuser()})")
        with self._bar() as bar:
            task = bar.add_task("queued", total=count)
            for queued in reanalysis.queue(actor=actor, where=where, package=digest):
                bar.advance(task, queued)

    def _watch(self, digest: str) -> None:
        with self._bar() as bar:
            task = bar.add_task("read")
            while self._show(bar, task, digest):
                time.sleep(LOOK_SECONDS)
        self._sum_up(digest)

    def _work(self, folder: Path, digest: str) -> None:
        """Read here, at a low priority of the operating system's own."""
        from diagnostics import pipeline  # noqa: PLC0415 - the model is only for whoever works
        from ml import reading  # noqa: PLC0415

        os.nice(NICE)
        model = reading.load(folder)

        def work() -> None:
            try:
                while not pipeline.stopping() and _unfinished(digest):
                    if not pipeline.drain(model=model, live=False):
                        time.sleep(LOOK_SECONDS)  # the rest is in other hands
            finally:
                connection.close()

        with ThreadPoolExecutor(1, "work") as hands, self._bar() as bar:
            task = bar.add_task("read")
            working = hands.submit(work)
            try:
                while not working.done():
                    self._show(bar, task, digest)
                    time.sleep(LOOK_SECONDS / 4)
            except KeyboardInterrupt:
                pipeline.stop()  # what is begun is finished, the rest goes back
                raise
            working.result()
            self._show(bar, task, digest)
        self._sum_up(digest)

    def _show(self, bar: Bar, task: Any, digest: str) -> bool:
        """Bring the bar up to date; whether there is still something to do."""
        now = reanalysis.progress(digest)
        bar.update(task, total=now.total, completed=now.finished)
        return now.finished < now.total

    def _sum_up(self, digest: str) -> None:
        done = reanalysis.progress(digest)
        other, signed = reanalysis.dissents(digest)
        self.console.print(
            f"{done.succeeded} read, {done.failed} failed. {other} are read otherwise than before, "
            f"{signed} of them in signed reports, which stay as they were signed."
        )

    def _bar(self) -> Bar:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        return Bar(*columns, TimeRemainingColumn(), console=self.console)


def _package(text: str) -> tuple[Path | None, str]:
    """The package's folder if one was given, and its digest."""
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return None, text
    try:
        return Path(text), packages.verify(Path(text)).digest
    except packages.PackageTampered as problem:
        raise CommandError(f"{text}: {problem}") from None


def _unfinished(digest: str) -> bool:
    now = reanalysis.progress(digest)
    return now.finished < now.total
