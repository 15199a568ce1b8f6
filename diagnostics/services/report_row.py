"""A report's row: locked while somebody acts on it, what they did noted, open screens told."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from diagnostics.models import DiagnosticReport
from hospital.accounts.selectors import clinic_topic
from hospital.audit.services import Actor, entry, record_all
from hospital.live.services import publish
from patients.selectors import patient_topic


def under_lock() -> QuerySet[DiagnosticReport]:
    """Reports, each row locked as it is read, so that rebuilds, calls and signatures take turns."""
    return DiagnosticReport.objects.select_for_update(of=("self",)).order_by()


def locked(*with_: str, **which: Any) -> DiagnosticReport:
    """The one report that `which` names, under its lock, with the rows that `with_` names."""
    reports = under_lock()
    return (reports.select_related(*with_) if with_ else reports).get(**which)


def audit(actor: Actor, action: str, report: DiagnosticReport, **detail: Any) -> None:
    """Note in the audit trail what `actor` did with the report, at which version."""
    audit_all(actor, action, [report], **detail)


def audit_all(
    actor: Actor, action: str, reports: Iterable[DiagnosticReport], **detail: Any
) -> None:
    """Note the same of each of several, in one journey."""
    record_all(
        entry(
            actor,
            action,
            report,
            clinic_id=report.clinic_id,
            patient_id=report.patient_id,
            detail={"version": report.version, **detail},
        )
        for report in reports
    )


def tell(report: DiagnosticReport, *, family: bool) -> None:
    """Let open screens look again: the clinic's, and the `family`'s if they may, or could."""
    topics = [clinic_topic(report.clinic_id)]
    if family:
        topics.append(patient_topic(report.patient_id))
    publish("report.changed", report.pk, version=report.version, topics=topics)
