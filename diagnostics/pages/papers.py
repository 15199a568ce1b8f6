"""Reports on paper: as PDF for those who may read them."""

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from diagnostics.documents.answer import pdf_answer
from diagnostics.pages.levels import level_of
from diagnostics.selectors import portal_reports, reports_visible_to
from diagnostics.services import printing
from hospital.base.problems import Refusal
from patients.models import Relation
from patients.selectors import live_access


@require_safe
def case_pdf(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The report for staff: `?version=` a signed one, `?paper=` other than the clinic's."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    back = reverse("case", args=[report_id])

    def make() -> printing.Printed:
        return printing.for_staff(
            user=request.user,
            report=report,
            site=site_of(request),
            version=request.GET.get("version", ""),
            paper=request.GET.get("paper", ""),
        )

    return _answer(request, make, back=back)


@require_safe
def portal_pdf(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The report for the patient or a guardian, as far as the portal shows it."""
    report = get_object_or_404(portal_reports(request.user), pk=report_id)
    link = get_object_or_404(live_access(request.user), patient_id=report.patient_id)
    back = reverse("portal-report", args=[report_id])

    def make() -> printing.Printed:
        return printing.for_portal(
            user=request.user,
            report=report,
            guardian=link.relation == Relation.GUARDIAN,
            site=site_of(request),
            paper=request.GET.get("paper", ""),
            level=level_of(request),
        )

    return _answer(request, make, back=back)


def site_of(request: HttpRequest) -> str:
    """Where this request came to, such as 'https://host'."""
    return request.build_absolute_uri("/").rstrip("/")


def _answer(
    request: HttpRequest, make: Callable[[], printing.Printed], *, back: str
) -> HttpResponse:
    try:
        return pdf_answer(make())
    except Refusal as refusal:
        context = {"refusal": refusal, "back": back}
        return render(request, "diagnostics/not_printed.html", context, status=refusal.status)
