"""Tables that only grow: the database itself refuses UPDATE and DELETE of a row."""

from typing import Any

from django.db import migrations

SQLITE = (
    "CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
    "BEGIN SELECT RAISE(ABORT, '{table} is written once'); END;",
    "CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
    "BEGIN SELECT RAISE(ABORT, '{table} is written once'); END;",
)
POSTGRESQL = (
    "CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "BEGIN RAISE EXCEPTION '{table} is written once'; END $$;",
    "CREATE TRIGGER {table}_write_once BEFORE UPDATE OR DELETE ON {table} "
    "FOR EACH ROW EXECUTE FUNCTION {table}_refuse();",
)


def write_once(table: str) -> migrations.RunPython:
    """The step of a migration that guards `table`, by the triggers of the database at hand.

    SQLite loses them when a later migration makes the table anew: repeat the step there.
    """

    def guard(apps: Any, schema_editor: Any) -> None:
        sqlite = schema_editor.connection.vendor == "sqlite"
        for statement in SQLITE if sqlite else POSTGRESQL:
            with schema_editor.connection.cursor() as cursor:
                cursor.execute(statement.format(table=table))

    def unguard(apps: Any, schema_editor: Any) -> None:
        sqlite = schema_editor.connection.vendor == "sqlite"
        names = (f"{table}_no_update", f"{table}_no_delete") if sqlite else (f"{table}_write_once",)
        on = "" if sqlite else f" ON {table}"
        with schema_editor.connection.cursor() as cursor:
            for name in names:
                cursor.execute(f"DROP TRIGGER {name}{on}")
            if not sqlite:
                cursor.execute(f"DROP FUNCTION {table}_refuse()")

    return migrations.RunPython(guard, unguard)
