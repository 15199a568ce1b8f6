"""The page of break-glass access: for who needs it, and for who watches over it."""

from typing import Any
from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from hospital.accounts import emergency
from hospital.accounts.models import BreakGlass
from hospital.accounts.roles import BREAK_GLASS
from hospital.base.problems import Refusal

SHOWN = 50


@never_cache
def overview(request: HttpRequest) -> HttpResponse:
    """What is open, and a form for who may open more."""
    user: Any = request.user
    if not user.has_perm(BREAK_GLASS) and not user.has_perm("audit.view_entry"):
        raise PermissionDenied
    return _begin(request) if request.method == "POST" else _page(request)


@reauthentication_required(app="allauth.mfa")  # type: ignore[untyped-decorator]
def _begin(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    clinics = emergency.clinics_closed_to(user)
    clinic = clinics.filter(code=request.POST.get("clinic", "")).first()
    reason = request.POST.get("reason", "")
    if clinic is None:
        messages.error(request, _("Choose a clinic."))
        return _page(request, reason)
    try:
        emergency.begin(user=user, clinic=clinic, reason=reason)
    except Refusal as refusal:
        messages.error(request, refusal.detail)
        return _page(request, reason)
    messages.warning(request, _("You may read there now. The clinic has been told."))
    return redirect("emergency")


def _page(request: HttpRequest, reason: str = "") -> HttpResponse:
    user: Any = request.user
    opens = user.has_perm(BREAK_GLASS)
    context = {
        "opens": opens,
        "reason": reason,
        "elsewhere": emergency.clinics_closed_to(user) if opens else [],
        "accesses": emergency.visible_to(user)[:SHOWN],
        "minutes": settings.BREAK_GLASS_MINUTES,
    }
    return render(request, "accounts/emergency.html", context)


@require_POST
def end(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End one early."""
    user: Any = request.user
    opened: BreakGlass = get_object_or_404(emergency.visible_to(user), pk=pk)
    try:
        emergency.end(user=user, opened=opened)
    except Refusal as refusal:
        raise PermissionDenied(refusal.detail) from refusal
    messages.success(request, _("Ended."))
    return redirect("emergency")
