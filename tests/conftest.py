"""What every test may lean on."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.backends.sqlite3.base import DatabaseOperations
from django.utils import translation

SHARED = Path(os.environ.get("LEUKOLENS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    """Files of a test go into its own folder, and so do the audit trail's key and anchors."""
    settings.AUDIT_ANCHOR_FILE = str(tmp_path / "elsewhere" / "anchors.jsonl")
    settings.AUDIT_KEY_FILE = str(tmp_path / "audit-key.pem")
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "hospital.base.files.DurableFileSystemStorage",
            "OPTIONS": {"location": tmp_path / "files"},
        },
    }


@pytest.fixture(autouse=True)
def _house_language() -> Iterator[None]:
    """What language one test's request was answered in is not the next test's."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def _no_brake() -> None:
    """What one test tried in vain is not held against the next."""
    from devices.services.enrolment import brake

    brake.release()
    # The hospital of the next test has the same people, ids and all: what was remembered of them
    # here, a code that was used for one, is another's.
    cache.clear()


@pytest.fixture
def world(db: Any) -> Any:
    """The hospital of tests/world.py."""
    from tests.again import found_again

    return found_again()


@pytest.fixture
def shared() -> Path:
    """The real smears and weights; tests that need them are marked `shared`."""
    if not SHARED.exists():
        pytest.skip(f"SHARED DATA MISSING: {SHARED} (set LEUKOLENS_SHARED) - not tried")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _flush_leaves_triggers_alone() -> Iterator[None]:
    """Let SQLite's flush between transactional tests empty the tables that only grow.

    PostgreSQL truncates, which row triggers do not see; SQLite deletes, which they refuse.
    """
    original = DatabaseOperations.sql_flush

    def sql_flush(self: Any, style: Any, tables: Any, **options: Any) -> list[str]:
        statements = original(self, style, tables, **options)
        with connection.cursor() as cursor:
            cursor.execute("SELECT tbl_name, sql FROM sqlite_master WHERE type='trigger'")
            triggers = [sql for table, sql in cursor.fetchall() if table in tables]
        drops = [f"DROP TRIGGER IF EXISTS {sql.split()[2]};" for sql in triggers]
        return [*drops, *statements, *triggers] if statements else []

    DatabaseOperations.sql_flush = sql_flush
    yield
    DatabaseOperations.sql_flush = original
