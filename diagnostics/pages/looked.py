"""The portal's page of who has looked at a patient's record."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from diagnostics.looks import looks_at
from patients.selectors import live_access


@never_cache
@require_safe
def looked(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """The page; `?before=` goes further back."""
    links = live_access(request.user).select_related("patient__clinic")
    link = get_object_or_404(links, patient_id=patient_id)
    looks, further = looks_at(patient_id, reader=request.user, before=_before(request))
    context = {"patient": link.patient, "looks": looks, "further": further}
    return render(request, "portal/looked.html", context)


def _before(request: HttpRequest) -> int | None:
    given = request.GET.get("before", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else None
