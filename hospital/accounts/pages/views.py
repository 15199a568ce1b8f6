"""Where a person lands after signing in, and how they leave."""

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from hospital.accounts import services
from hospital.accounts.selectors import clinics_where, is_staff_member
from hospital.accounts.signin import sessions


def home(request: HttpRequest) -> HttpResponse:
    """Readers to the worklist, other staff to the admin, patients and guardians to the portal."""
    if clinics_where(request.user, "diagnostics.view_diagnosticreport").exists():
        return redirect("worklist")
    if is_staff_member(request.user):
        return redirect("admin:index")
    return redirect("portal")


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Leave; also from between password and code, where nobody is signed in yet."""
    key = request.session.session_key
    logout(request)
    sessions.left(key)
    return redirect("login")


@login_not_required
@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Another language from now on: kept by the browser, and by the account of who is signed in."""
    wanted, user = request.POST.get("language", ""), request.user
    if user.is_authenticated and wanted in dict(settings.LANGUAGES):
        services.choose_language(user=user, language=wanted)
    return set_language(request)
