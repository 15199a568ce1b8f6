"""Narrowing a list: filters by field, and one search box for several columns."""

import re
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Upper
from django.db.models.lookups import GreaterThanOrEqual, In, LessThan, Lookup
from django_filters import FilterSet  # type: ignore[import-untyped]

# A trigram index has nothing to look up in a word without three letters or digits in a row.
_TRIGRAM = re.compile(r"[^\W_]{3}")
_AFTER_ALL = "\U0010ffff"


class Among(Lookup):  # type: ignore[type-arg]
    """As `In`, but PostgreSQL is given a long list as one value.

    As a thousand values it is read, bound and compared one by one, at each search.
    """

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """For a database without lists."""
        return compiler.compile(In(self.lhs, self.rhs))  # type: ignore[no-any-return]

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """For PostgreSQL, by this name of Django's choosing."""
        column, values = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*values, list(self.rhs)]


class Filters(FilterSet):  # type: ignore[misc]
    """The base of an address's filters; the library comes without types."""


def matching(rows: QuerySet[Any], text: str, *columns: str) -> QuerySet[Any]:
    """The `rows` in which every word of `text` stands in some of `columns`."""
    words = [holding(word, *columns) for word in text.split()]
    return rows.filter(reduce(and_, words)) if words else rows


def holding(word: str, *columns: str) -> Q:
    """That `word` stands anywhere in some of `columns`."""
    return reduce(or_, (Q(**{f"{column}__icontains": word}) for column in columns))


def looks_inside() -> bool:
    """Whether the database's indexes find a word inside a name, not only at its beginning."""
    return connection.vendor == "postgresql"


def indexed(word: str, column: str) -> Q | None:
    """That an index on `column` knows `word`; None where an index cannot tell.

    The indexes are on `UPPER(column)`: on PostgreSQL of trigrams, which find the word anywhere;
    on SQLite plain ones, which find it at the beginning.
    """
    if looks_inside():
        return holding(word, column) if _TRIGRAM.search(word) else None
    begin, end = Upper(Value(word)), Upper(Value(word + _AFTER_ALL))
    return Q(GreaterThanOrEqual(Upper(column), begin)) & Q(LessThan(Upper(column), end))
