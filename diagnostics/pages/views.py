"""Saved views of the worklist: saving one, and what is done with it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from diagnostics.pages.choice import Choice
from diagnostics.selectors import views_for
from diagnostics.services import views
from hospital.accounts.selectors import clinics_where
from hospital.base.problems import Refusal

DEEDS = {"opens-first": views.open_first, "forget": views.forget_view}


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keep the view that the page shows: `name`, `query`, `share` (a clinic), `first`."""
    clinics = _clinics(request)
    choice = Choice.of(QueryDict(request.POST.get("query", ""))).from_("")
    share = request.POST.get("share", "")
    try:
        view = views.save_view(
            user=request.user,
            name=request.POST.get("name", ""),
            query=choice.query(),
            searches=bool(choice.words),
            clinic=get_object_or_404(clinics, code=share) if share else None,
            opens_first="first" in request.POST,
        )
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, f"Saved as “{view}”.")
    return HttpResponseRedirect(f"{reverse('worklist')}?{choice.query()}")


@require_POST
def deed(request: HttpRequest, view_id: UUID, deed: str) -> HttpResponse:
    """Do one of `DEEDS` to a view of one's own."""
    if deed not in DEEDS:
        raise Http404
    clinics = [clinic.pk for clinic in _clinics(request)]
    view = get_object_or_404(views_for(request.user, clinics), pk=view_id)
    try:
        DEEDS[deed](user=request.user, view=view)
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("worklist")


def _clinics(request: HttpRequest) -> Any:
    clinics = clinics_where(request.user, "diagnostics.view_diagnosticreport")
    if not clinics.exists():
        raise PermissionDenied("The worklist is for those who read cases.")
    return clinics
