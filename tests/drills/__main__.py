"""`python -m tests.drills faults|overload|fleet|power …`; `--help` after each tells the rest."""

import sys


def main(arguments: list[str]) -> int:
    """Run the drill that is named first."""
    match arguments:
        case ["faults", *rest]:
            from tests.drills.faults import cli

            return cli.main(rest)
        case ["overload", *rest]:
            from tests.drills import overload

            return overload.main(rest)
        case ["fleet", *rest]:
            from tests.drills import fleet

            return fleet.main(rest)
        case ["power", *rest]:
            from tests.drills import power

            return power.main(rest)
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
