"""Rows read by one column, where each millisecond counts."""

from collections.abc import Collection
from typing import Any, TypeVar

from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)


def rows_by(
    model: type[Row], column: str, values: Collection[Any], *, locked: bool = False
) -> list[Row]:
    """The rows of `model` whose `column` is one of `values`, in the order of that column.

    What `model.objects.filter(column__in=values).order_by(column)` gives, for a fifth of the
    processor time: Django writes a query anew each time, field by field, and for every upload
    that took longer than the databases needed for all their answers.

    Args:
        column: a field's name; of a foreign key the values are ids.
        locked: until the transaction ends, one after the other, so that two who lock the same
            rows never wait for each other in turn.
    """
    if not values:
        return []
    field = model._meta.get_field(column)
    assert isinstance(field, models.Field)
    quoted = connection.ops.quote_name
    table, name = quoted(model._meta.db_table), quoted(str(field.column))
    places = ", ".join(["%s"] * len(values))
    lock = " FOR UPDATE" if locked and connection.features.has_select_for_update else ""
    found = model._default_manager.raw(
        f"SELECT * FROM {table} WHERE {name} IN ({places}) ORDER BY {name}{lock}",  # noqa: S608
        [field.get_db_prep_value(value, connection) for value in values],
    )
    return list(found)
