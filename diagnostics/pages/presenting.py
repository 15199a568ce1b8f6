"""Rows and fields as the templates want them: words, icons and shares, no decisions."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnostics import wording
from diagnostics.models import (
    Analysis,
    CellLabel,
    Certainty,
    DiagnosticReport,
    FieldImage,
    Hold,
    HoldReason,
    ReportStatus,
)
from diagnostics.services.analyses import FAILURES
from diagnostics.services.findings import certainty_of, counting
from diagnostics.services.heat import FAILURES as HEAT_FAILURES

_STATUS_ICONS = {
    ReportStatus.REGISTERED: "clock",
    ReportStatus.PARTIAL: "computer",
    ReportStatus.PRELIMINARY: "verified",
    ReportStatus.FINAL: "signed",
    ReportStatus.AMENDED: "signed",
    ReportStatus.CORRECTED: "signed",
    ReportStatus.CANCELLED: "cross",
    ReportStatus.ENTERED_IN_ERROR: "cross",
}
_STATUS_WORDS = {
    ReportStatus.REGISTERED: "Waiting",
    ReportStatus.PARTIAL: "Unverified",
    ReportStatus.PRELIMINARY: "Verified",
}
_BANDS = {Certainty.CLEAR: 3, Certainty.LEANING: 2, Certainty.UNCERTAIN: 1}


class Row:
    """A report on the worklist, and the summary of a case."""

    def __init__(self, report: DiagnosticReport) -> None:
        self.report = report
        self.fields = {
            "total": 0,
            "pending": 0,
            "failed": 0,
            "classified": 0,
            "unfamiliar": 0,
            "not_a_smear": 0,
            "unusable": 0,
            "repeated": 0,
            "held": 0,
            "set_aside": 0,
        } | report.findings.get("fields", {})
        self.counting = counting(self.fields)
        self.analysed = self.counting - self.fields["pending"] - self.fields["failed"]
        self.unread = (
            self.fields["unfamiliar"] + self.fields["not_a_smear"] + self.fields["unusable"]
        )
        self.impression = (
            _("Your own call first") if report.veiled else wording.impression_in_words(report)
        )
        self.tone = tone_of(report.impression, report.certainty)
        if not report.impression and self.fields["unfamiliar"] and not self.fields["pending"]:
            self.tone = "uncertain"
        self.icon = self._icon()
        self.certainty = report.get_certainty_display().partition(",")[0]
        self.band = _BANDS.get(Certainty(report.certainty), 0) if report.certainty else 0
        self.status_icon = _STATUS_ICONS[ReportStatus(report.status)]
        self.status_word = _STATUS_WORDS.get(
            ReportStatus(report.status), report.get_status_display()
        )
        self.all_held = bool(self.fields["held"]) and not self.counting
        if self.all_held and report.status == ReportStatus.REGISTERED:
            self.status_icon, self.status_word = "pause", "Held"
        if report.waiting_id is not None:
            self.status_icon, self.status_word = "clock", "Second reader"
        self.synthetic = synthetic_of(report)
        self.dissent = report.findings.get("dissent", 0)

    def _icon(self) -> str:
        """The symbol beside the impression; a clock only where waiting will help."""
        if self.tone != "none":
            return _TONE_ICONS[self.tone]
        if self.report.veiled or self.fields["pending"]:
            return "clock"
        return "cross" if self.fields["failed"] else "pause" if self.fields["held"] else "question"

    @property
    def clear(self) -> bool:
        """Whether the model is sure and every field that was read agrees."""
        return self.report.certainty == Certainty.CLEAR and not self.dissent

    @property
    def news(self) -> str:
        """What a screen reader is told when this row changes."""
        if self.report.is_signed:
            return f"{self.report.specimen.accession}: signed"
        return f"{self.report.specimen.accession}: {self.impression}"


def synthetic_of(report: Any) -> str:
    """Whether programs drew 'all' or 'some' of a report's pictures, or '' none.

    Args:
        report: as the selectors give it, with `photographed`.
    """
    if not report.findings.get("synthetic"):
        return ""
    return "some" if report.photographed else "all"


def tone_of(label: str, certainty: str = "") -> str:
    """The colour family of an impression; always beside a word and an icon."""
    if not label:
        return "none"
    if certainty == Certainty.UNCERTAIN:
        return "uncertain"
    return "benign" if label == "benign" else "malignant"


SHORT_NAMES = {
    "benign": "Benign",
    "early_pre_b": "Early Pre-B",
    "pre_b": "Pre-B",
    "pro_b": "Pro-B",
}
_FIELD_WORDS = {
    "queued": gettext_lazy("Waiting"),
    "running": gettext_lazy("Waiting"),
    "succeeded": gettext_lazy("Read"),
    "failed": gettext_lazy("Failed"),
    "unfamiliar": gettext_lazy("Unfamiliar"),
    "not_a_smear": gettext_lazy("Rejected"),
    "unusable": gettext_lazy("Rejected"),
}
_TONE_ICONS = {"benign": "benign", "malignant": "malignant", "uncertain": "question"}
_FIELD_ICONS = {
    "queued": "clock",
    "running": "clock",
    "succeeded": "computer",
    "failed": "cross",
    "unfamiliar": "question",
    "not_a_smear": "cross",
    "unusable": "cross",
    "set_aside": "cross",
}


@dataclass(frozen=True)
class Held:
    """One reason that keeps a picture back, in words."""

    code: str
    title: str
    advice: str
    since: datetime

    @classmethod
    def because_of(cls, hold: Hold) -> "Held":
        """Of a hold's row."""
        title, advice = wording.HELD[hold.reason]
        return cls(hold.reason, str(title), str(advice), hold.held_at)


@dataclass(frozen=True)
class Field:
    """One picture of a case with its latest analysis."""

    number: int
    image: FieldImage
    analysis: Analysis | None

    @cached_property
    def verdict(self) -> wording.Verdict:
        """What became of it."""
        return wording.verdict_on(self.analysis, certainty=self.certainty, failures=FAILURES)

    @property
    def held(self) -> list["Held"]:
        """Why it does not count for now."""
        holds = self.image.open_holds  # type: ignore[attr-defined]
        return [Held.because_of(hold) for hold in holds]

    @property
    def releasable(self) -> bool:
        """Whether a person may vouch for it; a mix-up is settled on its own page."""
        return bool(self.held) and all(h.code != HoldReason.SAME_PICTURE for h in self.held)

    @cached_property
    def certainty(self) -> str:
        """How sure the model is of this field, by the same bands as of a specimen."""
        return certainty_of(self.analysis.probabilities if self.analysis else None)

    @property
    def stamp(self) -> str:
        """Changes when the pictures on show change; keeps them from flickering otherwise."""
        drawn = self.analysis is not None and self.analysis.overlay_key
        state = self.analysis.pk if self.analysis and drawn else self.verdict.code
        return f"{self.image.pk}-{state}"

    @property
    def drawn(self) -> bool:
        """Whether there are outlines and cells to show."""
        return bool(self.analysis and self.analysis.overlay_key)

    @property
    def heat(self) -> dict[str, str]:
        """`state` of the heat map ('' unasked) and why there is none, in words; {} if none can be.

        There is none where the model was not shown the picture.
        """
        if not self.drawn or self.analysis is None or self.analysis.probabilities is None:
            return {}
        asked = getattr(self.analysis, "heat_map", None)
        if asked is None:
            return {"state": "", "why": ""}
        return {"state": asked.state, "why": HEAT_FAILURES.get(asked.failure, "")}

    @property
    def word(self) -> str:
        """Where the field stands, in a word or two that fit under its thumbnail."""
        if self.image.held:
            return _("Held")
        code = self.verdict.code
        if code == "classified" and self.analysis:
            uncertain = self.certainty == Certainty.UNCERTAIN
            return _("Uncertain") if uncertain else SHORT_NAMES[self.analysis.label]
        return str(_FIELD_WORDS.get(code, ""))

    @property
    def tone(self) -> str:
        """Colour family of the verdict."""
        if self.verdict.code == "classified" and self.analysis:
            return tone_of(self.analysis.label, self.certainty)
        quiet = dict.fromkeys(("queued", "running", "succeeded"), "none")
        return (quiet | {"unfamiliar": "uncertain"}).get(self.verdict.code, "failed")

    @property
    def icon(self) -> str:
        """Symbol of the verdict."""
        return _FIELD_ICONS.get(self.verdict.code) or _TONE_ICONS[self.tone]

    @property
    def quality(self) -> list[wording.Note]:
        """What the quality gate measured, and how familiar the model is with such pictures."""
        if self.analysis is None:
            return []
        notes = wording.quality_notes(self.analysis.quality)
        if self.analysis.probabilities and self.analysis.familiarity is not None:
            notes.append(wording.familiarity_note(self.analysis.familiarity))
        return notes

    @property
    def doubt(self) -> tuple[int, float, int]:
        """Sorts the least certain first, what cannot be read after it, what is open last."""
        order = {"unfamiliar": 0, "classified": 1, "failed": 2, "unusable": 3, "not_a_smear": 3}
        shares = (self.analysis.probabilities if self.analysis else None) or {}
        top = max(shares.values(), default=0.0) if self.verdict.code == "classified" else 0.0
        return order.get(self.verdict.code, 4), top, self.number


def cell_counts(fields: list[Field], named: Counter[str]) -> list[dict[str, Any]]:
    """Cells by class, as their fields are read and as readers named them; the uncertain first.

    Args:
        named: how many cells readers call what, by `CellLabel`.

    Returns `name`, `computer` (cells in fields that the model reads so) and `readers` (cells that
    a reader named so), for each `CellLabel` that either has.
    """
    read: Counter[str] = Counter()
    for field in fields:
        hidden = field.verdict.code == "succeeded"
        if field.analysis and field.analysis.cell_count and not hidden:
            firm = field.verdict.code == "classified" and field.certainty != Certainty.UNCERTAIN
            group = field.analysis.label if firm else CellLabel.UNCERTAIN.value
            read[group] += field.analysis.cell_count
    order = [CellLabel.UNCERTAIN, *(one for one in CellLabel if one != CellLabel.UNCERTAIN)]
    return [
        {"name": label.label, "computer": read[label], "readers": named[label]}
        for label in order
        if read[label] or named[label]
    ]


def fields_of(images: Any) -> list[Field]:
    """The fields of a case, numbered by arrival, the least certain first."""
    fields = [
        Field(number, image, image.latest_analyses[0] if image.latest_analyses else None)
        for number, image in enumerate(images, start=1)
    ]
    return sorted(fields, key=lambda field: field.doubt)


def age_in_words(birth: date) -> str:
    """A patient's age: in months below two years, as paediatricians count."""
    today = timezone.localdate()
    months = (today.year - birth.year) * 12 + today.month - birth.month
    months -= today.day < birth.day
    return f"{months} months" if months < 24 else f"{months // 12} years"
