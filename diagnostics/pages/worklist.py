"""The worklist: the clinic's reports, what needs a person first."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from devices.selectors import devices_visible_to
from diagnostics.pages import listing
from diagnostics.pages.presenting import Row
from diagnostics.selectors import mix_ups_to_settle_in, reports_in
from diagnostics.services import gate, reading
from hospital.accounts.selectors import clinics_where
from hospital.live.selectors import newest_event_id


@never_cache
@require_safe
def worklist(request: HttpRequest) -> HttpResponse:
    """The page."""
    return render(request, "diagnostics/worklist.html", _context(request))


@never_cache
@require_safe
def worklist_rows(request: HttpRequest) -> HttpResponse:
    """The parts of the page that change, for a page that heard an event."""
    return render(request, "diagnostics/worklist/live.html", _context(request) | {"swap": True})


def _context(request: HttpRequest) -> dict[str, Any]:
    clinics = list(clinics_where(request.user, "diagnostics.view_diagnosticreport"))
    if not clinics:
        raise PermissionDenied("The worklist is for those who read cases.")
    since = newest_event_id()
    choice = listing.Choice.of(request.GET)
    reports = reports_in([clinic.pk for clinic in clinics])
    devices = devices_visible_to(request.user, "diagnostics.view_fieldimage")
    page = listing.page_of(reports, choice.clinics_of(clinics), choice)
    reading.note_listed(user=request.user, reports=page.reports)
    microscopes = listing.microscopes_of(devices)
    own = [clinic.pk for clinic in clinics]
    tiles = listing.figures_of(own, devices)
    # Both pictures of a mix-up are held, so that there is nothing to look for when none is.
    held = any(tile["count"] for tile in tiles if tile["icon"] == "pause")
    return {
        "since": since,
        "live": "/ws/clinic/",
        "here": "worklist",
        "clinics": clinics,
        "choice": choice,
        "tabs": [
            {
                "name": name,
                "count": page.counts[tab],
                "query": choice.with_tab(tab).query(),
                "current": tab == choice.tab,
            }
            for tab, name in listing.TABS.items()
        ],
        "rows": [Row(report) for report in page.reports],
        "older": page.older,
        "partly": page.partly,
        "tiles": tiles,
        "microscopes": microscopes,
        "not_in_control": gate.reasons_for(microscopes),
        "mix_ups": mix_ups_to_settle_in(own) if held else [],
    }
