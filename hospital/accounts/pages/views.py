"""Where a person lands after signing in."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from hospital.accounts.selectors import clinics_where, is_staff_member


def home(request: HttpRequest) -> HttpResponse:
    """Readers to the worklist, other staff to the admin, patients and guardians to the portal."""
    if clinics_where(request.user, "diagnostics.view_diagnosticreport").exists():
        return redirect("worklist")
    if is_staff_member(request.user):
        return redirect("admin:index")
    return redirect("portal")
