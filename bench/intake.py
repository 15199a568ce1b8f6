"""How many pictures a second become safe, and what one costs?

    python -m bench.intake            # both databases, 1, 4 and 16 clients, then bulk; about 40 s

Starts the web process as `manage.py stack` does, with a real broker and no analyses worker, in a
folder that is thrown away: on SQLite (WAL, synchronous=FULL) and on PostgreSQL (fsync on). The
clients are one process with a keep-alive connection for each; every upload is another picture.
An upload counts when its 201 has been read: bytes fsynced and rows committed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from hospital.config.stack import processes
from hospital.config.stack.broker import Broker
from hospital.config.stack.child import Child
from hospital.config.stack.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
DATABASES = ("sqlite", "postgresql")
CLIENTS = (1, 4, 16)
BULK = 32  # pictures in one bulk request
PATIENCE = 60.0


def measure(
    databases: Sequence[str] = DATABASES,
    *,
    clients: Sequence[int] = CLIENTS,
    seconds: float = 4.0,
    bulk: int = BULK,
) -> dict[str, Any]:
    """Durable uploads by database: a list of runs, the last of them the bulk route.

    Each run: clients, pictures in a request, uploads per second, p50 and p99 of a request in
    milliseconds, failures by status, CPU milliseconds per upload of client, web and database
    (0 for SQLite, which lives in the web process) and broker.
    """
    found: dict[str, Any] = {}
    for database in databases:
        with _hospital(database) as hospital:
            _run(hospital, clients=16, seconds=2.0, bulk=1)  # warm, every connection of the web
            runs = [_run(hospital, clients=n, seconds=seconds, bulk=1) for n in clients]
            runs += [_run(hospital, clients=4, seconds=seconds, bulk=bulk)] if bulk else []
            found[database] = runs
    return found


@contextmanager
def _hospital(database: str) -> Iterator[dict[str, Any]]:
    """A founded hospital whose web answers: its address, keys, labels and processes."""
    from tests.servers import postgresql  # noqa: PLC0415 - brings a wheel of the tests

    with tempfile.TemporaryDirectory(prefix="leukolens-intake-") as folder, ExitStack() as stack:
        var, broker, port = Path(folder), Broker(Path(folder) / "broker"), free_port()
        environment = processes.environment(var, redis_url=broker.url)
        environment |= {
            "DJANGO_SETTINGS_MODULE": "hospital.config.settings",
            "UPLOADS_PER_MINUTE": "1000000",
            "MAX_QUEUED_ANALYSES": "1000000",
        }
        if database == "postgresql":
            environment["DATABASE_URL"] = stack.enter_context(postgresql(durable=True))
        found = subprocess.run(
            [sys.executable, "-m", "bench.intake_hospital"],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        children = {"broker": processes.broker(broker, environment, var)}
        for number in range(1, json.loads(found.stdout)["web_workers"] + 1):
            web = processes.web(port, environment, var, var, number=number)
            children[web.name] = web
        for child in children.values():
            stack.callback(_stop, child)
            _start(child)
        pids = {name: child.pid for name, child in children.items()}
        if database == "postgresql":
            pids["database"] = _postmaster(environment["DATABASE_URL"])
        yield {"port": port, "pids": pids, **json.loads(found.stdout)}


def _start(child: Child) -> None:
    child.start()
    deadline = time.monotonic() + PATIENCE
    while not child.notice_readiness():
        if child.notice_death() or time.monotonic() > deadline:
            raise RuntimeError(f"{child.name} did not start: {child.last_words()}")
        time.sleep(0.05)


def _stop(child: Child) -> None:
    child.ask_to_stop()
    child.await_end(time.monotonic() + child.patience)


def _run(hospital: dict[str, Any], *, clients: int, seconds: float, bulk: int) -> dict[str, Any]:
    pids = hospital["pids"]
    before = {name: _cpu_of(pid) for name, pid in pids.items()}
    order = {**hospital, "clients": clients, "seconds": seconds, "bulk": bulk}
    done = subprocess.run(
        [sys.executable, "-m", "bench.intake_clients"],
        cwd=ROOT, input=json.dumps(order).encode(), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    spent: dict[str, float] = {}
    for name, pid in pids.items():
        part = name.partition("-")[0]  # the web may be several processes
        spent[part] = spent.get(part, 0.0) + _cpu_of(pid) - before[name]
    spent["client"] = told["cpu"]
    stored = max(1, told["stored"])
    cuts = quantiles(told["latencies"], n=100) if len(told["latencies"]) > 1 else [0.0] * 99
    return {
        "clients": clients,
        "bulk": bulk,
        "per_second": told["stored"] / told["seconds"],
        "p50_ms": 1000 * cuts[49],
        "p99_ms": 1000 * cuts[98],
        "failed": told["failed"],
        "cpu_ms": {name: 1000 * cpu / stored for name, cpu in spent.items()},
    }


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process, of those it started and of those of them that have ended."""
    ticks, family = 0, {pid}
    processes_ = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            processes_[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    for one in sorted(processes_):
        parent, own = processes_[one]
        if one in family or parent in family:
            family.add(one)
            ticks += own
    return ticks / os.sysconf("SC_CLK_TCK")


def _postmaster(url: str) -> int:
    """The process that listens where `url` says; it was started by this one."""
    port = url.rpartition(":")[2].partition("/")[0]
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            continue
        if words[0].endswith(b"postgres") and port.encode() in words:
            return int(entry.name)
    raise RuntimeError("no PostgreSQL runs here")


def show(found: dict[str, Any]) -> None:
    """The figures as a table."""
    table = Table(title="Durable uploads", title_justify="left")
    parts = ("client", "web", "database", "broker")
    heads = ("database", "clients", "in one request", "per second", "p50", "p99", "failed")
    for head in (*heads, *(f"CPU {part}" for part in parts)):
        table.add_column(head, justify="right")
    for database, runs in found.items():
        for run in runs:
            table.add_row(
                database, str(run["clients"]), str(run["bulk"]), f"{run['per_second']:.0f}",
                f"{run['p50_ms']:.1f} ms", f"{run['p99_ms']:.1f} ms", str(run["failed"] or ""),
                *(f"{run['cpu_ms'].get(part, 0):.2f} ms" for part in parts),
            )  # fmt: skip
    console = Console(width=140)
    console.print(table)
    console.print(f"CPU is for each upload; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", action="append", choices=DATABASES, help="default: both")
    parser.add_argument("--clients", type=int, action="append", help="default: 1, 4 and 16")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--bulk", type=int, default=BULK, help="pictures a request; 0: no bulk")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(
        options.database or DATABASES,
        clients=options.clients or CLIENTS,
        seconds=options.seconds,
        bulk=options.bulk,
    )
    print(json.dumps(found, indent=2)) if options.json else show(found)


if __name__ == "__main__":
    main()
