"""A container's health check, without a client to install: exit 0 when an address answers 200.

python -m hospital.config.pulse http://127.0.0.1:8000/readyz
"""

import sys
from urllib.error import URLError
from urllib.request import urlopen

SECONDS = 5


def main() -> int:
    """0 when the address given answers 200."""
    try:
        with urlopen(sys.argv[1], timeout=SECONDS) as answer:  # noqa: S310 - our compose file's
            return 0 if answer.status == 200 else 1
    except (URLError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
