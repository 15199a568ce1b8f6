"""Reads of patient data leave a trace too: who opened what, when, at which version."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from diagnostics.models import Analysis, DiagnosticReport, Receipt, Specimen
from diagnostics.selectors import newest_version
from diagnostics.services import rereading
from diagnostics.services.report_row import audit
from hospital.audit.models import Entry
from hospital.audit.services import Actor, record, record_listed

# An open page refetches with every event; that is one reading, not hundreds.
ONE_READING = timedelta(minutes=15)

BY_STAFF = "report.read"
IN_PORTAL = "report.read_in_portal"
PRINTED = "report.printed"
# A browser has fetched pictures of the case that comes next. Nobody has looked: when the case is
# opened, that is an entry of its own.
AHEAD = "report.fetched_ahead"


def note_opened(*, user: Any, report: DiagnosticReport, action: str = BY_STAFF) -> None:
    """Record that `user` opened the report's page, and what it says now."""
    if action == BY_STAFF:
        rereading.done(user=user, report=report, in_portal=False)
    audit(Actor.user(user), action, report)


def note_seen(*, user: Any, report: DiagnosticReport, action: str = BY_STAFF) -> None:
    """Record that `user` was shown a part of the report, unless a recent entry covers it."""
    recent = Entry.objects.filter(
        subject_type=report._meta.label_lower,
        subject_id=str(report.pk),
        actor_id=str(user.pk),
        action=action,
        at__gt=timezone.now() - ONE_READING,
    )
    if action == BY_STAFF:
        rereading.done(user=user, report=report, in_portal=False)
    if not recent.exists():
        note_opened(user=user, report=report, action=action)


def note_compared(*, user: Any, analysis: Analysis, cell: int, reports: Sequence[UUID]) -> None:
    """Record that `user` was shown cells of other, signed `reports` beside one of this analysis."""
    image = analysis.image
    record(
        Actor.user(user),
        "cell.compared",
        analysis,
        clinic_id=image.clinic_id,
        patient_id=image.patient_id,
        cell=cell,
        reports=[str(report) for report in reports],
    )


def note_listed(*, user: Any, reports: Iterable[DiagnosticReport]) -> None:
    """Record whose reports stood on the worklist that `user` was shown."""
    told = [(report.clinic_id, report.patient_id) for report in reports]
    record_listed(Actor.user(user), "worklist.listed", told)


def note_specimen(*, user: Any, specimen: Specimen) -> None:
    """Record that `user` was given a specimen's data."""
    whose = {"clinic_id": specimen.clinic_id, "patient_id": specimen.patient_id}
    record(Actor.user(user), "specimen.read", specimen, **whose)


def note_receipt(*, user: Any, report: DiagnosticReport) -> None:
    """Record that `user` was shown this version in the portal, the first time."""
    version = newest_version(report)
    number = version.version if version else report.version
    receipt = Receipt(report=report, version=number, signed=bool(version), user=user)
    Receipt.objects.bulk_create([receipt], ignore_conflicts=True)
    rereading.done(user=user, report=report, in_portal=True)


def note_printed(
    *, user: Any, report: DiagnosticReport, version: int, signed: bool, in_portal: bool
) -> None:
    """Record that `user` was given the report as PDF, each copy: paper cannot be taken back."""
    record(
        Actor.user(user),
        PRINTED,
        report,
        clinic_id=report.clinic_id,
        patient_id=report.patient_id,
        version=version,
        signed=signed,
        in_portal=in_portal,
    )
