"""What a reader does to sign a case: be shown its fields, and put their name to it."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from diagnostics.looking import fields_seen
from diagnostics.pages.case import case_page, left_context
from diagnostics.pages.forms import ProofForm, SignForm
from diagnostics.pages.presenting import fields_of
from diagnostics.selectors import images_with_analyses, reports_visible_to
from diagnostics.services import looking, signing
from hospital.base.problems import Refusal
from hospital.live.selectors import newest_event_id

_SIGNED = {
    True: "Signed. The report is final.",
    False: "Signed as first reader. It waits for a second haematologist.",
}


@require_POST
def seen(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """These fields (`image`, any number) were on the reader's screen: says what is left."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    looking.note_fields_seen(user=request.user, report=report, images=_ids(request))
    fields = fields_of(images_with_analyses(report))
    left = left_context(report, fields, fields_seen(request.user, report))
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "diagnostics/case/left.html", left)
    following = left["next_left"]
    at = f"?field={following.image.pk}" if following else ""
    return redirect(f"{redirect('case', report.pk).url}{at}")


@never_cache
@require_POST
def sign(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """A haematologist concludes. What was typed comes back with a refusal, but the password."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    form = SignForm(request.POST)
    status = form.carry_out(signing.sign, user=request.user, report=report)
    if status == 200:
        messages.success(request, _SIGNED[form.done.is_signed])
        return redirect("case", report_id)
    since = newest_event_id()
    report = reports_visible_to(request.user).get(pk=report_id)
    form.about_present_version(report.version)
    return case_page(request, report, since=since, form=form, status=status)


@never_cache
@require_POST
def confirm(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """A second haematologist agrees with the reading that waits."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    form = ProofForm(request.POST)
    status = form.carry_out(signing.confirm, user=request.user, report=report)
    if status == 200:
        messages.success(request, "Confirmed and signed, under both names.")
        return redirect("case", report_id)
    since = newest_event_id()
    report = reports_visible_to(request.user).get(pk=report_id)
    form.about_present_version(report.version)
    return case_page(request, report, since=since, second_form=form, status=status)


@require_POST
def send_back(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The reading that waits is not confirmed, for the reason given."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    try:
        signing.send_back(
            user=request.user,
            report=report,
            version=version_of(request),
            reason=request.POST.get("reason", ""),
        )
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, "Sent back. Whoever read it first sees why in the history.")
    return redirect("case", report_id)


def version_of(request: HttpRequest) -> int:
    """The report's version on the page that was sent; 0 for none that makes sense."""
    try:
        return int(request.POST.get("version", ""))
    except ValueError:
        return 0


def _ids(request: HttpRequest) -> list[UUID]:
    """Those that were sent; what is no id is nobody's picture."""
    found = []
    for text in request.POST.getlist("image"):
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found
