"""Which reports a worklist shows, in which order, a page at a time, in an archive of any size.

Every query here reads a number of rows that does not depend on how many there are: each clinic's
part of a page comes from the front of an index, counts end at `COUNTED`, and a search that the
indexes cannot answer reads `STRETCH` rows and says so.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import (
    DateTimeField,
    F,
    Func,
    IntegerField,
    QuerySet,
    SmallIntegerField,
    Subquery,
    UUIDField,
    Value,
)
from django.db.models.lookups import GreaterThan, LessThan
from django.utils import timezone

from devices.models import Device
from diagnostics import search
from diagnostics.fleet import with_last_picture
from diagnostics.models import Analysis, DiagnosticReport, FieldImage, Stage, Urgency
from diagnostics.models.analysis import OPEN
from diagnostics.pages import filters
from diagnostics.pages.choice import TABS, Choice
from hospital.accounts.models import Clinic

PAGE = 40
COUNTED = 999
STRETCH = 1000
MANY = 3000  # reports that a search puts into order by itself

_PLACE = ("urgency", "last_picture", "pk")  # on the list: the greatest first
_ORDER = tuple(f"-{column}" for column in _PLACE)

Place = tuple[int, datetime, UUID]
Count = int | str  # '999+' when there are more; '' when nobody has counted
Figure = tuple[str, str]  # name and icon
Figures = Mapping[Figure, Sequence[QuerySet[Any]]]  # what is counted for each
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Page:
    """One page of the list."""

    reports: list[DiagnosticReport]
    older: str  # cursor of the next page, '' on the last
    counts: dict[str, Count]  # how many reports each tab holds under the same search
    figures: dict[Figure, Count] = field(default_factory=dict)  # of today, by name and icon
    partly: bool = False  # only a stretch of the list was searched; `older` goes on


def page_of(
    reports: QuerySet[DiagnosticReport],
    clinics: Sequence[UUID],
    choice: Choice,
    figures: Figures | None = None,
) -> Page:
    """The asked page: what needs attention first, what nobody can read last, the newest on top.

    Args:
        reports: what the person may see.
        clinics: where to look, some of those that `reports` come from.
        figures: what to count beside, in the same question.
    """
    figures = figures or {}
    if choice.words or filters.left_over(choice):
        of = search.named(choice.words, clinics)
        page = None if of is None else _found(reports, clinics, choice, of)
        page = page or _sought(reports, clinics, choice)
        return replace(page, figures=_counted(figures))
    first = _merged(_parts(clinics, choice), PAGE + 1)
    places = list(first.values_list(*_PLACE)[: PAGE + 1])
    own = DiagnosticReport.objects.filter(clinic_id__in=clinics)
    on_tabs = {tab: filters.runs_of(own, choice, tab) for tab in TABS}
    counts: dict[Any, Count] = _counted({**on_tabs, **figures})
    on_tab = {tab: counts[tab] for tab in TABS}
    return replace(
        _page(reports, places, on_tab), figures={figure: counts[figure] for figure in figures}
    )


def figures_of(clinics: Sequence[UUID], devices: QuerySet[Device]) -> Figures:
    """Today in figures: what is to be counted, for `page_of`.

    Args:
        clinics: those of the person.
        devices: the microscopes there; a picture is its microscope's clinic's, as intake sees to.
    """
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    reports = DiagnosticReport.objects.filter(clinic_id__in=clinics)
    images = FieldImage.objects.filter(device__in=devices.values("pk"))
    waiting = Analysis.objects.filter(image__device__in=devices.values("pk"), speaks=True)
    review = reports.filter(stage=Stage.REVIEW)
    return {
        ("Pictures today", "microscope"): [images.filter(received_at__gte=midnight)],
        # Apart: each state, and each level, has its own place in an index.
        ("Being analysed", "clock"): [waiting.filter(state=state) for state in OPEN],
        ("Look closely", "attention"): [
            review.filter(urgency=level) for level in (Urgency.CRITICAL, Urgency.ATTENTION)
        ],
        ("Held pictures", "pause"): [images.filter(held=True)],
        ("Signed today", "signed"): [reports.filter(stage=Stage.SIGNED, signed_at__gte=midnight)],
    }


def microscopes_of(devices: QuerySet[Device]) -> list[Device]:
    """The microscopes with their `last` picture, None without any; the last heard first."""
    heard = with_last_picture(devices).select_related("clinic")
    return list(heard.order_by(F("last").desc(nulls_last=True), "name"))


def beside(
    report: DiagnosticReport, clinics: Sequence[UUID], *, later: bool
) -> DiagnosticReport | None:
    """The unsigned report of `clinics` that stands next to this one on the list, if any does.

    Args:
        later: the one below it, else the one above.
    """
    place = report.urgency, report.last_picture, report.pk
    found: list[DiagnosticReport] = []
    for clinic in clinics:
        rows = DiagnosticReport.objects.filter(clinic_id=clinic, stage=Stage.REVIEW)
        rows = rows.filter(_behind(*place) if later else _before(*place))
        order = rows.order_by(*_ORDER) if later else rows.order_by(*_PLACE)
        found += order[:1]
    pick = max if later else min
    return pick(found, key=lambda one: (one.urgency, one.last_picture, one.pk), default=None)


# --- a search ------------------------------------------------------------------------------------


def _found(
    reports: QuerySet[DiagnosticReport], clinics: Sequence[UUID], choice: Choice, of: list[UUID]
) -> Page | None:
    """A page of the reports of a few patients and specimens; None when there are too many."""
    own = DiagnosticReport.objects.filter(filters.wanted(choice), clinic_id__in=clinics).order_by()
    stands = {"held": "findings__fields__held", "failing": "failing", "stage": "stage"}
    found = search.reports_with(own, choice.words, of).values_list(*_PLACE, *stands.values())
    rows = [(row[:3], dict(zip(stands, row[3:], strict=True))) for row in found[: MANY + 1]]
    if len(rows) > MANY:
        return None
    on_tab = {
        tab: [at for at, stand in rows if filters.belongs(tab, urgency=at[0], **stand)]
        for tab in TABS
    }
    places = sorted(on_tab[choice.tab], reverse=True)
    if cursor := _parse_cursor(choice.after):
        places = [place for place in places if place < cursor]
    counts: dict[str, Count] = {tab: len(there) for tab, there in on_tab.items()}
    return _page(reports, places[: PAGE + 1], counts)


def _sought(reports: QuerySet[DiagnosticReport], clinics: Sequence[UUID], choice: Choice) -> Page:
    """A page of what the next stretch of the list holds; the cursor goes on behind it."""
    parts = _parts(clinics, choice)
    length = max(STRETCH // max(len(parts), 1), 1)  # of each part as many are read
    stretch = _merged(parts, length)
    within = DiagnosticReport.objects.filter(pk__in=stretch[:length].values("pk"))
    within = within.filter(filters.left_over(choice))
    found = search.reports_with(within, choice.words).order_by(*_ORDER)
    places = list(found.values_list(*_PLACE)[: PAGE + 1])
    page = _page(reports, places, dict.fromkeys(TABS, ""))
    if page.older:
        return page
    end = list(stretch.values_list(*_PLACE)[length - 1 : length])
    return replace(page, older=_cursor(end[0]) if end else "", partly=bool(end))


def _page(
    reports: QuerySet[DiagnosticReport], places: Sequence[Place], counts: dict[str, Count]
) -> Page:
    """The reports at `places`, of which the last is cut off when there is one more than a page.

    Apart from finding the places: a join of everything that a row shows, asked together with the
    question which rows these are, is planned from the wrong end.
    """
    shown = places[:PAGE]
    rows = reports.filter(pk__in=[pk for _, _, pk in shown]).order_by(*_ORDER)
    return Page(list(rows), _cursor(shown[-1]) if len(places) > PAGE else "", counts)


# --- places --------------------------------------------------------------------------------------


def _parts(clinics: Sequence[UUID], choice: Choice) -> list[QuerySet[DiagnosticReport]]:
    """The list in parts, behind the cursor, each the front of an index: a clinic's, or several."""
    cursor = _parse_cursor(choice.after)
    parts = []
    for clinic in clinics:
        own = DiagnosticReport.objects.filter(clinic_id=clinic)
        for rows in filters.runs_of(own, choice, choice.tab):
            further = rows.filter(_behind(*cursor)) if cursor else rows
            parts.append(further.order_by(*_ORDER))
    return parts


def _merged(parts: Sequence[QuerySet[DiagnosticReport]], limit: int) -> QuerySet[DiagnosticReport]:
    """At least the first `limit` reports of the parts together, in the list's order."""
    if len(parts) == 1:
        return parts[0]
    # Once more around each part: SQLite takes no LIMIT inside a union.
    around = [
        DiagnosticReport.objects.filter(pk__in=part[:limit].values("pk")).order_by().values("pk")
        for part in parts
    ]
    if not around:
        return DiagnosticReport.objects.none()
    first = around[0].union(*around[1:], all=True)
    return DiagnosticReport.objects.filter(pk__in=Subquery(first)).order_by(*_ORDER)


class _Together(Func):
    """Columns or values compared as one, as an index compares them."""

    template = "(%(expressions)s)"
    output_field = SmallIntegerField()


def _behind(*place: Any) -> LessThan:
    return LessThan(_Together(*(F(column) for column in _PLACE)), _value(*place))


def _before(*place: Any) -> GreaterThan:
    return GreaterThan(_Together(*(F(column) for column in _PLACE)), _value(*place))


def _value(urgency: int, last_picture: datetime, pk: UUID) -> _Together:
    return _Together(
        Value(urgency, SmallIntegerField()),
        Value(last_picture, DateTimeField()),
        Value(pk, UUIDField()),
    )


def _cursor(place: Place) -> str:
    urgency, last_picture, pk = place
    return f"{urgency}_{last_picture.isoformat()}_{pk}"


def _parse_cursor(text: str) -> Place | None:
    urgency, _, rest = text.partition("_")
    last, _, pk = rest.partition("_")
    try:
        return int(urgency), datetime.fromisoformat(last), UUID(pk)
    except ValueError:
        return None


# --- counts --------------------------------------------------------------------------------------


class _CountOf(Subquery):
    """How many rows a query gives, as a column."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def _counted(rows: Mapping[Key, Sequence[QuerySet[Any]]]) -> dict[Key, Count]:
    """How many rows the queries of each key give together, in one question to the database."""
    columns = [
        _CountOf(query.order_by().values("pk")[: COUNTED + 1])
        for queries in rows.values()
        for query in queries
    ]
    # A clinic's row to hang the columns on; which one is all the same.
    hung = Clinic.objects.order_by().values_list(*columns)[:1] if columns else []
    found = iter(next(iter(hung), ()))
    totals = {key: sum(next(found, 0) or 0 for _ in queries) for key, queries in rows.items()}
    return {key: total if total <= COUNTED else f"{COUNTED:,}+" for key, total in totals.items()}
