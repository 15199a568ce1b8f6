"""The fuzz drill: spoilt and forged pictures at the doors of a hospital in this process.

    python -m tests.drills fuzz --cases 20000 --seed 1

`--only 4711` tries one case again and says what became of it.
"""

import argparse
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A round is undone when it has been looked at, so that the last is as quick as the first.
ROUND = 250
# Of this process beyond what it took when it began; the decoders have a limit of their own.
MOST_MEMORY = 700_000_000


def main(arguments: list[str]) -> int:
    """Run it; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="tests.drills fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="one case")
    chosen = parser.parse_args(arguments)
    first, last = 0, chosen.cases
    if chosen.only is not None:
        first, last = chosen.only, chosen.only + 1
    with hospital():
        return run(chosen.seed, first, last)


@contextmanager
def hospital() -> Iterator[None]:
    """Django with the tests' settings and a database of its own."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["LEUKOLENS_VAR"] = tempfile.mkdtemp(prefix="leukolens-fuzz-")
    os.environ |= {"UPLOADS_PER_MINUTE": "1000000", "MAX_QUEUED_ANALYSES": "1000000"}
    os.environ["LOG_LEVEL"] = "CRITICAL"
    import django
    from django.db import connection
    from django.test.utils import setup_test_environment

    django.setup()
    setup_test_environment()
    connection.creation.create_test_db(verbosity=0)
    yield


def run(seed: int, first: int, last: int) -> int:
    """The cases, round by round."""
    from django.db import transaction
    from rich.console import Console

    from tests.drills.fuzzing import Tally, fuzz
    from tests.world import found

    world, tally, say = found(), Tally(), Console().print
    began = _memory()
    for start in range(first, last, ROUND):
        with tempfile.TemporaryDirectory() as folder, files_in(folder), transaction.atomic():
            cases = range(start, min(start + ROUND, last))
            known = len(tally.trouble)
            fuzz(world, tally, seed=seed, cases=cases)
            transaction.set_rollback(True)
        for word in tally.trouble[known:]:
            say(word, style="red", soft_wrap=True)
        say(f"{cases.stop} cases, {_memory() / 1e6:.0f} MB, {len(tally.trouble)} in trouble")
    if _memory() - began > MOST_MEMORY:
        tally.trouble.append("memory")
        say(f"memory grew by {(_memory() - began) / 1e6:.0f} MB", style="red")
    for answer, count in tally.answers.most_common():
        say(f"{count:7} {answer}")
    return 1 if tally.trouble else 0


def files_in(folder: str) -> Any:
    """Whatever is stored meanwhile goes there."""
    from django.conf import settings
    from django.test import override_settings

    backend = "hospital.base.files.DurableFileSystemStorage"
    default = {"BACKEND": backend, "OPTIONS": {"location": folder}}
    return override_settings(STORAGES={**settings.STORAGES, "default": default})


def _memory() -> int:
    """The most that this process has ever held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
