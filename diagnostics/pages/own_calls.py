"""The reader's own call on the case page, and how readers and models agree."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from diagnostics.concordance import ENOUGH, concordance_of
from diagnostics.models import Conclusion, DiagnosticReport
from diagnostics.pages.ranges import days_asked
from diagnostics.selectors import own_calls_visible_to, reports_visible_to
from diagnostics.services import own_call
from hospital.accounts.selectors import clinic_ids_where
from hospital.base.problems import Refusal

RANGES = (30, 90, 365)
SEES_ALL, MAKES = "diagnostics.view_owncall", "diagnostics.add_owncall"


@never_cache
@require_safe
def concordance(request: HttpRequest) -> HttpResponse:
    """How readers and models agree; of everybody for who may see that, else of oneself."""
    user = request.user
    sees_all = bool(clinic_ids_where(user, SEES_ALL))
    if not sees_all and not clinic_ids_where(user, MAKES):
        raise PermissionDenied(_("This page is for readers and their administrators."))
    calls = own_calls_visible_to(user)
    readers = calls.order_by("by__username").values_list("by", "by__first_name", "by__last_name")
    packages = list(calls.order_by("package").values_list("package", flat=True).distinct())
    known = {str(pk): f"{first} {last}" for pk, first, last in readers.distinct()}
    asked = {name: request.GET.get(name, "") for name in ("reader", "package")}
    if asked["reader"] in known:
        calls = calls.filter(by_id=UUID(asked["reader"]))
    if asked["package"] in packages:
        calls = calls.filter(package=asked["package"])
    days = days_asked(request, among=RANGES, otherwise=0)
    context = {
        "concordance": concordance_of(calls, days=days),
        "classes": Conclusion.choices,
        "readers": known,
        "packages": packages,
        "asked": asked,
        "days": days,
        "ranges": RANGES,
        "enough": ENOUGH,
        "sees_all": sees_all,
        "here": "concordance",
    }
    return render(request, "diagnostics/concordance.html", context)


@require_POST
def commit(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """A reader says what they see; the page then shows what the model says."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    try:
        made = own_call.commit(
            user=request.user, report=report, call=request.POST.get("conclusion", "")
        )
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        words = {"call": made.get_call_display()}
        messages.success(request, _("Your call is kept: %(call)s.") % words)
    return redirect("case", report_id)


def own_call_context(user: Any, report: DiagnosticReport) -> dict[str, Any]:
    """What the 'Your own call' part of the case page shows; `report` as it may be shown."""
    if not report.blind:
        return {}
    return {
        "own_call": own_call.own_call(user, report),
        "calls": [] if report.veiled else own_call.calls_on(report),
        "call_choices": Conclusion.choices,
    }
