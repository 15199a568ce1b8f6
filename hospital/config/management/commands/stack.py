"""`manage.py stack`: the whole product on this machine, until Ctrl-C."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hospital.config.stack.broker import NoBroker
from hospital.config.stack.record import AlreadyRunning
from hospital.config.stack.run import run_stack


class Command(BaseCommand):
    """Broker, web, workers and clock; REDIS_URL and DATABASE_URL replace the embedded ones."""

    help = "Start the whole product on this machine and keep it running until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The address to serve at."""
        parser.add_argument("--host", default="127.0.0.1", help="address to serve at")
        parser.add_argument(
            "--port", type=int, default=8000, help="used if it is free, else any free port"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        try:
            run_stack(
                settings.VAR_DIR,
                host=options["host"],
                port=options["port"],
                redis_url=os.environ.get("REDIS_URL"),
                say=self._say,
            )
        except (AlreadyRunning, NoBroker) as refusal:
            raise CommandError(str(refusal)) from None

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
