"""An archive of reports as a hospital has it after years, made by the database itself.

400 reports a day whatever the size, so that a larger archive is an older one. Five clinics of
unlike size; a third as many patients as reports; one to three pictures each, analysed; the newest
300 reports are open, and one in a hundred of the old was never signed.
"""

import time
from typing import Any

from django.db import connection

from bench.archive_rows import CLINICS, statements
from hospital.accounts.roles import Role
from hospital.accounts.services import found_clinic, grant_role, open_account
from hospital.audit.services import Actor


def fill(size: int) -> float:
    """Found the clinics and fill them with `size` reports; seconds that took."""
    began = time.perf_counter()
    clinics = _found()
    dropped = _drop_indexes()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Without the row by row check of foreign keys.
            cursor.execute("SET session_replication_role = replica; SET maintenance_work_mem='1GB'")
        for statement in statements(size, clinics):
            cursor.execute(statement)
        for statement in dropped:
            cursor.execute(statement)
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = origin")
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return time.perf_counter() - began


def _found() -> dict[str, Any]:
    """The clinics and those who look: 'one' works in the largest, 'several' in three of five."""
    bench = Actor.system("bench")
    clinics = {code: found_clinic(actor=bench, code=code, name=code.title()) for code in CLINICS}
    for name, codes in {"one": ["north"], "several": ["north", "east", "hill"]}.items():
        user = open_account(actor=bench, username=name, password=None, full_name=f"Reader {name}")
        for code in codes:
            grant_role(actor=bench, user=user, clinic=clinics[code], role=Role.HAEMATOLOGIST)
    open_account(
        actor=bench, username="root", password=None, full_name="Sue Root", is_superuser=True
    )
    return {code: clinic.pk for code, clinic in clinics.items()}


def _drop_indexes() -> list[str]:
    """Drop what only slows filling down; the statements that bring it back."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' "
                "AND tablename ~ '^(diagnostics|patients|live|audit)_' AND NOT EXISTS "
                "(SELECT FROM pg_constraint WHERE conname = indexname)"
            )
        else:
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND "
                "substr(tbl_name, 1, 4) IN ('diag', 'pati', 'live', 'audi')"
            )
        rows = cursor.fetchall()
        for name, _ in rows:
            cursor.execute(f'DROP INDEX "{name}"')
    return [sql for _, sql in rows]
