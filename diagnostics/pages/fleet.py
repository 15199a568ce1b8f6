"""The fleet: how the clinics' microscopes are, and how each has been."""

from collections import Counter
from itertools import groupby
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from devices.selectors import alerts_visible_to
from diagnostics.fleet import STANDINGS, Scope, scope_of, scopes_of
from diagnostics.pages import fleet_charts
from diagnostics.pages.ranges import RANGES, days_asked
from hospital.accounts.selectors import clinics_where, may
from hospital.live.selectors import newest_event_id

# Of a microscope's alerts, those shown.
HISTORY = 30
TILES = ("fine", "attention", "silent", "suspended")


@never_cache
@require_safe
def fleet(request: HttpRequest) -> HttpResponse:
    """The page."""
    return render(request, "diagnostics/fleet.html", _fleet_context(request))


@never_cache
@require_safe
def fleet_live(request: HttpRequest) -> HttpResponse:
    """The parts of the page that change."""
    return render(request, "diagnostics/fleet/live.html", _fleet_context(request) | {"swap": True})


@never_cache
@require_safe
def fleet_device(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """One microscope: how it is now, its trends, its alerts."""
    days = days_asked(request)
    context = _device_context(request, device_id)
    device = context["scope"].device
    context |= {
        "days": days,
        "ranges": RANGES,
        "groups": [
            ("pictures", "Its pictures", fleet_charts.pictures(device, days)),
            ("heartbeats", "What it says of itself", fleet_charts.heartbeats(device, days)),
        ],
        "may_see_controls": may(request.user, "diagnostics.view_controlslide", device.clinic_id),
        "may_change": may(request.user, "devices.change_device", device.clinic_id),
    }
    return render(request, "diagnostics/fleet_device.html", context)


@never_cache
@require_safe
def fleet_device_live(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """The parts of a microscope's page that change."""
    context = _device_context(request, device_id) | {"swap": True}
    return render(request, "diagnostics/fleet/device_live.html", context)


def _fleet_context(request: HttpRequest) -> dict[str, Any]:
    clinics = list(clinics_where(request.user, "devices.view_device"))
    if not clinics:
        raise PermissionDenied("This page is for those who look after microscopes.")
    since = newest_event_id()
    scopes = scopes_of(request.user)
    numbers = Counter(scope.standing.code for scope in scopes)
    return {
        "since": since,
        "live": "/ws/clinic/",
        "here": "fleet",
        "clinics": clinics,
        "tiles": [(STANDINGS[code], numbers[code]) for code in TILES],
        "wards": [
            (clinic, _places(list(own)))
            for clinic, own in groupby(scopes, key=lambda scope: scope.device.clinic)
        ],
    }


def _places(scopes: list[Scope]) -> list[tuple[str, list[Scope]]]:
    """The microscopes of a clinic by where they stand; '' where nobody has said."""
    return [
        (place, list(own)) for place, own in groupby(scopes, key=lambda scope: scope.device.place)
    ]


def _device_context(request: HttpRequest, device_id: UUID) -> dict[str, Any]:
    since = newest_event_id()
    scope = scope_of(request.user, device_id)
    if scope is None:
        raise Http404
    history = alerts_visible_to(request.user).filter(device=device_id).order_by("-raised_at")
    return {
        "since": since,
        "live": "/ws/clinic/",
        "here": "fleet",
        "scope": scope,
        "clinics": [scope.device.clinic],
        "history": list(history[:HISTORY]),
    }
