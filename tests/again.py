"""The hospital of tests/world.py founded once a process and put back for each test, row by row.

Founding it takes two hundred milliseconds of services, audit and checks; putting its rows back
takes ten. Only for a database that holds what the migrations left and nothing else.
"""

import pickle
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from tests.world import World, found

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class _Kept:
    world: bytes
    tables: dict[str, tuple[list[str], Rows]]


_kept: _Kept | None = None


def found_again() -> World:
    """The hospital, with the ids, keys and moments of the first time."""
    global _kept  # noqa: PLW0603 - one a process
    if _kept is None:
        before = {table: set(rows) for table, (_, rows) in _all_rows().items()}
        world = found()
        after = {
            table: (columns, [row for row in rows if row not in before.get(table, ())])
            for table, (columns, rows) in _all_rows().items()
        }
        _kept = _Kept(pickle.dumps(world), {t: kept for t, kept in after.items() if kept[1]})
        return world
    # In one transaction: who refers to whom is checked when all are there.
    with transaction.atomic(), connection.cursor() as cursor:
        for table, (columns, rows) in _kept.tables.items():
            names = ", ".join(map(connection.ops.quote_name, columns))
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(
                f"INSERT INTO {connection.ops.quote_name(table)} ({names}) VALUES ({places})", rows
            )
    world = pickle.loads(_kept.world)
    assert isinstance(world, World)
    return world


def _all_rows() -> dict[str, tuple[list[str], Rows]]:
    """Every row of every table, as the database gives it."""
    found: dict[str, tuple[list[str], Rows]] = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            columns = [column[0] for column in cursor.description]
            found[table] = columns, cursor.fetchall()
    return found
