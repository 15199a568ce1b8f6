"""`python -m tests.drills fleet|power|fuzz …`; `--help` tells what each takes."""

import sys


def main(arguments: list[str]) -> int:
    """Run the drill that is named first."""
    match arguments:
        case ["fleet", *rest]:
            from tests.drills import fleet

            return fleet.main(rest)
        case ["power", *rest]:
            from tests.drills import power

            return power.main(rest)
        case ["fuzz", *rest]:
            from tests.drills import fuzz

            return fuzz.main(rest)
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
