"""The cells of one field as JSON, for the case page's own scripts."""

from uuid import UUID

from django.http import Http404, HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from diagnostics.models import DiagnosticReport
from diagnostics.selectors import images_visible_to, spoken_of
from diagnostics.services import drawing, reading


@never_cache
@require_safe
def cells(request: HttpRequest, image_id: UUID) -> JsonResponse:
    """Outlines and measures of the cells found in a picture; see `services.drawing.cells`."""
    image = get_object_or_404(images_visible_to(request.user), pk=image_id)
    analysis = spoken_of(image)
    if analysis is None:
        raise Http404
    report = DiagnosticReport.objects.filter(specimen=image.specimen).first()
    if report is not None:
        reading.note_seen(user=request.user, report=report)
    try:
        found = drawing.cells(analysis)
    except FileNotFoundError as missing:
        raise Http404 from missing
    return JsonResponse({"analysis": str(analysis.pk), **found})
