"""Calls: every try to tell somebody what a report says is a row, for good.

The one truth of 'somebody has called': a call-back ends by it, and release 'after the call' asks
`told` (see `release`).
"""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from diagnostics.models import (
    CallEnd,
    ContactTry,
    CriticalSource,
    DiagnosticReport,
    Recipient,
    ReportStatus,
)
from diagnostics.models.critical import FAMILY
from diagnostics.services import critical, own_call, release
from diagnostics.services.report_row import audit, locked
from hospital.accounts.guards import ensure_may
from hospital.audit.services import Actor
from hospital.base.problems import Conflict, Refusal, ensure_fits

# What a record of a call holds, in characters.
LONGEST = {"name": 120, "role": 120, "note": 400}


@dataclass(frozen=True)
class Call:
    """Whom somebody tried to tell, and how that ended.

    Attributes:
        relation: a `Recipient`.
        outcome: a `CallEnd`.
        name, role: of who was told; the name may be left out when nobody was reached.
    """

    relation: str
    outcome: str
    name: str = ""
    role: str = ""
    note: str = ""


@transaction.atomic
def note(*, user: Any, report: DiagnosticReport, value: str, call: Call) -> ContactTry:
    """Keep a try to tell what `report` says. One that was read back settles what it has said.

    Args:
        value: what was on the page that the caller read from; '' for nothing.

    Raises:
        Forbidden: `user` may not note calls here, or not to families.
        Refusal: what was given makes no record of a call, or does not fit into one
            (`note_too_long`).
        Conflict: a family is told only what is signed ('not_signed'); the report says something
            else by now ('value_changed'); the own call comes first.
    """
    _ensure_may(user, report, call)
    said = {
        name: ensure_fits(getattr(call, name), longest, what=name)
        for name, longest in LONGEST.items()
    }
    report = locked(pk=report.pk)
    own_call.ensure_called(user, report)
    if call.relation in FAMILY and source_of(report) == CriticalSource.MODEL:
        raise Conflict("Sign the report first, then tell the family.", code="not_signed")
    if value != value_of(report):
        raise Conflict(
            "The report says something else by now. Look at it again, and tell them what has "
            "changed; then note the call.",
            code="value_changed",
        )
    call_back = critical.open_call_back(report)
    how = {"relation": call.relation, "outcome": call.outcome}
    made = ContactTry.objects.create(
        report=report,
        call_back=call_back,
        by=user,
        version=report.version,
        value=value_of(report),
        source=source_of(report),
        **how,
        **said,
    )
    audit(Actor.user(user), "report.told", report, **how)
    if call_back and made.confirmed:
        critical.settle(call_back, made)
    release.follow_call(report)
    return made


def value_of(report: DiagnosticReport) -> str:
    """What there is to tell: what was signed, before that what the model says; '' for nothing."""
    return report.impression if source_of(report) == CriticalSource.MODEL else report.conclusion


def source_of(report: DiagnosticReport) -> CriticalSource:
    """Whose word `value_of` is."""
    if report.status == ReportStatus.ENTERED_IN_ERROR:
        return CriticalSource.WITHDRAWN
    return CriticalSource.SIGNED if report.is_signed else CriticalSource.MODEL


def _ensure_may(user: Any, report: DiagnosticReport, call: Call) -> None:
    ensure_may(user, "diagnostics.add_contacttry", report.clinic_id, "note calls")
    if call.relation not in Recipient.values or call.outcome not in CallEnd.values:
        raise Refusal("Say whom you called and how it ended.", code="call_incomplete")
    if call.relation in FAMILY:
        ensure_may(user, "diagnostics.tell_family", report.clinic_id, "tell families")
    if call.outcome != CallEnd.UNREACHED and not call.name.strip():
        raise Refusal("Write down the name of who was told.", code="name_missing")
