"""When and why a family can read a report, in words for staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from diagnostics.models import DiagnosticReport, ReleaseRule, ReleaseWay, Wish
from diagnostics.models.report import WITHDRAWN


@dataclass(frozen=True)
class Standing:
    """Whether the family can read, and why.

    Attributes:
        says: in a few words; `at` is the time it speaks of, or None.
        because: a sentence.
    """

    code: str
    says: str
    at: datetime | None
    because: str


def standing_in_words(
    report: DiagnosticReport, *, rule: ReleaseRule | None, wish: str, is_open: bool
) -> Standing:
    """What the case page says.

    Args:
        rule: the clinic's about this report; None is 'on signature'.
        wish: the patient's `Wish`.
        is_open: whether the family can read the report now.
    """
    because = _because(rule, wish)
    if is_open and report.status in WITHDRAWN:
        told = _("The family reads that the report was withdrawn.")
        return Standing("open", _("Said in the portal since"), report.portal_from, told)
    if is_open:
        return Standing("open", _("In the portal since"), report.released_at, because)
    if report.status in WITHDRAWN:
        return Standing("closed", _("Not in the portal"), None, _("The report was withdrawn."))
    if report.portal_from:
        return Standing("timed", _("In the portal from"), report.portal_from, because)
    return Standing("closed", _("Not in the portal"), None, because)


def _because(rule: ReleaseRule | None, wish: str) -> str:
    if wish == Wish.NOT_IN_PORTAL:
        return _("The family does not want results in the portal.")
    if wish == Wish.AFTER_CALL:
        return _("The family wants to be told first. Mark it when somebody has.")
    way = rule.way if rule else ReleaseWay.ON_SIGNATURE
    if way == ReleaseWay.AFTER_HOURS:
        hours = (rule.hours if rule else None) or 0
        text = ngettext(
            "The clinic’s rule: %(n)s hour after the signature.",
            "The clinic’s rule: %(n)s hours after the signature.",
            hours,
        )
        return text % {"n": hours}
    return {
        ReleaseWay.AT_ONCE: _("The clinic’s rule: at once, marked as not reviewed until signed."),
        ReleaseWay.AFTER_CALL: _(
            "The clinic’s rule: after the family was told. Mark it when somebody has."
        ),
    }.get(ReleaseWay(way), _("The clinic’s rule: when it is signed."))
