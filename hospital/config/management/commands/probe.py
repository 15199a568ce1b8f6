"""`manage.py probe`: send a drawn smear the whole way and say when it came where."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hospital.config.probe import probe


class Command(BaseCommand):
    """Ends with 1 when no report came."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, and how long to wait."""
        parser.add_argument("--url", default=settings.PROBE_URL, help="PROBE_URL by default")
        parser.add_argument(
            "--limit",
            type=float,
            default=settings.PROBE_LIMIT_SECONDS,
            help="seconds; PROBE_LIMIT_SECONDS by default",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Send one."""
        if not options["url"]:
            raise CommandError("Say where the web is: PROBE_URL, or --url http://127.0.0.1:8000")
        run = probe(options["url"], limit=options["limit"])
        for step, seconds in run.told["steps"].items():
            self.stdout.write(f"{step:10} {seconds:7.2f} s")
        if run.trouble:
            self.stderr.write(run.trouble)
            sys.exit(1)
        self.stdout.write("The picture came through, and nothing of it is left.")
