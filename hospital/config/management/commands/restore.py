"""`manage.py restore`: a backup given back, checked before and afterwards."""

import getpass
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hospital.audit.services import Actor
from hospital.config.backup.manifest import BackupError
from hospital.config.backup.restoring import restore


class Command(BaseCommand):
    """Stop web and workers first: nobody else may write meanwhile."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which backup, and whether what is here may go."""
        parser.add_argument("folder", type=Path, help="the folder of backups")
        parser.add_argument("--backup", default="", help="its name there; the newest by default")
        parser.add_argument("--passphrase-file", type=Path, help="opens the keys in the backup")
        parser.add_argument("--force", action="store_true", help="replace what is here")

    def handle(self, *args: Any, **options: Any) -> None:
        """Give it back."""
        secret = options["passphrase_file"]
        try:
            restored = restore(
                options["folder"],
                actor=Actor.system(f"restore command ({getpass.getuser()})"),
                name=options["backup"],
                passphrase=secret.read_text().strip() if secret else "",
                force=options["force"],
            )
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from None
        manifest, verdict = restored.manifest, restored.verdict
        self.stdout.write(
            f"Restored as of {manifest.taken_at}: {manifest.files} files, each compared; the audit "
            f"trail is whole, {verdict.sealed} entries in the chain."
        )
        for told in restored.keys:
            self.stdout.write(told)
        if not secret:
            self.stdout.write("No keys were put back: see docs/backup.md.")
