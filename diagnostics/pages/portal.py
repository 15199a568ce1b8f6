"""The portal: patients and guardians read released reports in plain words."""

from itertools import groupby
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from diagnostics.models import DiagnosticReport, ReportStatus
from diagnostics.models.report import WITHDRAWN
from diagnostics.pages.levels import level_of, remember_level
from diagnostics.pages.presenting import synthetic_of
from diagnostics.patient_message import PatientMessage, patient_message
from diagnostics.plain_words import LEVEL_NAMES
from diagnostics.selectors import (
    earlier_reading,
    newest_version,
    pictures_for_family,
    portal_reports,
)
from diagnostics.services import reading, signed_words
from hospital.live.selectors import newest_event_id
from patients.models import PortalAccess, Relation
from patients.selectors import ended_access, live_access

PICTURES = 4


@never_cache
@require_safe
def portal(request: HttpRequest) -> HttpResponse:
    """The page: every patient of this account with their released reports."""
    return render(request, "portal/list.html", _list_context(request))


@never_cache
@require_safe
def portal_live(request: HttpRequest) -> HttpResponse:
    """The list alone, for a page that heard an event."""
    return render(request, "portal/list/live.html", _list_context(request) | {"swap": True})


@never_cache
@require_safe
def portal_report(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """One report. Opening it is noted in the audit trail."""
    since = newest_event_id()
    report = get_object_or_404(portal_reports(request.user), pk=report_id)
    reading.note_opened(user=request.user, report=report, action=reading.IN_PORTAL)
    reading.note_receipt(user=request.user, report=report)
    context = _report_context(request, report) | {"since": since, "live": "/ws/portal/"}
    return remember_level(request, render(request, "portal/report.html", context))


@never_cache
@require_safe
def portal_report_live(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The report alone, for a page that heard an event; 404 once it is closed again."""
    report = get_object_or_404(portal_reports(request.user), pk=report_id)
    reading.note_seen(user=request.user, report=report, action=reading.IN_PORTAL)
    reading.note_receipt(user=request.user, report=report)
    context = _report_context(request, report) | {"swap": True}
    return render(request, "portal/report/live.html", context)


def _list_context(request: HttpRequest) -> dict[str, Any]:
    since = newest_event_id()
    links = list(live_access(request.user).select_related("patient__clinic"))
    released = portal_reports(request.user).order_by("patient_id", "-released_at")
    by_patient = {
        patient: list(reports) for patient, reports in groupby(released, lambda r: r.patient_id)
    }
    return {
        "since": since,
        "live": "/ws/portal/" if links else "",
        "ended": list(ended_access(request.user).select_related("patient")),
        "people": sorted(
            (_person(link, by_patient.get(link.patient_id, [])) for link in links),
            key=lambda person: (not person["own"], not person["reports"], str(person["patient"])),
        ),
    }


def _person(link: PortalAccess, reports: list[DiagnosticReport]) -> dict[str, Any]:
    return {
        "patient": link.patient,
        "own": link.relation == Relation.SELF,
        "reports": [
            {
                "report": report,
                "message": _message(report, link),
                "synthetic": synthetic_of(report),
            }
            for report in reports
        ],
    }


def _report_context(request: HttpRequest, report: DiagnosticReport) -> dict[str, Any]:
    link = get_object_or_404(live_access(request.user), patient_id=report.patient_id)
    return {
        "report": report,
        "message": _message(report, link),
        "withdrawn": report.status in WITHDRAWN,
        "changed": report.status in {ReportStatus.AMENDED, ReportStatus.CORRECTED},
        "replaced": earlier_reading(request.user, report),
        "said": _said(request, report),
        "level": level_of(request),
        "levels": LEVEL_NAMES.items(),
        "own": link.relation == Relation.SELF,
        "synthetic": synthetic_of(report),
        "pictures": pictures_for_family(report).order_by("received_at")[:PICTURES],
    }


def _said(request: HttpRequest, report: DiagnosticReport) -> signed_words.Shown | None:
    """The words that were signed; None for what nobody has signed, or signed without words."""
    version = newest_version(report)
    signed = version.content.get("words", {}) if version else {}
    return signed_words.shown(signed, level_of(request), get_language() or "en")


def _message(report: DiagnosticReport, link: PortalAccess) -> PatientMessage:
    return patient_message(report, guardian=link.relation == Relation.GUARDIAN)
