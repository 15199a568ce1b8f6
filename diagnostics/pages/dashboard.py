"""The dashboard: the house in numbers, for administrators."""

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from devices.models import Device
from diagnostics import dashboard as figures
from diagnostics import turnaround
from diagnostics.models import Analysis
from diagnostics.pages import dashboard_charts
from diagnostics.pages.ranges import RANGES, days_asked
from diagnostics.services import packages
from diagnostics.services.analyses import FAILURES
from hospital.accounts.models import Clinic
from hospital.accounts.selectors import clinic_ids_where
from hospital.live.selectors import newest_event_id


@never_cache
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """The page."""
    clinics = _clinics(request)
    ids = [clinic.pk for clinic in clinics]
    context = {
        **_now(request, ids),
        "clinics": clinics,
        "since": newest_event_id(),
        "live": "/ws/clinic/",
        "here": "dashboard",
        **_said(request, ids),
        **_failures(request, ids),
        "weeks": dashboard_charts.weeks(turnaround.weeks_of(ids)),
        "stages": list(turnaround.STAGES.items())[1:],
        "per_week": turnaround.REPORTS_A_WEEK,
    }
    return render(request, "diagnostics/dashboard.html", context)


@never_cache
@require_safe
def dashboard_live(request: HttpRequest) -> HttpResponse:
    """The parts of the page that tell how it is now."""
    clinics = _clinics(request)
    context = _now(request, [clinic.pk for clinic in clinics]) | {"swap": True}
    return render(request, "diagnostics/dashboard/live.html", context)


def _clinics(request: HttpRequest) -> list[Clinic]:
    clinics = figures.clinics_of(request.user)
    if not clinics:
        raise PermissionDenied(_("This page is for administrators."))
    return clinics


def _now(request: HttpRequest, clinics: list[UUID]) -> dict[str, Any]:
    today = figures.today_in(clinics)
    return {
        "tiles": [
            ("microscope", _("Received today"), today.received, "none"),
            ("computer", _("Analysed today"), today.analysed, "none"),
            ("cross", _("Rejected today"), today.rejected, "malignant" if today.rejected else ""),
            ("pause", _("Held now"), today.held, "uncertain" if today.held else ""),
            ("clock", _("Waiting for a reader"), today.waiting, "none"),
            ("signed", _("Signed today"), today.signed, "benign"),
        ],
        "most": figures.MOST,
        "queue": figures.queue_in(clinics),
        "workers": figures.workers_in(clinics),
        "silent": figures.silent_devices(request.user, clinics),
        "packages": {
            "active": packages.in_use(),
            "shadow": packages.reading_along(),
            "may_change": packages.may_change(request.user),
        },
    }


def _said(request: HttpRequest, clinics: list[UUID]) -> dict[str, Any]:
    """What the model said, for one package and all microscopes or one."""
    days = days_asked(request)
    said = figures.said_in(clinics, days=max(days, dashboard_charts.REACH))
    devices = Device.objects.filter(clinic__in=clinics).in_bulk(
        [tally.device for tally in said.tallies]
    )
    package = request.GET.get("package", "")
    if package not in said.packages:
        package = next(iter(said.packages), "")
    device = next((d for d in devices.values() if str(d.pk) == request.GET.get("device")), None)
    chosen = said.of(package=package)
    shown = chosen.of(device=device.pk if device else None)
    return {
        "days": days,
        "ranges": RANGES,
        "package": package,
        "package_choices": [(digest, said.names[digest]) for digest in said.packages],
        "device": device,
        "device_choices": sorted(devices.values(), key=lambda d: d.name),
        "charts": [
            dashboard_charts.mix(shown, days),
            dashboard_charts.confidence(shown, days),
        ],
        "by_device": dashboard_charts.by_device(chosen, devices),
    }


def _failures(request: HttpRequest, clinics: list[UUID]) -> dict[str, Any]:
    reasons, latest = figures.failures_in(clinics)
    readable = set(clinic_ids_where(request.user, "diagnostics.view_diagnosticreport"))
    return {
        "failure_days": figures.FAILURE_DAYS,
        "reasons": [(code, FAILURES.get(code, code), n) for code, n in reasons],
        "failed": [(run, _address_of(run, readable)) for run in latest],
    }


def _address_of(run: Analysis, readable: set[UUID]) -> str:
    """The case for who may read cases there, else the specimen in the administration."""
    specimen = run.image.specimen
    assert specimen is not None
    if specimen.clinic_id in readable:
        return reverse("case", args=[specimen.report.pk])
    return reverse("admin:diagnostics_specimen_change", args=[specimen.pk])
