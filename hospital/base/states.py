"""How a row moves from one state to the next: one table per model, one function for all."""

from collections.abc import Mapping
from typing import Any

from django.db import models

from hospital.base.problems import Refusal

Transitions = Mapping[str, frozenset[str]]


class IllegalTransition(Refusal):
    """The table has no such step."""

    status = 409
    code = "illegal_transition"


class StaleState(Refusal):
    """Somebody else moved the row since it was read."""

    status = 409
    code = "stale_state"


def advance(row: models.Model, to: str, *, field: str = "state", **changes: Any) -> None:
    """Move `row` to state `to` by compare-and-swap, writing `changes` in the same statement.

    The model names its table of allowed steps in `TRANSITIONS`. The row in memory is refreshed.

    Raises:
        IllegalTransition: the table does not allow the step from the row's state in memory.
        StaleState: the database holds another state by now; nothing was written.
    """
    ensure_step(row, to, field=field)
    origin, name = getattr(row, field), row._meta.verbose_name
    rows = type(row)._base_manager.filter(pk=row.pk, **{field: origin})
    if not rows.update(**{field: to}, **changes):
        raise StaleState(f"This {name} has changed meanwhile. Reload it and try again.")
    row.refresh_from_db()


def ensure_step(row: models.Model, to: str, *, field: str = "state") -> None:
    """Raise `IllegalTransition` unless the table allows the step from the row's state in memory.

    For who holds the row's lock and writes it by other means than `advance`.
    """
    table: Transitions = row.TRANSITIONS  # type: ignore[attr-defined]
    origin = getattr(row, field)
    if to not in table[origin]:
        raise IllegalTransition(f"A {row._meta.verbose_name} cannot go from '{origin}' to '{to}'.")


def in_choices(field: str, choices: type[models.TextChoices], *, name: str) -> Any:
    """The database's own guard that `field` holds one of `choices`."""
    return models.CheckConstraint(condition=models.Q(**{f"{field}__in": choices.values}), name=name)
