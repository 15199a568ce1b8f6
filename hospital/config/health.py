"""Whether this process lives, and whether the house behind it can take work. Nothing of patients.

`/healthz` touches nothing: it fails only when the process cannot answer, and then a restart helps.
`/readyz` asks database, files and broker. A web whose broker is away is ready all the same: what
microscopes send is safe without it, and screens follow the log.
"""

import uuid
from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hospital.config.celery import app

BROKER_SECONDS = 2


@login_not_required
@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process answers."""
    return JsonResponse({"status": "alive"})


@login_not_required
@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when pictures can be taken in and read; 503 with what is missing."""
    checks = {name: _tried(check) for name, check in CHECKS.items()}
    needed = {name: word for name, word in checks.items() if name != "broker"}
    ready = all(word == "ok" for word in needed.values())
    said = {"status": "ready" if ready else "not ready", "checks": checks}
    return JsonResponse(said, status=200 if ready else 503)


def database() -> None:
    """The database answers and is as new as the code."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError("migrations are missing: manage.py migrate")


def files() -> None:
    """A file can be stored, read and removed."""
    name = default_storage.save(f"probe/{uuid.uuid4().hex}", ContentFile(b"ready?"))
    try:
        with default_storage.open(name, "rb") as file:
            if file.read() != b"ready?":
                raise RuntimeError("what was stored came back otherwise")
    finally:
        default_storage.delete(name)


def broker() -> None:
    """The broker takes messages."""
    with app.connection_for_write() as wire:
        wire.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)


CHECKS: dict[str, Callable[[], None]] = {"database": database, "files": files, "broker": broker}


def _tried(check: Callable[[], None]) -> str:
    """'ok', or the kind of what went wrong: the rest may name hosts and is for the doctor."""
    try:
        check()
    except Exception as error:
        return type(error).__name__
    return "ok"
