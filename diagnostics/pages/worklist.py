"""The worklist: the clinic's reports, what needs a person first."""

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Exists
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from devices.models import Device
from devices.selectors import devices_visible_to
from diagnostics.header import workplaces_of
from diagnostics.models import ModelReading, SavedView, Urgency
from diagnostics.pages import listing
from diagnostics.pages.choice import AGES, TABS, Choice
from diagnostics.pages.presenting import Row
from diagnostics.selectors import (
    asked_again,
    changed_since_read,
    mix_ups_to_settle_in,
    open_call_backs,
    readers_and_views,
    reports_in,
)
from diagnostics.services import gate, own_call, reading
from hospital.live.selectors import newest_event

# What single keys do here; as on the case page, which has more of them: see static/js/keys.js.
KEYS = [("next_case", "j", _("Open the first case")), ("list", "?", _("This list"))]
CHIPS = 6  # microscopes below the list

CHANGED = 10  # reports that the reader knows otherwise and are listed


@never_cache
@require_safe
def worklist(request: HttpRequest) -> HttpResponse:
    """The page; without a wish in its address, with the view that is to open first."""
    workplaces = _workplaces(request)
    clinics = _clinics(workplaces)
    readers, views = readers_and_views(request.user, [clinic.pk for clinic in clinics])
    choice = Choice.of(request.GET)
    if not request.GET and (first := _first(views, request)):
        choice = Choice.of(QueryDict(first.query))
    context = _context(request, workplaces, choice)
    context |= {
        "views": [_shown(view, request, choice, readers) for view in views],
        "filters": _filters(choice, readers, context["devices"]),
        "keys": KEYS,
    }
    return render(request, "diagnostics/worklist.html", context)


@never_cache
@require_safe
def worklist_rows(request: HttpRequest) -> HttpResponse:
    """The parts of the page that change, for a page that heard an event."""
    context = _context(request, _workplaces(request), Choice.of(request.GET))
    return render(request, "diagnostics/worklist/live.html", context | {"swap": True})


def _workplaces(request: HttpRequest) -> list[Any]:
    """Where the person works, each with `since`: the event from which the page listens on; and
    with `asked_again`: whether they know any report otherwise than it stands."""
    asked = Exists(asked_again(request.user))
    rows = workplaces_of(request.user).annotate(since=newest_event(), asked_again=asked)
    found = list(rows)
    if not any(row.reads for row in found):
        raise PermissionDenied("The worklist is for those who read cases.")
    return found


def _clinics(workplaces: list[Any]) -> list[Any]:
    """Those whose cases the person sees, each once."""
    return list({row.pk: row for row in workplaces if row.reads}.values())


def _context(request: HttpRequest, workplaces: list[Any], choice: Choice) -> dict[str, Any]:
    clinics = _clinics(workplaces)
    # Not looked up where the first question has told that there is nothing.
    untold = open_call_backs(request.user) if any(one.untold for one in clinics) else []
    again = clinics[0].asked_again
    own = [clinic.pk for clinic in clinics]
    devices = devices_visible_to(request.user, "diagnostics.view_fieldimage")
    figures = listing.figures_of(own, devices)
    page = listing.page_of(reports_in(own), choice.clinics_of(clinics), choice, figures)
    reading.note_listed(user=request.user, reports=page.reports)
    scopes = listing.microscopes_of(devices)
    heard = [device for device in scopes if device.last][:CHIPS]  # type: ignore[attr-defined]
    tiles = [{"name": n, "icon": icon, "count": c} for (n, icon), c in page.figures.items()]
    # Both pictures of a mix-up are held, so that there is nothing to look for when none is.
    held = any(tile["count"] for tile in tiles if tile["icon"] == "pause")
    return {
        "since": clinics[0].since,
        "live": "/ws/clinic/",
        "here": "worklist",
        "workplaces": workplaces,
        "clinics": clinics,
        "choice": choice,
        "tabs": [
            {
                "name": name,
                "count": page.counts[tab],
                "query": choice.with_tab(tab).query(),
                "current": tab == choice.tab,
                "urgent": tab == "critical" and bool(page.counts[tab]),
            }
            for tab, name in TABS.items()
        ],
        "rows": [Row(report) for report in own_call.veil(request.user, page.reports)],
        "untold": untold,
        "to_tell": {one.report_id for back in untold for one in back.shown},
        "newest": choice.from_("").query() if choice.after else "",
        "older": choice.from_(page.older).query() if page.older else "",
        "partly": page.partly,
        "tiles": tiles,
        "devices": scopes,
        "microscopes": heard,
        "not_in_control": gate.reasons_for(heard),
        "changed": changed_since_read(request.user, own)[:CHANGED] if again else [],
        "mix_ups": mix_ups_to_settle_in(own) if held else [],
    }


# --- filters and views ----------------------------------------------------------------------------


def _filters(
    choice: Choice, readers: dict[UUID, str], devices: list[Device]
) -> list[dict[str, Any]]:
    """Each filter with its name in the address and what can be chosen."""
    offered: dict[str, tuple[str, list[tuple[str, str]]]] = {
        "reading": ("Model’s reading", [(code, str(name)) for code, name in ModelReading.choices]),
        "urgency": (
            "Urgency",
            [(str(level), str(name)) for level, name in reversed(Urgency.choices)],
        ),
        "microscope": ("Microscope", [(str(one.pk), one.name) for one in devices]),
        "reader": ("Read by", [(str(pk), name) for pk, name in readers.items()]),
        "age": ("Last picture", [(code, words) for code, (words, *_) in AGES.items()]),
    }
    return [
        {"name": name, "label": label, "chosen": getattr(choice, name), "options": options}
        for name, (label, options) in offered.items()
    ]


def _first(views: list[SavedView], request: HttpRequest) -> SavedView | None:
    own = (view for view in views if view.owner_id == request.user.pk)
    return next((view for view in own if view.opens_first), None)


def _shown(
    view: SavedView, request: HttpRequest, choice: Choice, readers: dict[UUID, str]
) -> dict[str, Any]:
    return {
        "view": view,
        "of": readers[view.owner_id],
        "own": view.owner_id == request.user.pk,
        "current": view.query == choice.from_("").query(),
    }
