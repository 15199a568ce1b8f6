"""`manage.py demo`: the product with a demonstration hospital and a simulated microscope."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from hospital.config.demo.embedded import StackFailed
from hospital.config.demo.hospital import RealData
from hospital.config.demo.pictures import NoPictures
from hospital.config.demo.play import Wishes, end_like_ctrl_c, play


class Command(BaseCommand):
    """Ends with code 0 only if every picture got its report."""

    help = "Run the whole product with a demonstration hospital and pictures on their way."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to send, and whether to stay."""
        parser.add_argument(
            "--images", type=Path, help="folder of JPEG, PNG or TIFF pictures (else synthetic ones)"
        )
        parser.add_argument("--count", type=int, help="send so many, spread over the folders")
        parser.add_argument("--exit", action="store_true", help="end after the table of reports")

    def handle(self, *args: Any, **options: Any) -> None:
        """Play it."""
        wishes = Wishes(options["images"], options["count"], leave=options["exit"])
        end_like_ctrl_c()
        try:
            complete = play(wishes, Console())
        except (NoPictures, RealData, StackFailed) as problem:
            raise CommandError(str(problem)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped.", returncode=130) from None
        if not complete:
            raise CommandError("Not every picture got its report.")
