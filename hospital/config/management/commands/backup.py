"""`manage.py backup`: database, files, keys and audit head into a folder of backups."""

import getpass
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hospital.audit.services import Actor
from hospital.config.backup import keys, restoring, taking
from hospital.config.backup.manifest import BackupError


class Command(BaseCommand):
    """Ends with 1 when nothing was taken, or when the storage lacks a picture."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, and with which passphrase."""
        parser.add_argument("folder", type=Path, help="on another disk or machine")
        parser.add_argument(
            "--passphrase-file", type=Path, help="seals the keys; without it they are left out"
        )
        parser.add_argument(
            "--check", action="store_true", help="take none: read the newest one whole and compare"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Take one, or check the newest."""
        store, secret = options["folder"], options["passphrase_file"]
        try:
            if options["check"]:
                folder = restoring.chosen(store)
                manifest = restoring.check(store, folder)
                self.stdout.write(f"{folder}: every byte is as it was written.")
                return
            passphrase = secret.read_text().strip() if secret else ""
            who = Actor.system(f"backup command ({getpass.getuser()})")
            folder, manifest = taking.take(store, actor=who, passphrase=passphrase)
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{folder}: {manifest.files} files, {manifest.bytes} bytes, audit trail up to "
            f"{manifest.audit_position}."
        )
        if not passphrase:
            apart = ", ".join(map(str, keys.key_files().values())) or "SECRET_KEY"
            self.stdout.write(f"Without a passphrase the keys are not in it. Keep apart: {apart}")
        if manifest.missing:
            first = ", ".join(manifest.missing[:3])
            raise CommandError(f"The storage lacks {len(manifest.missing)} files: {first}")
