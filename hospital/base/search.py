"""Narrowing a list: filters by field, and one search box for several columns."""

from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import Q, QuerySet
from django_filters import FilterSet  # type: ignore[import-untyped]


class Filters(FilterSet):  # type: ignore[misc]
    """The base of an address's filters; the library comes without types."""


def matching(rows: QuerySet[Any], text: str, *columns: str) -> QuerySet[Any]:
    """The `rows` in which every word of `text` stands in some of `columns`."""
    words = [
        reduce(or_, (Q(**{f"{column}__icontains": word}) for column in columns))
        for word in text.split()
    ]
    return rows.filter(reduce(and_, words)) if words else rows
