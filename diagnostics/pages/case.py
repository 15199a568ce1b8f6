"""A case: one specimen's pictures, what the model says of them, and what people conclude."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from diagnostics.models import Conclusion, DiagnosticReport, ReportStatus
from diagnostics.pages.family import family_context
from diagnostics.pages.forms import SignForm
from diagnostics.pages.presenting import Row, age_in_words, fields_of
from diagnostics.selectors import analyses_visible_to, images_with_analyses, reports_visible_to
from diagnostics.services import analyses, reading, reports, signed_words
from hospital.accounts.selectors import may
from hospital.base.problems import Refusal
from hospital.live.selectors import newest_event_id


@never_cache
@require_safe
def case(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The page. Opening it is noted in the audit trail."""
    since = newest_event_id()
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    reading.note_opened(user=request.user, report=report)
    return _page(request, report, since=since)


@never_cache
@require_safe
def case_live(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The parts of the page that change, for a page that heard an event."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    reading.note_seen(user=request.user, report=report)
    return _live(request, report)


@require_POST
def verify(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """A technician has looked at it."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    try:
        version = int(request.POST.get("version", ""))
    except ValueError:
        version = 0
    try:
        reports.verify(user=request.user, report=report, version=version)
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, "Verified. It now waits for a haematologist.")
    return redirect("case", report_id)


@never_cache
@require_POST
def sign(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """A haematologist concludes. What was typed comes back with a refusal, but the password."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    form = SignForm(request.POST)
    status = 422
    if form.is_valid():
        try:
            reports.sign(user=request.user, report=report, **form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal.code, refusal.detail)
            status = refusal.status
        else:
            messages.success(request, "Signed. The report is final.")
            return redirect("case", report_id)
    since = newest_event_id()
    report = reports_visible_to(request.user).get(pk=report_id)
    form.about_present_version(report.version)
    return _page(request, report, since=since, form=form, status=status)


@require_POST
def retry(request: HttpRequest, analysis_id: UUID) -> HttpResponse:
    """Queue a failed analysis again; the page stays as it is but for its live parts."""
    analysis = get_object_or_404(analyses_visible_to(request.user), pk=analysis_id)
    report = get_object_or_404(
        reports_visible_to(request.user), specimen_id=analysis.image.specimen_id
    )
    try:
        analyses.retry(user=request.user, analysis=analysis)
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, "Queued again. The result appears here by itself.")
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("case", report.pk)
    report.refresh_from_db()
    return _live(request, report)


def _page(
    request: HttpRequest,
    report: DiagnosticReport,
    *,
    since: int,
    form: SignForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = _context(request, report, form) | {"since": since, "live": "/ws/clinic/"}
    return render(request, "diagnostics/case.html", context, status=status)


def _live(request: HttpRequest, report: DiagnosticReport) -> HttpResponse:
    context = _context(request, report, None) | {"swap": True}
    return render(request, "diagnostics/case/live.html", context)


def _context(
    request: HttpRequest, report: DiagnosticReport, form: SignForm | None
) -> dict[str, Any]:
    user, clinic = request.user, report.clinic_id
    row = Row(report)
    fields = fields_of(images_with_analyses(report))
    shown = request.GET.get("field", "")
    chosen = next((f for f in fields if str(f.image.pk) == shown), fields[0] if fields else None)
    signable = report.status in {ReportStatus.PARTIAL, ReportStatus.PRELIMINARY}
    return {
        "report": report,
        "row": row,
        "patient": report.patient,
        "specimen": report.specimen,
        "age": age_in_words(report.patient.birth_date),
        "microscopes": sorted({f.image.device.name for f in fields}),
        "fields": fields,
        "chosen": chosen,
        "form": form or SignForm(initial={"version": report.version}),
        "conclusions": Conclusion.choices,
        "word_templates": signed_words.templates(report.clinic) if signable else {},
        "versions": report.versions.select_related("signed_by"),
        "may_retry": may(user, "diagnostics.retry_analysis", clinic),
        "may_verify": report.status == ReportStatus.PARTIAL
        and may(user, "diagnostics.verify_diagnosticreport", clinic),
        "may_sign": signable and may(user, "diagnostics.sign_diagnosticreport", clinic),
        "waits": row.fields["pending"],
        **family_context(user, report),
    }
