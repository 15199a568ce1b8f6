"""A mix-up: the same picture under two patients' names, side by side, and a person's word."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from diagnostics.models import FieldImage, MixUp, Side
from diagnostics.pages.presenting import age_in_words
from diagnostics.selectors import mix_ups_visible_to, own_sides
from diagnostics.services import mix_ups, reading
from hospital.base.problems import Refusal


@dataclass(frozen=True)
class Shown:
    """One side as the page shows it; of another clinic's nothing but that there is one."""

    ordinal: str
    side: Side
    hidden: bool
    age: str = ""

    @property
    def image(self) -> FieldImage:
        """The picture; never of a hidden side."""
        assert not self.hidden
        return self.side.image


@never_cache
@require_safe
def mix_up(request: HttpRequest, mix_up_id: UUID) -> HttpResponse:
    """The page. That each patient's data was shown is noted in the audit trail."""
    found = get_object_or_404(mix_ups_visible_to(request.user), pk=mix_up_id)
    for side in own_sides(found, request.user, "diagnostics.view_fieldimage"):
        reading.note_seen(user=request.user, report=side.image.specimen.report)  # type: ignore[union-attr]
    return render(request, "diagnostics/mix_up.html", _context(request, found))


@never_cache
@require_POST
def settle(request: HttpRequest, mix_up_id: UUID) -> HttpResponse:
    """A person says whose picture it is. What was typed comes back with a refusal."""
    found = get_object_or_404(mix_ups_visible_to(request.user), pk=mix_up_id)
    said, comment = request.POST.get("keep", ""), request.POST.get("comment", "")
    try:
        keep = _chosen(said)
        mix_ups.settle(user=request.user, mix_up=found, keep=keep, comment=comment)
    except Refusal as refusal:
        context = _context(request, found) | {
            "refusal": refusal.detail,
            "said": said,
            "comment": comment,
        }
        return render(request, "diagnostics/mix_up.html", context, status=refusal.status)
    messages.success(request, "Noted. The reports concerned have been brought up to date.")
    return redirect("mix-up", mix_up_id)


def _chosen(said: str) -> UUID | None:
    """The picture that was chosen; None for 'neither'.

    Raises:
        Refusal: nothing was chosen.
    """
    if said == "neither":
        return None
    try:
        return UUID(said)
    except ValueError:
        raise Refusal("Choose whose picture it is.", code="not_of_mix_up") from None


def _context(request: HttpRequest, found: MixUp) -> dict[str, Any]:
    seen = own_sides(found, request.user, "diagnostics.view_fieldimage")
    speaks_for = own_sides(found, request.user, "diagnostics.release_hold")
    sides = [
        _shown(ordinal, side, hidden=side not in seen)
        for ordinal, side in zip(("First", "Second"), found.sides(), strict=True)
    ]
    open_ = [side for side in speaks_for if side.kept is None]
    return {
        "mix_up": found,
        "sides": sides,
        "alone": any(one.hidden for one in sides),
        "choices": [one for one in sides if one.side in speaks_for and one.side.kept is not False],
        "may_settle": bool(open_) and not found.settled_at,
    }


def _shown(ordinal: str, side: Side, *, hidden: bool) -> Shown:
    specimen = side.image.specimen
    age = age_in_words(specimen.patient.birth_date) if specimen and not hidden else ""
    return Shown(ordinal, side, hidden, age)
