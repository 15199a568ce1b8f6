"""Rows read by one column and rows added, where each millisecond counts.

Django writes a query anew each time, field by field, and for every upload that took longer than
the databases needed for all their answers. Here the same SQL is written once for a model.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

Row = TypeVar("Row", bound=models.Model)
Field: TypeAlias = "models.Field[Any, Any]"


def rows_by(
    model: type[Row],
    column: str,
    values: Collection[Any],
    *,
    locked: bool = False,
    beside: str = "",
    also: Mapping[str, str] | None = None,
) -> list[Row]:
    """The rows of `model` whose `column` is one of `values`, in the order of that column.

    What `model.objects.filter(column__in=values).order_by(column)` gives, for a quarter of the
    processor time.

    Args:
        column: a field's name; of a foreign key the values are ids.
        locked: until the transaction ends, one after the other, so that two who lock the same
            rows never wait for each other in turn.
        beside: a foreign key that is never empty, whose row comes along.
        also: SQL expressions, by the names of the attributes that what they give shall become.
    """
    if not values:
        return []
    table, field, more = _table(model), _field(model, column), also or {}
    name, told, joined = f"{table.name}.{_quoted(field.column)}", table.told, ""
    if beside:
        key = _field(model, beside)
        other = _table(key.related_model)  # type: ignore[arg-type]
        told += f", {other.told}"
        mine, its = (_quoted(one.column) for one in (key, other.key))
        joined = f" JOIN {other.name} ON {other.name}.{its} = {table.name}.{mine}"
    told = ", ".join([told, *more.values()])
    places, database = ", ".join(["%s"] * len(values)), _database()
    lock = " FOR UPDATE" if locked and database.features.has_select_for_update else ""
    with database.cursor() as cursor:
        cursor.execute(
            f"SELECT {told} FROM {table.name}{joined}"  # noqa: S608
            f" WHERE {name} IN ({places}) ORDER BY {name}{lock}",
            [field.get_db_prep_value(value, database) for value in values],
        )
        records = cursor.fetchall()
    rows: list[Row] = [table.row(record) for record in records]
    for row, record in zip(rows, records, strict=True):
        if beside:
            setattr(row, beside, other.row(record[len(table.fields) :]))
        for attribute, value in zip(more, record[len(record) - len(more) :], strict=True):
            setattr(row, attribute, value)
    return rows


def insert(*batches: Sequence[models.Model]) -> None:
    """Add new rows, those of each batch to one table: what a `bulk_create` for each would do.

    In one statement where the database can; belongs inside a transaction. Nothing comes back: a
    key that the database gives is not known afterwards. Not for models with defaults of the
    database.

    Raises:
        django.db.IntegrityError: as `bulk_create`.
    """
    wanted = [_insertion(some) for rows in batches for some in _takeable(rows)]
    if not wanted:
        return
    database = _database()
    if database.vendor == "postgresql":
        *before, last = (sql for sql, _ in wanted)
        parts = ", ".join(f"part_{number} AS ({sql})" for number, sql in enumerate(before))
        together = f"WITH {parts} {last}" if before else last
        wanted = [(together, [value for _, values in wanted for value in values])]
    with database.cursor() as cursor:
        for sql, values in wanted:
            cursor.execute(sql, values)
    for row in (row for rows in batches for row in rows):
        row._state.adding, row._state.db = False, database.alias


def update(row: models.Model, names: Collection[str]) -> None:
    """Store these fields of a row that is there: what `row.save(update_fields=names)` does.

    Raises:
        django.db.DatabaseError: it is not there.
    """
    table, fields = _table(type(row)), [_field(type(row), name) for name in names]
    changes = ", ".join(f"{_quoted(field.column)} = %s" for field in fields)
    database = _database()
    values = [field.get_db_prep_save(field.pre_save(row, False), database) for field in fields]
    which = table.key.get_db_prep_value(row.pk, database)
    with database.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table.name} SET {changes} WHERE {_quoted(table.key.column)} = %s",  # noqa: S608
            [*values, which],
        )
        if cursor.rowcount != 1:
            raise DatabaseError(f"{row._meta.label} {row.pk} is not there to be changed")


def _takeable(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in as many pieces as the database's limit on one statement's values makes."""
    if rows:
        size = _database().ops.bulk_batch_size(list(_table(type(rows[0])).given), list(rows))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def _insertion(rows: Sequence[models.Model]) -> tuple[str, list[Any]]:
    """One statement for rows of one table, which says nothing of columns that stay empty in all.

    Of more than fifty values psycopg finds the places anew each time, and that takes longer.
    """
    table = _table(type(rows[0]))
    database = _database()
    records = [
        [field.get_db_prep_save(field.pre_save(row, True), database) for field in table.given]
        for row in rows
    ]
    filled = [n for n in range(len(table.given)) if any(row[n] is not None for row in records)]
    columns = ", ".join(table.columns[n] for n in filled)
    places = f"({', '.join(['%s'] * len(filled))})"
    sql = f"INSERT INTO {table.name} ({columns}) VALUES {', '.join([places] * len(rows))}"  # noqa: S608
    return sql, [row[n] for row in records for n in filled]


@dataclass(frozen=True)
class _Table:
    """What SQL says of a model.

    Attributes:
        name: quoted, as all names here.
        fields: in the order of `told`, the columns in which a row is read.
        given: what a new row brings along.
        columns: the names of `given`.
        converters: what makes Python's values of the database's: place, column, and what it goes
            through.
    """

    model: type[models.Model]
    name: str
    key: Field
    fields: Sequence[Field]
    told: str
    given: Sequence[Field]
    columns: Sequence[str]
    converters: Sequence[tuple[int, models.Expression, list[Callable[..., Any]]]]

    def row(self, record: Sequence[Any]) -> Any:
        """The row whose columns `record` begins with."""
        values, database = list(record[: len(self.fields)]), _database()
        for place, column, converters in self.converters:
            for convert in converters:
                values[place] = convert(values[place], column, database)
        names = [field.attname for field in self.fields]
        return self.model.from_db(database.alias, names, values)


@cache
def _table(model: type[models.Model]) -> _Table:
    fields = model._meta.concrete_fields
    name = _quoted(model._meta.db_table)
    given = [one for one in fields if not (one.generated or isinstance(one, models.AutoField))]
    key = model._meta.pk
    assert key is not None
    return _Table(
        model=model,
        name=name,
        key=key,
        fields=fields,
        told=", ".join(f"{name}.{_quoted(one.column)}" for one in fields),
        given=given,
        columns=[_quoted(one.column) for one in given],
        converters=list(_converters(model)),
    )


def _converters(
    model: type[models.Model],
) -> Iterator[tuple[int, models.Expression, list[Callable[..., Any]]]]:
    database = _database()
    for place, field in enumerate(model._meta.concrete_fields):
        column = field.get_col(model._meta.db_table)
        converters = [
            *database.ops.get_db_converters(column),
            *column.get_db_converters(database),
        ]
        if converters:
            yield place, column, converters


def _database() -> BaseDatabaseWrapper:
    """This thread's connection itself: `django.db.connection` looks for it at every mention."""
    return connections[DEFAULT_DB_ALIAS]


def _field(model: type[models.Model], name: str) -> Field:
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    return field


def _quoted(name: str | None) -> str:
    return _database().ops.quote_name(str(name))
