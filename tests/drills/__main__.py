"""`python -m tests.drills NAME …`, by the names below; `--help` after each tells the rest."""

import sys
from importlib import import_module

DRILLS = {
    "faults": "tests.drills.faults.cli",
    "overload": "tests.drills.overload",
    "fleet": "tests.drills.fleet",
    "power": "tests.drills.power",
    "fuzz": "tests.drills.fuzz",
    "apis": "tests.drills.apis",
    "scan": "tests.drills.scan",
}


def main(arguments: list[str]) -> int:
    """Run the drill that is named first."""
    if not arguments or arguments[0] not in DRILLS:
        print(__doc__, *DRILLS)
        return 2
    name, *rest = arguments
    returned: int = import_module(DRILLS[name]).main(rest)
    return returned


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
