"""What somebody asked the worklist for, as it stands in its address or in a saved view."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from diagnostics.models import ModelReading, Urgency
from hospital.accounts.models import Clinic

REVIEW, CRITICAL, HELD, FAILED = "review", "critical", "held", "failed"
SIGNED_TAB, ALL = "signed", "all"
TABS = {
    REVIEW: "Needs review",
    CRITICAL: "Critical",
    HELD: "Held",
    FAILED: "Failed",
    SIGNED_TAB: "Signed",
    ALL: "All",
}
# When the newest picture came, by code: words, at least and at most how long ago.
AGES: dict[str, tuple[str, timedelta | None, timedelta | None]] = {
    "day": ("Within a day", None, timedelta(days=1)),
    "week": ("Within a week", None, timedelta(days=7)),
    "over-day": ("More than a day ago", timedelta(days=1), None),
    "over-week": ("More than a week ago", timedelta(days=7), None),
    "over-month": ("More than a month ago", timedelta(days=30), None),
}
# The address's names of what narrows the list, beside tab, search and clinic.
FILTERS = ("reading", "urgency", "microscope", "reader", "age")


@dataclass(frozen=True)
class Choice:
    """A tab, a search and filters; each '' where nothing was chosen."""

    tab: str = REVIEW
    words: str = ""
    clinic: str = ""
    reading: str = ""
    urgency: str = ""
    microscope: str = ""
    reader: str = ""
    age: str = ""
    after: str = ""

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> "Choice":
        """Read from the address; what makes no sense there falls back to the default."""

        def one_of(name: str, known: Sequence[str]) -> str:
            value = str(query.get(name, ""))
            return value if value in known else ""

        return cls(
            tab=one_of("show", list(TABS)) or REVIEW,
            words=str(query.get("q", "")).replace("\0", "").strip()[:80],
            clinic=str(query.get("clinic", "")).strip()[:40],
            reading=one_of("reading", ModelReading.values),
            urgency=one_of("urgency", [str(level) for level in Urgency.values]),
            microscope=_id(query.get("microscope", "")),
            reader=_id(query.get("reader", "")),
            age=one_of("age", list(AGES)),
            after=str(query.get("after", "")),
        )

    def query(self) -> str:
        """Back to an address."""
        pairs = {"show": self.tab, "q": self.words, "clinic": self.clinic}
        pairs |= {name: getattr(self, name) for name in FILTERS} | {"after": self.after}
        return urlencode({key: value for key, value in pairs.items() if value})

    def with_tab(self, tab: str) -> "Choice":
        """The same search on another tab, from its start."""
        return replace(self, tab=tab, after="")

    def from_(self, after: str) -> "Choice":
        """The same further down; '' is from the top."""
        return replace(self, after=after)

    @property
    def plain(self) -> "Choice":
        """The tab alone."""
        return Choice(tab=self.tab)

    @property
    def narrowed(self) -> int:
        """How many filters are set."""
        return sum(bool(getattr(self, name)) for name in FILTERS)

    def clinics_of(self, clinics: Sequence[Clinic]) -> list[UUID]:
        """The ids of those of `clinics` that were asked for."""
        return [clinic.pk for clinic in clinics if self.clinic in {"", clinic.code}]


def _id(text: Any) -> str:
    try:
        return str(UUID(str(text)))
    except ValueError:
        return ""
