"""Pictures, each behind the permission of the page that shows it. Never by their storage name."""

import hashlib
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from diagnostics.alike import references_visible_to
from diagnostics.models import (
    Analysis,
    DiagnosticReport,
    FieldImage,
    HeatMap,
    HeatMapState,
)
from diagnostics.models.report import WITHDRAWN
from diagnostics.pages import ahead
from diagnostics.selectors import (
    control_images_visible_to,
    images_visible_to,
    pictures_for_family,
    portal_reports,
    spoken_of,
)
from diagnostics.services import drawing, guards, own_call, reading
from hospital.base import files
from ml import images

_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png"}
_KINDS = ("original", "segmented", "overlay", "thumbnail", "heat")
_PORTAL_KINDS = ("original", "overlay")
# Whatever the bytes are: they are a picture, of this type, and run nothing.
_ARMOUR = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Kept by the browser, shown only after asking again whether it still may be.
    "Cache-Control": "private, no-cache",
}


@require_safe
def picture(request: HttpRequest, image_id: UUID, kind: str) -> HttpResponse:
    """A picture for staff of the clinic it belongs to."""
    if kind not in _KINDS:
        raise Http404
    image = images_visible_to(request.user).filter(pk=image_id).first()
    if image is None:
        image = get_object_or_404(control_images_visible_to(request.user), pk=image_id)
    report = DiagnosticReport.objects.filter(specimen=image.specimen).first()
    if image.specimen and report is not None:
        reading.note_seen(user=request.user, report=report, action=ahead.reading_of(request))
        if kind == "heat" and own_call.hides(request.user, report):
            raise Http404
    return _answer(request, image, kind, name=f"{image.label}-{kind}")


@require_safe
def reference_cell(request: HttpRequest, reference_id: UUID, cell: int) -> HttpResponse:
    """A cell of a signed case, for comparison: without whose it is. Who asked is noted there."""
    field = get_object_or_404(references_visible_to(request.user), pk=reference_id)
    try:
        cut = drawing.cell(field.analysis, cell)
    except FileNotFoundError as missing:
        raise Http404 from missing
    return HttpResponse(cut, content_type="image/jpeg", headers=_ARMOUR)


@require_safe
def portal_picture(
    request: HttpRequest, report_id: UUID, image_id: UUID, kind: str
) -> HttpResponse:
    """A picture of a released report, for the patient or a guardian."""
    if kind not in _PORTAL_KINDS:
        raise Http404
    standing = portal_reports(request.user).exclude(status__in=WITHDRAWN)
    report = get_object_or_404(standing, pk=report_id)
    theirs = pictures_for_family(report).select_related("specimen__patient")
    image = get_object_or_404(theirs, pk=image_id)
    reading.note_seen(user=request.user, report=report, action=reading.IN_PORTAL)
    return _answer(request, image, kind, name=f"blood-smear-{kind}")


def _answer(request: HttpRequest, image: FieldImage, kind: str, *, name: str) -> HttpResponse:
    # The same bytes may have stayed, as another patient's.
    if guards.is_erased(image):
        raise Http404
    key, media_type, read = _stored(image, kind)
    # Stored names never get other bytes, so the name stands for the content.
    etag = quote_etag(hashlib.sha256(key.encode()).hexdigest())
    response = get_conditional_response(request, etag=etag)
    if not isinstance(response, HttpResponseNotModified):
        try:
            response = _handed_over(key, read)
        except FileNotFoundError as missing:
            raise Http404 from missing
        response["Content-Type"] = media_type
    filename = f"{name}{_SUFFIXES[media_type]}"
    response["ETag"] = etag
    response["Content-Disposition"] = f'inline; filename="{filename}"'
    for header, value in _ARMOUR.items():
        response[header] = value
    return response


def _handed_over(key: str, read: Callable[[], bytes]) -> HttpResponse:
    """The bytes, or word to the proxy in front where it finds them; drawn first if need be."""
    if not settings.FILES_BY_PROXY:
        return HttpResponse(read())
    if not files.exists(key):
        read()
    return HttpResponse(headers={"X-Accel-Redirect": files.by_proxy(key)})


def _stored(image: FieldImage, kind: str) -> tuple[str, str, Callable[[], bytes]]:
    """Where the picture lies, what type we vouch for (never one that the sender named), its bytes.

    Not read yet: a browser that has the picture is not sent it again.
    """
    if kind != "original":
        analysis = spoken_of(image)
        if kind == "heat":
            key = _heat_key(analysis)
            return key, "image/png", lambda: files.read(key)
        if analysis:
            key = drawing.key_of(analysis, kind)
            media_type = "image/png" if key.endswith(".png") else "image/jpeg"
            return key, media_type, lambda: drawing.picture(analysis, kind)
        if kind != "thumbnail":
            raise Http404
    if image.media_type in _SUFFIXES:
        return image.storage_key, image.media_type, lambda: files.read(image.storage_key)
    key = f"derived/shown/{image.sha256}.png"
    return key, "image/png", lambda: drawing.once(key, lambda: _as_png(image))


def _heat_key(analysis: Analysis | None) -> str:
    """Where the heat map lies; 404 unless it is drawn."""
    heat = HeatMap.objects.filter(analysis=analysis, state=HeatMapState.DRAWN).first()
    if heat is None:
        raise Http404
    return heat.storage_key


def _as_png(image: FieldImage) -> bytes:
    """A TIFF as a browser can show it."""
    try:
        return images.encode_png(images.decode(files.read(image.storage_key)))
    except images.ImageRefused as unreadable:
        raise Http404 from unreadable
