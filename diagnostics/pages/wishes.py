"""The portal's page on which a family says how it wants to learn of results."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from diagnostics.models import Wish
from diagnostics.selectors import wish_chosen
from diagnostics.services import release, wishes
from hospital.base.problems import Refusal
from patients.models import Patient
from patients.selectors import live_access


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def wish(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """The page, and what is chosen on it."""
    links = live_access(request.user).select_related("patient__clinic")
    patient: Patient = get_object_or_404(links, patient_id=patient_id).patient
    if request.method != "POST":
        return render(request, "portal/wish.html", _context(patient))
    try:
        wishes.choose(user=request.user, patient_id=patient_id, wish=request.POST.get("wish", ""))
    except Refusal as refusal:
        context = _context(patient) | {"refusal": refusal}
        return render(request, "portal/wish.html", context, status=refusal.status)
    messages.success(request, _("Kept. The clinic sees what you wish."))
    return redirect("portal")


def _context(patient: Patient) -> dict[str, Any]:
    return {
        "patient": patient,
        "wish": release.wish_of(patient.pk),
        "closed": Wish.NOT_IN_PORTAL,
        "chosen": wish_chosen(patient.pk),
        "ways": [
            (
                Wish.AS_RULE,
                _("As soon as the clinic allows it"),
                _(
                    "You can read the report here as soon as the clinic opens it, even if nobody "
                    "has called you yet."
                ),
            ),
            (
                Wish.AFTER_CALL,
                _("Only after somebody from the clinic has spoken with me"),
                _("The report stays closed until a doctor has called or told you in person."),
            ),
        ],
    }
