"""A microscope's control slides: what they proved, in a chart and a table, and what is held."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from devices.models import Device
from devices.selectors import devices_visible_to
from diagnostics.pages.control_charts import charts_of
from diagnostics.selectors import control_runs_visible_to, control_slides_visible_to
from diagnostics.services import gate, holds
from hospital.accounts.selectors import clinics_where, may
from hospital.base.problems import Refusal
from hospital.live.selectors import newest_event_id

SHOWN = 60


@never_cache
@require_safe
def history(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """The page."""
    since = newest_event_id()
    context = _context(request, _device(request, device_id))
    listens = clinics_where(request.user, "diagnostics.view_diagnosticreport").exists()
    context |= {"since": since, "live": "/ws/clinic/" if listens else ""}
    return render(request, "diagnostics/controls.html", context)


@never_cache
@require_safe
def live(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """The part of the page that changes, for a page that heard an event."""
    context = _context(request, _device(request, device_id)) | {"swap": True}
    return render(request, "diagnostics/controls/live.html", context)


@require_POST
def release(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """A person vouches for what was held since the last failed control."""
    device = _device(request, device_id)
    if not may(request.user, "diagnostics.release_hold", device.clinic_id):
        raise PermissionDenied("Your role does not let you release pictures in this clinic.")
    comment = request.POST.get("comment", "")
    try:
        count = holds.release_device(user=request.user, device=device, comment=comment)
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, f"{count} released. The pictures count from now on.")
    return redirect("controls", device_id)


def _device(request: HttpRequest, device_id: UUID) -> Device:
    """The microscope, for whoever may see control slides in its clinic."""
    devices = devices_visible_to(request.user, "diagnostics.view_controlslide")
    return get_object_or_404(devices, pk=device_id)


def _context(request: HttpRequest, device: Device) -> dict[str, Any]:
    runs = list(control_runs_visible_to(request.user).filter(device=device)[:SHOWN])
    slides = control_slides_visible_to(request.user).filter(
        clinic=device.clinic_id, withdrawn_at=None
    )
    return {
        "here": "fleet",
        "clinics": [device.clinic],
        "device": device,
        "standing": gate.standing_of(device),
        "runs": runs,
        "charts": charts_of(runs),
        "slides": slides,
        "held": holds.held_since_failure(device).values("image").distinct().count(),
        "may_see_device": may(request.user, "devices.view_device", device.clinic_id),
        "may_set_hours": may(request.user, "devices.change_device", device.clinic_id),
        "may_release": may(request.user, "diagnostics.release_hold", device.clinic_id),
        "may_register": may(request.user, "diagnostics.add_controlslide", device.clinic_id),
    }
