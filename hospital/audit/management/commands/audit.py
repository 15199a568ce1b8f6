"""`manage.py audit`: is the trail whole, and what does it say."""

import getpass
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from hospital.audit import anchors, exporting, sealing
from hospital.audit.services import Actor
from hospital.audit.verification import Verdict, verify

# So many faults are named; the first is what counts.
NAMED = 20


class Command(BaseCommand):
    """`verify` ends with code 1 when anything is wrong."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The deeds."""
        deeds = parser.add_subparsers(dest="deed", required=True)
        check = deeds.add_parser("verify", help="compute every digest again; names what is wrong")
        check.add_argument("--anchors", type=Path, help="a copy of the anchors kept elsewhere")
        check.add_argument("--key", type=Path, help="the public key, as `audit key` gave it")
        give = deeds.add_parser("export", help="entries as JSON lines; itself noted in the trail")
        give.add_argument("--patient", type=UUID, help="about this patient (id), lists included")
        give.add_argument("--person", default="", help="by this account or microscope (id)")
        give.add_argument("--since", type=_moment, help="a date or a moment")
        give.add_argument("--until", type=_moment, help="a date or a moment, not included")
        deeds.add_parser("seal", help="seal now what is not sealed yet, and keep an anchor")
        deeds.add_parser("key", help="the public key of the anchors, to be kept elsewhere")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        deed = options["deed"]
        if deed == "verify":
            self._tell(verify(anchor_file=options["anchors"], public_key=options["key"]))
        elif deed == "export":
            asked = {name: options[name] for name in ("patient", "person", "since", "until")}
            for line in exporting.export(actor=_who(), **asked):
                self.stdout.write(line)
        elif deed == "seal":
            self.stdout.write(f"{sealing.seal(deep=True, wait=True)} entries sealed.")
            if anchor := anchors.drop():
                self.stdout.write(f"Anchored at {anchor.position}: {anchor.digest}")
        else:
            self.stdout.write(anchors.public_pem())

    def _tell(self, verdict: Verdict) -> None:
        self.stdout.write(
            f"{verdict.sealed} entries in the chain, {verdict.erased} of them erased; "
            f"{verdict.unsealed} not sealed yet; {verdict.anchors} anchors, the last at position "
            f"{verdict.anchored}."
        )
        if verdict.sound:
            self.stdout.write("The trail is whole.")
            return
        for fault in verdict.faults[:NAMED]:
            self.stderr.write(str(fault))
        more = len(verdict.faults) - NAMED
        if more > 0:
            self.stderr.write(f"and {more} more")
        raise CommandError(f"The trail is not whole. First: {verdict.faults[0]}")


def _who() -> Actor:
    return Actor.system(f"audit command ({getpass.getuser()})")


def _moment(text: str) -> datetime:
    day = parse_date(text)
    given = datetime(day.year, day.month, day.day) if day else parse_datetime(text)
    if given is None:
        raise ValueError(text)
    return timezone.make_aware(given) if timezone.is_naive(given) else given
