"""The worklist's filters, put so that an index answers each.

Within a clinic and a stage an index leads with the model's reading, the microscope or the reader,
and holds the rows behind it in the list's order. Several of these at once are no index's: the
first leads, and the others are looked for among its rows, a stretch at a time.
"""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from diagnostics.models import DiagnosticReport, FieldImage, Stage, Urgency
from diagnostics.pages.choice import AGES, ALL, CRITICAL, FAILED, HELD, REVIEW, SIGNED_TAB, Choice

Reports = QuerySet[DiagnosticReport]

_STAGES = {
    REVIEW: (Stage.REVIEW,),
    CRITICAL: (Stage.REVIEW,),
    SIGNED_TAB: (Stage.SIGNED,),
    ALL: tuple(Stage),
}
# What a report can be in a stage: once it is signed or withdrawn, nothing about it is urgent.
_LEVELS = {
    Stage.REVIEW: tuple(Urgency),
    Stage.SIGNED: (Urgency.ORDINARY,),
    Stage.WITHDRAWN: (Urgency.ORDINARY,),
}
_LEADING = {"microscope": "microscope", "last_reader": "reader", "reading": "reading"}


def runs_of(rows: Reports, choice: Choice, tab: str) -> list[Reports]:
    """The tab's part of `rows`, in pieces that are each one run of an index, in the list's order.

    Without what `left_over` has to be looked for row by row.
    """
    if tab in {HELD, FAILED}:  # few at any time, in an index of their own
        return [_few(rows, tab).filter(wanted(choice))]
    leading = dict(list(_columns(choice).items())[:1])
    stages = _STAGES[tab]
    if not (leading or choice.age or choice.urgency or tab == CRITICAL):
        return [rows if tab == ALL else rows.filter(stage__in=stages[:1])]
    if not (choice.age or choice.urgency or tab == CRITICAL):
        return [rows.filter(stage=stage, **leading) for stage in stages]
    return [
        rows.filter(_in_age(choice), stage=stage, urgency=level, **leading)
        for stage in stages
        for level in _LEVELS[stage]
        if _asked(choice, tab, level)
    ]


def left_over(choice: Choice) -> Q:
    """What no index finds beside the first of the filters; true of every report if there is none.

    Nothing is left over on the tabs that are short.
    """
    if choice.tab in {HELD, FAILED}:
        return Q()
    return Q(**dict(list(_columns(choice).items())[1:]))


def wanted(choice: Choice) -> Q:
    """All the filters together, for rows that are few already."""
    found = Q(**_columns(choice)) & _in_age(choice)
    return found & Q(urgency=int(choice.urgency)) if choice.urgency else found


def belongs(tab: str, *, stage: int, urgency: int, failing: bool, held: int | None) -> bool:
    """Whether a report that stands so is on the tab."""
    if tab == HELD:
        return bool(held)
    if tab == FAILED:
        return failing
    return stage in _STAGES[tab] and (tab != CRITICAL or urgency == Urgency.CRITICAL)


def _columns(choice: Choice) -> dict[str, Any]:
    """What was chosen of the columns that lead an index, the most telling first."""
    return {
        column: getattr(choice, name) for column, name in _LEADING.items() if getattr(choice, name)
    }


def _asked(choice: Choice, tab: str, level: Urgency) -> bool:
    if tab == CRITICAL and level != Urgency.CRITICAL:
        return False
    return choice.urgency in {"", str(level.value)}


def _in_age(choice: Choice) -> Q:
    if not choice.age:
        return Q()
    _, least, most = AGES[choice.age]
    now = timezone.now()
    older = Q(last_picture__lt=now - least) if least else Q()
    return older & Q(last_picture__gte=now - most) if most else older


def _few(rows: Reports, tab: str) -> Reports:
    if tab == FAILED:
        return rows.filter(failing=True)
    held = FieldImage.objects.filter(held=True).order_by()
    return rows.filter(specimen__in=held.values("specimen"))
