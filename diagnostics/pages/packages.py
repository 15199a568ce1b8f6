"""Model packages: which reads, which reads along, how they compare. For the whole house's hands."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from diagnostics.comparison import SHOWN, compare
from diagnostics.models import ModelPackage, PackageState
from diagnostics.pages.ranges import RANGES, days_asked
from diagnostics.possible import package_actions
from diagnostics.services import packages
from hospital.audit.services import Actor
from hospital.base.problems import Refusal

DEEDS: dict[str, tuple[Callable[..., ModelPackage], str]] = {
    "activate": (packages.activate, "New pictures are read by %s from now on."),
    "shadow": (packages.shadow, "%s reads along from now on, unheard."),
    "end-shadow": (packages.end_shadow, "%s reads along no more."),
    "retire": (packages.retire, "%s is retired."),
}


@never_cache
@require_safe
def package_list(request: HttpRequest) -> HttpResponse:
    """All of them, with what can be done."""
    _ensure_may(request)
    rows = list(ModelPackage.objects.select_related("before").order_by("-registered_at"))
    active = next((row for row in rows if row.state == PackageState.ACTIVE), None)
    context = {
        "packages": [(row, package_actions(row, active)) for row in rows],
        "back_to": active.before if active else None,
        "here": "dashboard",
    }
    return render(request, "diagnostics/packages.html", context)


@never_cache
@require_safe
def package_compare(request: HttpRequest, package_id: UUID) -> HttpResponse:
    """One package beside the one in use; the one in use beside the one before it."""
    _ensure_may(request)
    package = get_object_or_404(ModelPackage.objects.select_related("before"), pk=package_id)
    beside = packages.compared_with(package, packages.in_use())
    if beside is None:
        raise Http404
    days = days_asked(request)
    context = {
        "package": package,
        "beside": beside,
        "comparison": compare(package, beside, days=days, user=request.user),
        "days": days,
        "ranges": RANGES,
        "shown": SHOWN,
        "here": "dashboard",
    }
    return render(request, "diagnostics/package_compare.html", context)


@require_POST
def package_deed(request: HttpRequest, package_id: UUID, deed: str) -> HttpResponse:
    """Do one of `DEEDS` to a package."""
    _ensure_may(request)
    package = get_object_or_404(ModelPackage, pk=package_id)
    if deed not in DEEDS:
        raise Http404
    does, done = DEEDS[deed]
    return _told(request, lambda: does(actor=Actor.user(request.user), package=package), done)


@require_POST
def package_rollback(request: HttpRequest) -> HttpResponse:
    """Back to the package that was in use before."""
    _ensure_may(request)
    return _told(
        request,
        lambda: packages.roll_back(actor=Actor.user(request.user)),
        "Back to %s: it reads new pictures from now on.",
    )


def _told(request: HttpRequest, does: Callable[[], Any], done: str) -> HttpResponse:
    try:
        package = does()
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, _(done) % package)
    return redirect("packages")


def _ensure_may(request: HttpRequest) -> None:
    if not packages.may_change(request.user):
        raise PermissionDenied(_("This page is for administrators of the whole house."))
