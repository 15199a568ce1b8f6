"""`manage.py packages`: which model packages there are, and which one reads."""

import getpass
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import localtime
from rich.console import Console
from rich.table import Table

from diagnostics.models import ModelPackage
from diagnostics.services import packages
from hospital.audit.services import Actor
from hospital.base.problems import Refusal
from ml.packages import COMMITTED


class Command(BaseCommand):
    """Each deed is in the audit trail, with the system account that ran the command."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The deeds."""
        deeds = parser.add_subparsers(dest="deed", required=True)
        deeds.add_parser("list", help="what there is, and what workers say of it")
        register = deeds.add_parser("register", help="verify a folder and make it known")
        register.add_argument(
            "folder",
            nargs="?",
            type=Path,
            default=COMMITTED,
            help="the same on every worker, and left where it is; the one in the code by default",
        )
        for deed, said in [
            ("activate", "have it read every new picture"),
            ("shadow", "have it read along in silence"),
            ("end-shadow", "no more of that"),
            ("retire", "out of the list; its folder may go"),
        ]:
            deeds.add_parser(deed, help=said).add_argument(
                "package", help="its digest, or the first eight digits or more"
            )
        deeds.add_parser("rollback", help="back to the one that was active before")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say how things stand."""
        self.console = Console(file=cast(IO[str], self.stdout), soft_wrap=True)
        actor = Actor.system(f"packages command ({getpass.getuser()})")
        try:
            self._do(actor, options)
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        self._list()

    def _do(self, actor: Actor, options: dict[str, Any]) -> None:
        deed = options["deed"]
        if deed == "register":
            packages.register(actor=actor, folder=options["folder"])
        elif deed == "rollback":
            packages.roll_back(actor=actor)
        elif deed != "list":
            does = {
                "activate": packages.activate,
                "shadow": packages.shadow,
                "end-shadow": packages.end_shadow,
                "retire": packages.retire,
            }[deed]
            does(actor=actor, package=packages.named(options["package"]))

    def _list(self) -> None:
        rows = ModelPackage.objects.order_by("registered_at")
        table = Table("digest", "package", "state", "active since", "folder", box=None)
        for row in rows:
            since = f"{localtime(row.activated_at):%Y-%m-%d %H:%M}" if row.activated_at else ""
            table.add_row(row.digest[:12], str(row), row.get_state_display(), since, row.path)
        if rows:
            self.console.print(table)
        else:
            self.console.print("None is registered: workers read with MODEL_PACKAGE.")
        for row in rows:
            if row.trouble:
                self.console.print(f"{row.digest[:12]} could not be loaded: {row.trouble}")
