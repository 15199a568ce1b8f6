"""A signed report is amended, corrected or withdrawn; and what it said in each of its versions."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from diagnostics.documents.statement import of_version
from diagnostics.models import Conclusion, DiagnosticReport, ReportStatus
from diagnostics.pages.forms import AmendForm, ProofForm, WithdrawForm
from diagnostics.plain_words import PLAIN
from diagnostics.possible import case_actions
from diagnostics.selectors import readers_of, reports_visible_to
from diagnostics.services import reading, signed_words, signing
from diagnostics.services.snapshots import is_whole
from hospital.accounts.models import SecondReader
from hospital.accounts.signin.factors import has_app, has_passkey

_CHANGED = "Changed. Those who had read the earlier version are told."
_WAITS = "Signed as first reader. What stood before stands until a second haematologist confirms."


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def amend(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """Another version of a signed report. What was typed comes back, but the password."""
    report = _signed(request, report_id)
    if request.method != "POST":
        said = {"conclusion": report.conclusion, "comment": report.comment}
        return _amend_page(request, report, AmendForm(initial=said | {"version": report.version}))
    form = AmendForm(request.POST)
    status = form.carry_out(signing.amend, user=request.user, report=report)
    if status == 200:
        messages.success(request, _CHANGED if form.done.waiting_id is None else _WAITS)
        return redirect("case", report_id)
    return _amend_page(request, report, form, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """A signed report is taken back."""
    report = _signed(request, report_id)
    form = WithdrawForm(request.POST or None, initial={"version": report.version})
    status = 200
    if request.method == "POST":
        status = form.carry_out(signing.withdraw, user=request.user, report=report)
        if status == 200:
            messages.success(request, "Withdrawn. Those who had read it are told.")
            return redirect("case", report_id)
    context = _context(request, report, form)
    return render(request, "diagnostics/withdraw.html", context, status=status)


@never_cache
@require_safe
def version(request: HttpRequest, report_id: UUID, number: int) -> HttpResponse:
    """What was signed as that version, for the history: also of a report that was withdrawn."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    row = get_object_or_404(report.versions.select_related("report"), version=number)
    reading.note_seen(user=request.user, report=report)
    statement = of_version(row)
    context = {
        "report": report,
        "statement": statement,
        "said": statement.report,
        "version": row,
        "whole": is_whole(row),
        "words": signed_words.shown(statement.words, PLAIN, "en"),
        "withdrawn": report.status == ReportStatus.ENTERED_IN_ERROR,
    }
    return render(request, "diagnostics/version.html", context)


def _signed(request: HttpRequest, report_id: UUID) -> DiagnosticReport:
    """A report that the reader may sign; what may become of it, the service says."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    if not case_actions(request.user, report).signs:
        raise PermissionDenied("Your role does not let you do this in this clinic.")
    return report


def _amend_page(
    request: HttpRequest, report: DiagnosticReport, form: AmendForm, *, status: int = 200
) -> HttpResponse:
    context = _context(request, report, form) | {
        "conclusions": Conclusion.choices,
        "word_templates": signed_words.templates(report.clinic),
        "second": report.clinic.second_reader != SecondReader.NEVER,
    }
    return render(request, "diagnostics/amend.html", context, status=status)


def _context(request: HttpRequest, report: DiagnosticReport, form: ProofForm) -> dict[str, Any]:
    """Also who is told again: whoever has read what stands now."""
    report.refresh_from_db()
    if form.is_bound:
        form.about_present_version(report.version)
    newest = report.versions.first()
    return {
        "report": report,
        "form": form,
        "has_app": has_app(request.user),
        "has_passkey": has_passkey(request.user),
        "readers": readers_of(report, newest.version) if newest else [],
    }
