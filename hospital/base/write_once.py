"""Tables that only grow: the database itself refuses UPDATE and DELETE of a row.

But for erasure: columns that tell of a person may be emptied, and nothing else with them.
"""

from collections.abc import Mapping
from typing import Any

from django.db import migrations

SQLITE = (
    "DROP TRIGGER IF EXISTS {table}_no_update;",
    "DROP TRIGGER IF EXISTS {table}_no_delete;",
    "CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} WHEN ({forgets}) IS NOT TRUE "
    "BEGIN SELECT RAISE(ABORT, '{table} is written once'); END;",
    "CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
    "BEGIN SELECT RAISE(ABORT, '{table} is written once'); END;",
)
POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "BEGIN IF TG_OP = 'UPDATE' THEN IF {forgets} THEN RETURN NEW; END IF; END IF; "
    "RAISE EXCEPTION '{table} is written once'; END $$;",
    "CREATE OR REPLACE TRIGGER {table}_write_once BEFORE UPDATE OR DELETE ON {table} "
    "FOR EACH ROW EXECUTE FUNCTION {table}_refuse();",
)


def write_once(table: str, *, forgetting: Mapping[str, str] | None = None) -> migrations.RunPython:
    """The step of a migration that guards `table`, by the triggers of the database at hand.

    SQLite loses them when a later migration makes the table anew: repeat the step there.

    Args:
        forgetting: columns that may be emptied together, each with what must hold of the new
            value, as SQL that follows the column: {"note": "= ''"}.
    """

    def guard(apps: Any, schema_editor: Any) -> None:
        sqlite = schema_editor.connection.vendor == "sqlite"
        forgets = _forgets(schema_editor.connection, table, forgetting or {})
        for statement in SQLITE if sqlite else POSTGRESQL:
            with schema_editor.connection.cursor() as cursor:
                cursor.execute(statement.format(table=table, forgets=forgets))

    def unguard(apps: Any, schema_editor: Any) -> None:
        sqlite = schema_editor.connection.vendor == "sqlite"
        names = (f"{table}_no_update", f"{table}_no_delete") if sqlite else (f"{table}_write_once",)
        on = "" if sqlite else f" ON {table}"
        with schema_editor.connection.cursor() as cursor:
            for name in names:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")
            if not sqlite:
                cursor.execute(f"DROP FUNCTION IF EXISTS {table}_refuse()")

    return migrations.RunPython(guard, unguard)


def _forgets(connection: Any, table: str, forgetting: Mapping[str, str]) -> str:
    """Whether an UPDATE only empties what may be emptied, as SQL."""
    if not forgetting:
        return "1 = 0"
    with connection.cursor() as cursor:
        description = connection.introspection.get_table_description(cursor, table)
    kept = [column.name for column in description if column.name not in forgetting]
    same = "IS" if connection.vendor == "sqlite" else "IS NOT DISTINCT FROM"
    conditions = [
        *(f'OLD."{column}" {same} NEW."{column}"' for column in kept),
        *(f'NEW."{column}" {holds}' for column, holds in forgetting.items()),
    ]
    return " AND ".join(conditions)
