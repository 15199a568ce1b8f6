"""Does the worklist stay as fast when the archive grows?

    python -m bench.worklist --sizes 1000,100000,1000000          # PostgreSQL; --sqlite for SQLite

Fills a database of each size (kept for the day in runs/worklist), then asks for the page as a
reader of one clinic and as one of several does, through Django's own client: the time is that of
the whole request, template and all, without the network. The sizes take turns.
"""

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.rounds import in_turns, percentile

console = Console(stderr=True)
ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "runs" / "worklist"
ROUNDS = 30
TURNS = 5
PAGES = ("first page", "live")  # what `make bench` asks for; by itself this asks for all there is


def measure(
    sizes: list[int], vendors: list[str], rounds: int = ROUNDS, only: Sequence[str] = PAGES
) -> dict[str, Any]:
    """Figures by database, size and what was asked for; of everything where `only` is empty.

    Returns:
        {vendor: {size: {"fill": seconds or None, "asked": {who and what:
        {"queries": int, "median": ms, "p95": ms, "rows": int}}}}}
    """
    KEPT.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for vendor in vendors:
        with _server(vendor) as address:
            databases = {size: address(size) for size in sizes}
            filled = {n: _in_a_process(at, n, 0, only)["fill"] for n, at in databases.items()}
            asked = in_turns(
                {
                    n: partial(_in_a_process, at, n, -(-rounds // TURNS), only)
                    for n, at in databases.items()
                },
                TURNS,
            )
        found[vendor] = {
            size: {"fill": filled[size], "asked": _merged([one["asked"] for one in turns])}
            for size, turns in asked.items()
        }
    return found


def _merged(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """What was seen of each question over all turns."""
    return {what: _told([turn[what] for turn in turns]) for what in turns[0]}


def _told(seen: list[dict[str, Any]]) -> dict[str, Any]:
    took = [1000 * seconds for one in seen for seconds in one["took"]]
    return {
        "queries": max(one["queries"] for one in seen),
        "best": min(took),
        "median": statistics.median(took),
        "p95": percentile(took, 0.95),
        "rows": seen[0]["rows"],
    }


@contextlib.contextmanager
def _server(vendor: str) -> Iterator[Callable[[int], str]]:
    """Gives the address of the database for a size; its name changes with tables and day."""
    digest = hashlib.sha256(date.today().isoformat().encode())
    migrations = [*ROOT.glob("*/migrations/*.py"), *ROOT.glob("hospital/*/migrations/*.py")]
    for file in sorted([*migrations, *ROOT.glob("bench/archive*.py")]):
        digest.update(file.read_bytes())
    stem = f"worklist_{digest.hexdigest()[:8]}"
    if vendor == "sqlite":
        yield lambda size: f"sqlite:///{KEPT / stem}_{size}.sqlite3"
        return
    from tests.servers import postgresql  # noqa: PLC0415

    with postgresql(kept=KEPT / "postgresql", options=["max_wal_size=4GB"]) as url:
        yield lambda size: f"{url.rpartition('/')[0]}/{stem}_{size}"


def _in_a_process(address: str, size: int, rounds: int, only: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.worklist", "--of", address, "--only", *only]
    command += ["--sizes", str(size), "--rounds", str(rounds)]
    what = "asked" if rounds else "filled"
    console.print(f"[dim]{address.split(':', maxsplit=1)[0]}, {size:,} reports {what}[/]")
    finished = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


def _measured(address: str, size: int, rounds: int, only: Sequence[str]) -> dict[str, Any]:
    """In a process of its own: the settings know one database. Nothing is asked in 0 rounds."""
    os.environ["TEST_DATABASE_URL"] = address
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    fresh = _created(address)
    import django  # noqa: PLC0415

    django.setup()
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    from bench.archive import fill  # noqa: PLC0415

    settings.ALLOWED_HOSTS = ["*"]
    took = None
    if fresh:
        call_command("migrate", verbosity=0)
        took = fill(size)
        if address.startswith("sqlite"):
            Path(address.removeprefix("sqlite:///") + ".full").touch()
    return {"fill": took, "asked": dict(_asked(rounds, only)) if rounds else {}}


def _created(address: str) -> bool:
    """Make the database unless it is there and full; whether it has to be filled."""
    if address.startswith("sqlite"):
        path = Path(address.removeprefix("sqlite:///"))
        if Path(f"{path}.full").exists():
            return False
        for leftover in path.parent.glob(f"{path.name}*"):
            leftover.unlink()
        return True
    import psycopg  # noqa: PLC0415

    server, _, name = address.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        here = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if here:
            with psycopg.connect(address) as inside:
                full = inside.execute("SELECT to_regclass('diagnostics_specimen')").fetchone()
                if full and full[0]:
                    counted = inside.execute("SELECT 1 FROM diagnostics_specimen LIMIT 1")
                    if counted.fetchone():
                        return False
            connection.execute(f'DROP DATABASE "{name}"')  # type: ignore[arg-type]
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    return True


def _asked(rounds: int, only: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    from django.test import Client  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415

    from hospital.accounts.models import User  # noqa: PLC0415

    page, live = reverse("worklist"), reverse("worklist-live")
    reader = User.objects.order_by("username").values_list("pk", flat=True)[0]
    for who in ("one", "several", "root"):
        client = Client()
        client.force_login(
            User.objects.get(username=who), backend="django.contrib.auth.backends.ModelBackend"
        )
        deep, label, number, scope = _middle()
        questions = {
            "first page": (page, {}),
            "live": (live, {}),
            "signed": (live, {"show": "signed"}),
            "all": (live, {"show": "all"}),
            "deep, all": (live, {"show": "all", "after": deep}),
            "deep, signed": (live, {"show": "signed", "after": deep}),
            "critical": (live, {"show": "critical"}),
            "failed": (live, {"show": "failed"}),
            "by reading": (page, {"show": "all", "reading": "uncertain"}),
            "by microscope": (live, {"show": "signed", "microscope": scope}),
            "by reader": (live, {"show": "all", "reader": str(reader)}),
            "by age": (live, {"show": "all", "age": "over-week"}),
            "by reading and age": (live, {"show": "all", "reading": "pre_b", "age": "day"}),
            "by two that lead": (live, {"show": "all", "reading": "pre_b", "microscope": scope}),
            "by accession": (live, {"show": "all", "q": label}),
            "by its end": (live, {"show": "all", "q": label[-5:]}),
            "by record": (live, {"show": "all", "q": number}),
            "by name": (live, {"show": "all", "q": "rahman"}),
            "by names": (live, {"show": "all", "q": "amina rahman"}),
            "by syllable": (live, {"show": "all", "q": "an"}),
            "by nonsense": (live, {"show": "all", "q": "zzzzz"}),
        }
        if who != "root":
            questions |= {
                "API, reports": ("/api/v1/reports/", {}),
                "API, search": ("/api/v1/reports/", {"search": "rahman"}),
            }
        else:
            for model in ("diagnosticreport", "specimen", "fieldimage", "analysis"):
                address = reverse(f"admin:diagnostics_{model}_changelist")
                questions[f"admin, {model}"] = (address, {})
            questions["admin, report by name"] = (
                reverse("admin:diagnostics_diagnosticreport_changelist"),
                {"q": "rahman"},
            )
            questions["admin, patients"] = (reverse("admin:patients_patient_changelist"), {})
            questions["admin, audit"] = (reverse("admin:audit_entry_changelist"), {})
        for what, (address, query) in questions.items():
            if not only or what in only:
                yield f"{who}: {what}", _timed(client, address, query, rounds)


def _middle() -> tuple[str, str, str, str]:
    """A cursor halfway down; accession, record number and microscope of a report there."""
    from diagnostics.models import DiagnosticReport, Specimen  # noqa: PLC0415

    last = Specimen.objects.order_by("-accession").first()
    assert last is not None
    half = f"L26-{int(last.accession[4:]) // 2:07d}"
    specimens = Specimen.objects.filter(accession__gte=half, clinic__code="north")
    specimen = specimens.filter(report__status="final").order_by("accession")[0]
    report = DiagnosticReport.objects.get(specimen=specimen)
    newest = specimen.images.order_by("-received_at")[0].received_at
    cursor = f"1_{newest.isoformat()}_{report.pk}"
    return cursor, specimen.accession, specimen.patient.mrn, str(report.microscope_id)


def _timed(client: Any, address: str, query: dict[str, str], rounds: int) -> dict[str, Any]:
    from django.db import connection  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    client.get(address, query)
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address, query)
    queries = len(captured)  # now: the next request empties the log
    assert answer.status_code == 200, (address, query, answer.status_code)
    took: list[float] = []
    while len(took) < rounds and sum(took) < 10:
        began = time.perf_counter()
        client.get(address, query)
        took.append(time.perf_counter() - began)
    rows = answer.content.count(b'<tr role="row" id="row-')
    return {"queries": queries, "took": took, "rows": rows}


def show(found: dict[str, Any]) -> None:
    """One table a database: median / p95 in milliseconds, and how many queries."""
    for vendor, by_size in found.items():
        table = Table(title=f"The worklist on {vendor}: median / p95 ms", title_justify="left")
        table.add_column("asked")
        sizes = list(by_size)
        for size in sizes:
            table.add_column(f"{int(size):,}", justify="right")
        table.add_column("growth", justify="right")
        table.add_column("queries", justify="right")
        for what in by_size[sizes[0]]["asked"]:
            cells = [by_size[size]["asked"][what] for size in sizes]
            table.add_row(
                what,
                *(f"{cell['median']:.1f} / {cell['p95']:.1f}" for cell in cells),
                f"{cells[-1]['median'] / cells[0]['median']:.2f}",
                " ".join(str(cell["queries"]) for cell in cells),
            )
        Console().print(table)
        fills = [f"{s:,}: {v['fill']:.0f} s" for s, v in by_size.items() if v["fill"]]
        if fills:
            console.print("filled " + ", ".join(fills))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,100000,1000000", help="reports, by comma")
    parser.add_argument("--sqlite", action="store_true", help="on SQLite instead of PostgreSQL")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument(
        "--only", nargs="*", default=[], help='"first page", live, ...; all without'
    )
    parser.add_argument("--of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    if options.of:
        json.dump(_measured(options.of, sizes[0], options.rounds, options.only), sys.stdout)
        return
    vendors = ["sqlite" if options.sqlite else "postgresql"]
    found = measure(sizes, vendors, options.rounds, options.only)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    show(found)


if __name__ == "__main__":
    main()
