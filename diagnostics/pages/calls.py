"""A call is noted on the case page."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from diagnostics.pages.case import case_page
from diagnostics.pages.contacts import CallForm
from diagnostics.selectors import reports_visible_to
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.live.selectors import newest_event_id


@never_cache
@require_POST
def note(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """Somebody has tried to tell; whether they were reached or not.

    What was typed comes back with a refusal that it can be mended after; not when the report says
    something else by now, which has to be told first.
    """
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    form = CallForm(request.POST)
    try:
        made = form.carry_out(request.user, report)
    except (Conflict, Forbidden) as refusal:
        messages.error(request, refusal.detail)
    except Refusal as refusal:
        messages.error(request, refusal.detail)
        since = newest_event_id()
        return case_page(request, report, since=since, call_form=form, status=refusal.status)
    else:
        messages.success(request, _("Noted: %(end)s.") % {"end": made.get_outcome_display()})
    return redirect("case", report_id)
