#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    """Run a management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hospital.config.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    try:
        execute_from_command_line(sys.argv)
    finally:
        # While connecting is still possible: in an interpreter that ends, it is not.
        if pusher := sys.modules.get("hospital.live.pusher"):
            pusher.flush()


if __name__ == "__main__":
    main()
