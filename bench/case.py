"""How long does the server take over the case page of a large case?

    python -m bench.case [--sqlite]

One report of 100 fields with 20 found cells each, every cell named by a reader, asked for as its
haematologist does, through Django's own client: the page whole, its live parts, the next field,
and a field's cells. Wall time, and the CPU time of the process, which says more on a busy machine.
"""

import argparse
import gc
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.tables import of_case
from bench.worklist import console

FIELDS, CELLS = 100, 20
ROUNDS = 20


def measure(report: Callable[[str], None], *, rounds: int = ROUNDS, sqlite: bool = False) -> Any:
    """Figures by what was asked for.

    Returns:
        {"fields": int, "cells": int, "asked": {what: {"queries": int, "median": wall ms,
        "p95": wall ms, "cpu": CPU ms of the process, median, "kilobytes": of the answer}}}
    """
    with tempfile.TemporaryDirectory(prefix="leukolens-case-") as name:
        os.environ["LEUKOLENS_VAR"] = name
        if sqlite:
            return _measured(f"sqlite:///{name}/case.sqlite3", report, rounds)
        from tests.servers import postgresql  # noqa: PLC0415

        with postgresql() as address:
            return _measured(address, report, rounds)


def _measured(address: str, report: Callable[[str], None], rounds: int) -> dict[str, Any]:
    os.environ["TEST_DATABASE_URL"] = address
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    import django  # noqa: PLC0415

    django.setup()
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connections  # noqa: PLC0415

    settings.ALLOWED_HOSTS = ["*"]
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "hospital.base.files.DurableFileSystemStorage",
            "OPTIONS": {"location": Path(os.environ["LEUKOLENS_VAR"]) / "files"},
        },
    }
    call_command("migrate", verbosity=0)
    report(f"a case of {FIELDS} fields and {FIELDS * CELLS} cells")
    asked = dict(_asked(*_filled(), rounds))
    connections.close_all()
    return {"fields": FIELDS, "cells": FIELDS * CELLS, "asked": asked}


def _filled() -> tuple[Any, Any]:
    """The haematologist and the report: one field through the services, the others copied."""
    from diagnostics.models import (  # noqa: PLC0415
        Analysis,
        CellCall,
        DiagnosticReport,
        FieldImage,
        FoundCells,
    )
    from diagnostics.services import reports  # noqa: PLC0415
    from tests.world import found  # noqa: PLC0415

    world = found()
    run = world.succeed(world.receive(1))
    world.outline(run, cells=CELLS)
    Analysis.objects.update(cell_count=CELLS)
    image, run = _values(FieldImage.objects.get()), _values(Analysis.objects.get())
    outlines = FoundCells.objects.get().outlines
    images = [
        FieldImage(**{**image, "id": uuid.uuid4(), "sha256": f"{number:064x}"})
        for number in range(1, FIELDS)
    ]
    FieldImage.objects.bulk_create(images)
    runs = [Analysis(**{**run, "id": uuid.uuid4(), "image_id": one.pk}) for one in images]
    Analysis.objects.bulk_create(runs)
    FoundCells.objects.bulk_create(FoundCells(analysis=one, outlines=outlines) for one in runs)
    CellCall.objects.bulk_create(
        CellCall(analysis=one, cell=cell, label="pre_b", by=world.technician)
        for one in Analysis.objects.all()
        for cell in range(CELLS)
    )
    reports.rebuild(world.specimen)
    return world.haematologist, DiagnosticReport.objects.get()


def _values(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _asked(reader: Any, report: Any, rounds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    from django.test import Client  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415

    client = Client()
    client.force_login(reader, backend="django.contrib.auth.backends.ModelBackend")
    images = list(report.specimen.images.values_list("pk", flat=True)[:2])
    gc.collect()
    gc.freeze()  # as the web does when it starts: hospital.config.serve
    for what, address in {
        "the page": reverse("case", args=[report.pk]),
        "its live parts": reverse("case-live", args=[report.pk]),
        "another field": reverse("case-field", args=[report.pk, images[1]]),
        "a field's cells": reverse("picture-cells", args=[images[0]]),
        "what is fetched ahead": reverse("case-ahead", args=[report.pk]),
    }.items():
        yield what, _timed(client, address, rounds)


def _timed(client: Any, address: str, rounds: int) -> dict[str, Any]:
    from django.db import connection  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    client.get(address)  # the first look at a field is noted
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address)
    queries = len(captured)  # now: the next request empties the log
    assert answer.status_code == 200, (address, answer.status_code)
    wall, cpu = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        client.get(address)
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - used))
    wall.sort()
    return {
        "queries": queries,
        "median": statistics.median(wall),
        "p95": wall[min(len(wall) - 1, int(0.95 * len(wall)))],
        "cpu": statistics.median(cpu),
        "kilobytes": len(answer.content) / 1000,
    }


def main() -> None:
    """Measure and print."""
    from bench.__main__ import _shown  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sqlite", action="store_true", help="on SQLite instead of PostgreSQL")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    found = measure(console.print, rounds=options.rounds, sqlite=options.sqlite)
    for table in of_case({"case": found}):
        console.print(_shown(table))


if __name__ == "__main__":
    main()
