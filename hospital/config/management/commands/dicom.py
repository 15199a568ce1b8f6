"""`manage.py dicom`: takes pictures from microscopes that speak DICOM, until SIGTERM."""

import os
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from diagnostics.dicom.scp import StorageProvider, tls_context
from hospital.config.stack.child import announce_readiness

# Seconds in which what is being sent may still arrive.
PATIENCE = 5.0


class Command(BaseCommand):
    """C-ECHO and C-STORE; docs/dicom.md."""

    help = "Take pictures from microscopes over DICOM (C-STORE) and keep running until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, if not where the settings say."""
        parser.add_argument("--bind", default=settings.DICOM_BIND, help="address to listen at")
        parser.add_argument("--port", type=int, default=settings.DICOM_PORT, help="0: any free one")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until told to stop."""
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        try:
            provider = StorageProvider(
                options["bind"], options["port"], tls=tls_context(), patience=PATIENCE
            )
        except (OSError, ValueError) as error:
            raise CommandError(
                f"DICOM cannot be served at {options['bind']}:{options['port']} ({error}). See "
                "DICOM_BIND, DICOM_PORT, DICOM_AE_TITLE and DICOM_TLS_… in docs/operate.md."
            ) from None
        with provider:
            self.stdout.write(
                f"DICOM: {settings.DICOM_AE_TITLE} at {options['bind']}:{provider.port}"
                f"{' with TLS' if settings.DICOM_TLS_CERTIFICATE else ''} ({os.getpid()})"
            )
            self.stdout.flush()
            announce_readiness()
            stopped.wait()
