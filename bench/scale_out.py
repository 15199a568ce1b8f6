"""How many workers can one database feed, and what does an analysis cost it?

    python -m bench.scale_out                 # or --workers 1 2 4 8 --count 400

Starts a PostgreSQL of its own, fills the queue, and has 1, 2, 4, 8 worker processes empty it. The
workers are the product's own but for the model: a reader that sleeps stands in for a GPU, and the
pictures are as small as they may be, because decoding and segmenting happen on a worker's own
machine and would be what is measured here. What is left is the queue, the results, reports, audit
and events. Rates of several workers mean something only while the machine has cores to spare.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WORKERS = (1, 2, 4, 8)
COUNT = 400  # analyses for each worker
PER_SPECIMEN = 10
SLEEP = 0.020  # seconds a picture: what a worker is assumed to take for it
PATIENCE = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


def measure(
    workers: Sequence[int] = WORKERS,
    *,
    count: int = COUNT,
    per_specimen: int = PER_SPECIMEN,
    sleep: float = SLEEP,
) -> dict[str, Any]:
    """Empty a filled queue with so many workers, once for each number in `workers`.

    Args:
        count: analyses for each worker.
        sleep: seconds that a simulated worker takes for a picture.

    Returns:
        'runs': for each number of workers the rate (analyses/s), its share of what so many
        sleeping workers could do at most, and CPU milliseconds an analysis of the database
        (all its processes) and of a worker. 'database_limit_per_core': analyses/s by which one
        core of the database server is full; 'database_core_hours_per_million': of a million.
    """
    from tests.servers import postgresql  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="leukolens-scale-") as folder, postgresql() as url:
        environment = os.environ | {
            "DATABASE_URL": url,
            "LEUKOLENS_VAR": folder,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TEST_DATABASE_URL": url,
            "LOG_LEVEL": "ERROR",
        }
        _python(["manage.py", "migrate", "-v", "0"], environment)
        runs = [
            _run(number, number * count, per_specimen, sleep, environment) for number in workers
        ]
    database = min(run["database_cpu_ms"] for run in runs)
    return {
        "sleep_s": sleep,
        "pictures_per_specimen": per_specimen,
        "cores": os.cpu_count(),
        "runs": runs,
        "database_limit_per_core": 1000 / database,
        "database_core_hours_per_million": database * 1e6 / 3.6e6,
    }


def _run(
    workers: int, total: int, per_specimen: int, sleep: float, environment: dict[str, str]
) -> dict[str, Any]:
    _python(["-m", "bench.scale_out", "--fill", str(total), str(per_specimen)], environment)
    command = [sys.executable, "-m", "bench.scale_out", "--work", str(sleep)]
    processes = [
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(workers)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("a worker did not start")
        before, began = _database_cpu(environment), time.monotonic()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [json.loads(process.communicate(timeout=PATIENCE)[0]) for process in processes]
        wall = max(one["ended"] for one in said) - began
        spent = _database_cpu(environment) - before
    finally:
        for process in processes:
            process.kill()
            process.wait()
    done = sum(one["finished"] for one in said)
    if done != total:
        raise RuntimeError(f"{done} of {total} were finished")
    return {
        "workers": workers,
        "rate": done / wall,
        "share_of_ideal": done / wall / (workers / sleep),
        "database_cpu_ms": 1000 * spent / done,
        "worker_cpu_ms": 1000 * sum(one["cpu"] for one in said) / done,
    }


def _python(arguments: list[str], environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, *arguments], env=environment, check=True)


def _database_cpu(environment: dict[str, str]) -> float:
    """Seconds of CPU that the database server's processes have used, the ended ones included."""
    port = environment["DATABASE_URL"].rpartition(":")[2].partition("/")[0]
    postmaster = _postmaster(port)
    return sum(map(_cpu, [postmaster, *_children(postmaster)])) / TICKS


def _postmaster(port: str) -> int:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/postgres") and port.encode() in words:
            return int(folder.name)
    raise RuntimeError("no PostgreSQL at that port")


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return sum(map(int, fields[11:15]))  # its own and its buried children's, user and system


def _fill(total: int, per_specimen: int) -> None:
    """Queue analyses of tiny pictures, as many specimens as it takes."""
    _django()
    from django.utils import timezone  # noqa: PLC0415

    from diagnostics.models import Analysis, FieldImage  # noqa: PLC0415
    from diagnostics.services.specimens import register_specimen  # noqa: PLC0415
    from hospital.accounts.models import Clinic  # noqa: PLC0415
    from hospital.base import files  # noqa: PLC0415
    from ml import images, synthetic  # noqa: PLC0415
    from tests.world import SETUP, found  # noqa: PLC0415

    if not Clinic.objects.exists():
        found()
    clinic = Clinic.objects.get(code="north")
    patient, device = clinic.patients.get(), clinic.devices.get()
    body = images.encode_png(synthetic.smear(seed=1, size=64))
    digest = hashlib.sha256(body).hexdigest()
    key = files.put(files.key_of(digest, folder="images", suffix=".png"), body)
    rows = []
    for number in range(total):
        if number % per_specimen == 0:
            specimen = register_specimen(
                actor=SETUP,
                patient=patient,
                accession=f"B-{uuid.uuid4().hex[:12]}",
                collected_at=timezone.now(),
            )
        rows.append(
            FieldImage(
                id=uuid.uuid4(),
                specimen=specimen,
                device=device,
                sha256=f"{number:064x}",
                storage_key=key,
                media_type="image/png",
                size=len(body),
                width=64,
                height=64,
            )
        )
    FieldImage.objects.bulk_create(rows)
    Analysis.objects.bulk_create(Analysis(image=row) for row in rows)


class Sleeper:
    """A reader that takes its time and says Pre-B: a GPU as the rest of the product sees it."""

    engine = "sleeping"
    batch = 32
    preprocessing = "none"

    def __init__(self, sleep: float) -> None:
        from ml import packages, synthetic  # noqa: PLC0415
        from ml.preprocessing import prepare  # noqa: PLC0415

        self.package = packages.verify(packages.COMMITTED)
        self._sleep, self._turn = sleep, threading.Lock()
        self._prepared = prepare(synthetic.smear(seed=1, size=224))

    def prepare(self, picture: Any) -> Any:
        """What was prepared once."""
        return self._prepared

    def classify(self, ready: Sequence[Any]) -> list[Any]:
        """Sleeps for each, for one caller after the other."""
        from ml.classes import CLASSES, Class  # noqa: PLC0415
        from ml.reading import Outcome, Reading  # noqa: PLC0415

        with self._turn:
            time.sleep(self._sleep * len(ready))
        shares = dict(zip(CLASSES, (0.01, 0.01, 0.97, 0.01), strict=True))
        return [
            Reading(Outcome.CLASSIFIED, one.quality, one.segmentation, shares, 0.9, Class.PRE_B)
            for one in ready
        ]


def _work(sleep: float) -> None:
    """A worker: says when it is ready, waits for the word, empties the queue."""
    _django()
    from django.db import connection  # noqa: PLC0415

    from diagnostics import pipeline  # noqa: PLC0415

    model: Any = Sleeper(sleep)
    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    cpu = time.process_time()
    finished = pipeline.drain(model=model)
    cpu = time.process_time() - cpu
    print(json.dumps({"finished": finished, "cpu": cpu, "ended": time.monotonic()}), flush=True)


def _django() -> None:
    import django  # noqa: PLC0415

    django.setup()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--count", type=int, default=COUNT, help="analyses for each worker")
    parser.add_argument("--fill", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill:
        _fill(*options.fill)
    elif options.work is not None:
        _work(options.work)
    else:
        with Console(stderr=True).status("workers empty the queue"):
            found = measure(options.workers, count=options.count)
        _show(found)


def _show(found: dict[str, Any]) -> None:
    table = Table(
        "workers",
        "analyses/s",
        "of ideal",
        "database CPU",
        "worker CPU",
        title=f"Workers that take {1000 * found['sleep_s']:.0f} ms a picture, PostgreSQL",
    )
    for run in found["runs"]:
        table.add_row(
            str(run["workers"]),
            f"{run['rate']:.0f}",
            f"{run['share_of_ideal']:.0%}",
            f"{run['database_cpu_ms']:.2f} ms",
            f"{run['worker_cpu_ms']:.2f} ms",
        )
    console = Console()
    console.print(table)
    console.print(
        f"A core of the database server is full at {found['database_limit_per_core']:.0f} "
        f"analyses/s; a million cost it {found['database_core_hours_per_million']:.2f} core hours."
    )


if __name__ == "__main__":
    main()
