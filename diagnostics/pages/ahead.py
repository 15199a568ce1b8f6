"""The next case's pictures, for a browser that fetches them while the reader looks at this one.

Pictures and outlines only: names and results wait until the case is opened. What is fetched so is
marked in the audit trail as fetched, not as read; shown it counts as read, as always, because the
case's page is asked for then.
"""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from diagnostics.pages import listing
from diagnostics.pages.presenting import fields_of
from diagnostics.selectors import images_with_analyses, reports_visible_to
from diagnostics.services import own_call, reading
from hospital.accounts.selectors import clinic_ids_where

STRIP = 24  # thumbnails that stand on the screen before anybody scrolls


def reading_of(request: HttpRequest) -> str:
    """What a request for a picture is noted as: a reading, or fetched ahead when it says so."""
    return reading.AHEAD if request.headers.get("X-Purpose") == "ahead" else reading.BY_STAFF


@never_cache
@require_safe
def ahead(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """Which addresses the case will show first, the largest first."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    reading.note_seen(user=request.user, report=report, action=reading.AHEAD)
    images = images_with_analyses(report)
    hidden = own_call.hides(request.user, report)  # then they come in the order of arrival
    fields = fields_of(own_call.veil_fields(images) if hidden else images)
    first = [reverse("picture", args=[field.image.pk, "original"]) for field in fields[:1]]
    first += [
        reverse("picture-cells", args=[field.image.pk]) for field in fields[:1] if field.drawn
    ]
    strip = [reverse("picture", args=[field.image.pk, "thumbnail"]) for field in fields[:STRIP]]
    return JsonResponse({"pictures": first + strip})


@never_cache
@require_safe
def ahead_of(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The same of the case that follows this one on the list; 404 after the last."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    clinics = clinic_ids_where(request.user, "diagnostics.view_diagnosticreport")
    other = listing.beside(report, clinics, later=True)
    if other is None:
        raise Http404
    return redirect("case-ahead", other.pk)
