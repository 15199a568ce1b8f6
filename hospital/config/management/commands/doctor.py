"""`manage.py doctor`: is this installation well, and if not, what is to be done."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from hospital.config.doctor import Finding, Grade, examine

_SIGNS = {Grade.WELL: "ok  ", Grade.MIND: "mind", Grade.ILL: "ILL "}


class Command(BaseCommand):
    """Exit code 1 when something is ill."""

    help = "Look over this installation, and say in words what to do."
    # What is wrong with the settings is one of the findings.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """For programs, too."""
        parser.add_argument("--json", action="store_true", help="one JSON object a finding")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, and say what was found as it is found."""
        ill = 0
        for finding in examine():
            ill += finding.grade is Grade.ILL
            self.stdout.write(
                json.dumps(asdict(finding)) if options["json"] else _in_words(finding)
            )
        if ill:
            sys.exit(1)


def _in_words(finding: Finding) -> str:
    line = f"{_SIGNS[finding.grade]}  {finding.subject}: {finding.found}"
    return f"{line}\n      → {finding.remedy}" if finding.remedy else line
