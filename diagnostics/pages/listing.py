"""Which reports a worklist shows, in which order, a page at a time."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import (
    Case,
    F,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils import timezone

from diagnostics.models import Analysis, Certainty, DiagnosticReport, FieldImage, ReportStatus
from diagnostics.models.analysis import OPEN
from diagnostics.models.report import SIGNED, UNSIGNED

PAGE = 40
REVIEW, SIGNED_TAB, ALL = "review", "signed", "all"
TABS = {REVIEW: "Needs review", SIGNED_TAB: "Signed", ALL: "All"}

_STATUSES = {REVIEW: Q(status__in=UNSIGNED), SIGNED_TAB: Q(status__in=SIGNED), ALL: Q()}

# What a person should look at first: all but a clear and unanimous benign, and pictures on which
# the model has no opinion.
NEEDS_ATTENTION = Q(status__in=UNSIGNED) & (
    (~Q(impression="") & ~Q(impression="benign", certainty=Certainty.CLEAR))
    | Q(findings__dissent__gt=0)
    | Q(findings__fields__failed__gt=0)
    | Q(findings__fields__unfamiliar__gt=0)
)

_WAITS = Q(status=ReportStatus.REGISTERED) | Q(findings__fields__pending__gt=0)
# Nobody can read these: every picture was spoilt.
_NOTHING_USABLE = Q(status__in=UNSIGNED, impression="")


@dataclass(frozen=True)
class Choice:
    """What the person asked to see, as it stands in the address."""

    tab: str = REVIEW
    words: str = ""
    clinic: str = ""
    after: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> "Choice":
        """Read from the address; what makes no sense there falls back to the default."""
        tab = query.get("show", REVIEW)
        return cls(
            tab=tab if tab in TABS else REVIEW,
            words=query.get("q", "").strip()[:80],
            clinic=query.get("clinic", "").strip(),
            after=query.get("after", ""),
        )

    def query(self) -> str:
        """Back to an address."""
        pairs = {"show": self.tab, "q": self.words, "clinic": self.clinic, "after": self.after}
        return urlencode({key: value for key, value in pairs.items() if value})

    def with_tab(self, tab: str) -> "Choice":
        """The same search on another tab, from its start."""
        return replace(self, tab=tab, after="")


@dataclass(frozen=True)
class Page:
    """One page of the list."""

    reports: list[DiagnosticReport]
    older: str  # cursor of the next page, '' on the last


def page_of(reports: QuerySet[DiagnosticReport], choice: Choice) -> Page:
    """The asked page: what needs attention first, what nobody can read last, the newest on top."""
    pictures = FieldImage.objects.filter(specimen=OuterRef("specimen")).order_by("-received_at")
    ranked = _found(reports, choice).filter(_STATUSES[choice.tab])
    ranked = ranked.annotate(
        rank=Case(
            When(NEEDS_ATTENTION, then=Value(0)),
            When(_WAITS, then=Value(1)),
            When(_NOTHING_USABLE, then=Value(2)),
            default=Value(1),
            output_field=IntegerField(),
        ),
        last_picture=Coalesce(Subquery(pictures.values("received_at")[:1]), F("created_at")),
    ).order_by("rank", "-last_picture", "-pk")
    if cursor := _parse_cursor(choice.after):
        ranked = ranked.filter(_behind(*cursor))
    rows: list[Any] = list(ranked[: PAGE + 1])
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    older = f"{last.rank}_{last.last_picture.isoformat()}_{last.pk}" if last else ""
    return Page(reports=rows[:PAGE], older=older)


def counts_of(reports: QuerySet[DiagnosticReport], choice: Choice) -> dict[str, int]:
    """How many reports each tab holds under the same search."""
    found = _found(reports, choice)
    return {tab: found.filter(statuses).count() for tab, statuses in _STATUSES.items()}


def tiles_of(
    reports: QuerySet[DiagnosticReport], images: QuerySet[FieldImage]
) -> list[dict[str, Any]]:
    """Today in figures."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    waiting = Analysis.objects.filter(state__in=OPEN, speaks=True, image__in=images.values("pk"))
    return [
        {
            "name": "Pictures today",
            "icon": "microscope",
            "count": images.filter(received_at__gte=midnight).count(),
        },
        {"name": "Being analysed", "icon": "clock", "count": waiting.count()},
        {
            "name": "Look closely",
            "icon": "attention",
            "count": reports.filter(NEEDS_ATTENTION).count(),
        },
        {
            "name": "Signed today",
            "icon": "signed",
            "count": reports.filter(status__in=SIGNED, signed_at__gte=midnight).count(),
        },
    ]


def microscopes_of(images: QuerySet[FieldImage]) -> list[dict[str, Any]]:
    """The microscopes that sent something, the last heard first."""
    heard = images.order_by().values("device", "device__name", "device__clinic__name")
    return [dict(row) for row in heard.annotate(last=Max("received_at")).order_by("-last")[:6]]


def _found(reports: QuerySet[DiagnosticReport], choice: Choice) -> QuerySet[DiagnosticReport]:
    if choice.clinic:
        reports = reports.filter(clinic__code=choice.clinic)
    for word in choice.words.split():
        reports = reports.filter(
            Q(specimen__accession__icontains=word)
            | Q(patient__mrn__icontains=word)
            | Q(patient__family_name__icontains=word)
            | Q(patient__given_names__icontains=word)
        )
    return reports


def _parse_cursor(text: str) -> tuple[int, datetime, UUID] | None:
    rank, _, rest = text.partition("_")
    last, _, pk = rest.partition("_")
    try:
        return int(rank), datetime.fromisoformat(last), UUID(pk)
    except ValueError:
        return None


def _behind(rank: int, last_picture: datetime, pk: UUID) -> Q:
    return (
        Q(rank__gt=rank)
        | Q(rank=rank, last_picture__lt=last_picture)
        | Q(rank=rank, last_picture=last_picture, pk__lt=pk)
    )
