"""What the case page says of the family: whether, when and why it can read the report."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from diagnostics.models import DiagnosticReport
from diagnostics.selectors import receipts_of, reports_visible_to
from diagnostics.services import release
from diagnostics.words_of_release import Standing, standing_in_words
from hospital.accounts.selectors import may
from hospital.base.problems import Refusal


@require_POST
def told(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """Somebody has spoken with the family."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    try:
        release.mark_told(user=request.user, report=report)
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, "Marked: the family was told.")
    return redirect("case", report_id)


def family_context(user: Any, report: DiagnosticReport) -> dict[str, Any]:
    """What the 'Family' part of the case page shows to `user`."""
    return {
        "standing": _standing(report),
        "may_tell": report.is_signed
        and not release.was_told(report)
        and may(user, "diagnostics.tell_family", report.clinic_id),
        "was_told": release.was_told(report),
        "receipts": [] if report.veiled else receipts_of(report)[:20],
    }


def _standing(report: DiagnosticReport) -> Standing:
    if report.veiled:  # the rule that holds follows from what the model says
        return Standing("closed", _("Shown after your own call"), None, "")
    return standing_in_words(
        report,
        rule=release.rule_for(report),
        wish=release.wish_of(report.patient_id),
        is_open=release.is_open(report),
    )
