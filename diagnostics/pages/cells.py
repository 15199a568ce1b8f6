"""What the case page's own scripts ask for: the cells of a field, calls on them, a heat map."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from diagnostics import alike
from diagnostics.looking import calls_visible_to, standing_calls
from diagnostics.models import Analysis, CellCall, CellLabel, FieldImage, Outcome
from diagnostics.models.report import Certainty
from diagnostics.pages import ahead
from diagnostics.patient_message import DISCLAIMER
from diagnostics.possible import case_actions
from diagnostics.selectors import (
    images_visible_to,
    reports_visible_to,
    spoken_of,
)
from diagnostics.services import drawing, heat, looking, own_call, reading
from diagnostics.services.findings import certainty_of
from hospital.base.problems import Refusal


@never_cache
@require_safe
def cells(request: HttpRequest, image_id: UUID) -> JsonResponse:
    """Outlines and measures of the cells found in a picture, and what readers say of them.

    `cells` is that of `services.drawing.cells`. There is no reading of single cells: `group` is
    what the model says of the whole field, 'uncertain' where it says nothing firm or its word is
    hidden from who asks (`own_call_first`).
    """
    image, analysis = _of(request, image_id)
    report = get_object_or_404(reports_visible_to(request.user), specimen=image.specimen_id)
    reading.note_seen(user=request.user, report=report, action=ahead.reading_of(request))
    try:
        found = drawing.cells(analysis)
    except FileNotFoundError as missing:
        raise Http404 from missing
    hidden = own_call.hides(request.user, report)
    return JsonResponse(
        {
            "analysis": str(analysis.pk),
            "group": CellLabel.UNCERTAIN if hidden else _group_of(analysis),
            "own_call_first": hidden,
            "disclaimer": str(DISCLAIMER),
            "may_call": case_actions(request.user, report).name_cells,
            "calls": [_told(call, request.user) for call in standing_calls([analysis.pk])],
            **found,
        }
    )


@never_cache
@require_safe
def alike_cells(request: HttpRequest, image_id: UUID, cell: int) -> JsonResponse:
    """Signed cells that look like one of a picture's: `picture` and `conclusion` of each."""
    _, analysis = _of(request, image_id)
    try:
        found = alike.alike(request.user, analysis, cell)
    except (FileNotFoundError, IndexError) as missing:
        raise Http404 from missing
    reports = [one.report for one in found]
    reading.note_compared(user=request.user, analysis=analysis, cell=cell, reports=reports)
    shown = [
        {
            "picture": reverse("reference-cell", args=[one.reference, one.cell]),
            "conclusion": one.conclusion,
        }
        for one in found
    ]
    return JsonResponse({"alike": shown})


@require_POST
def call(request: HttpRequest, image_id: UUID) -> JsonResponse:
    """A reader names one cell: `cell`, `label` and the `analysis` whose outlines they saw."""
    _, analysis = _of(request, image_id)
    if request.POST.get("analysis") != str(analysis.pk):
        problem = "The field was analysed again meanwhile. Load the page again."
        return JsonResponse({"code": "analysis_stale", "detail": problem}, status=409)
    try:
        number = int(request.POST.get("cell", ""))
    except ValueError:
        number = -1
    try:
        made = looking.call_cell(
            user=request.user,
            analysis=analysis,
            cell=number,
            label=request.POST.get("label", ""),
        )
    except Refusal as refusal:
        return _refused(refusal)
    return JsonResponse(_told(made, request.user), status=201)


@require_POST
def undo(request: HttpRequest, call_id: UUID) -> JsonResponse:
    """The reader takes their call back; answers with what is said of the cell now, if anything."""
    taken = get_object_or_404(calls_visible_to(request.user), pk=call_id)
    try:
        looking.undo_call(user=request.user, call=taken)
    except Refusal as refusal:
        return _refused(refusal)
    left = [one for one in standing_calls([taken.analysis_id]) if one.cell == taken.cell]
    return JsonResponse(
        {"cell": taken.cell, "call": _told(left[0], request.user) if left else None}
    )


@require_POST
def ask_heat(request: HttpRequest, image_id: UUID) -> JsonResponse:
    """Have the field's heat map drawn; an event says when it is."""
    _, analysis = _of(request, image_id)
    try:
        asked = heat.ask(user=request.user, analysis=analysis)
    except Refusal as refusal:
        return _refused(refusal)
    return JsonResponse({"state": asked.state}, status=202)


def _of(request: HttpRequest, image_id: UUID) -> tuple[FieldImage, Analysis]:
    """The picture and its analysis, for whoever may see them."""
    image = get_object_or_404(images_visible_to(request.user), pk=image_id)
    analysis = spoken_of(image)
    if analysis is None:
        raise Http404
    return image, analysis


def _group_of(analysis: Analysis) -> str:
    firm = certainty_of(analysis.probabilities) not in {"", Certainty.UNCERTAIN}
    if analysis.outcome == Outcome.CLASSIFIED and firm:
        return analysis.label
    return CellLabel.UNCERTAIN


def _told(call: CellCall, user: Any) -> dict[str, Any]:
    return {
        "id": str(call.pk),
        "cell": call.cell,
        "label": call.label,
        "by": str(call.by),
        "at": call.at.isoformat(timespec="seconds"),
        "own": call.by_id == user.pk,
    }


def _refused(refusal: Refusal) -> JsonResponse:
    told = {"code": refusal.code, "detail": refusal.detail}
    return JsonResponse(told, status=refusal.status)
