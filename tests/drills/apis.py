"""The API drill: what tests/test_api_contract.py tries a little of, with many requests.

python -m tests.drills apis --examples 200
"""

import argparse
import os

import pytest


def main(arguments: list[str]) -> int:
    """Run it; 1 when an answer was not as described."""
    parser = argparse.ArgumentParser(prog="tests.drills apis", description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="for each operation")
    chosen = parser.parse_args(arguments)
    os.environ["API_EXAMPLES"] = str(chosen.examples)
    return int(pytest.main(["-q", "-p", "no:logging", "tests/test_api_contract.py"]))
