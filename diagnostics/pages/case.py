"""A case: one specimen's pictures, what the model says of them, and what people conclude."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from diagnostics.looking import cells_named, fields_seen, left_of
from diagnostics.models import (
    CellLabel,
    Conclusion,
    DiagnosticReport,
    FieldImage,
    Rereading,
)
from diagnostics.models.analysis import CLASS_NAMES
from diagnostics.pages import listing
from diagnostics.pages.contacts import CallForm, contacts_context
from diagnostics.pages.family import family_context
from diagnostics.pages.forms import ProofForm, SignForm
from diagnostics.pages.own_calls import own_call_context
from diagnostics.pages.presenting import Field, Row, age_in_words, cell_counts, fields_of
from diagnostics.possible import case_actions
from diagnostics.selectors import (
    analyses_visible_to,
    earlier_reports,
    images_visible_to,
    images_with_analyses,
    mix_ups_of,
    reports_visible_to,
    rereadings_of,
    was_asked_again,
)
from diagnostics.services import (
    analyses,
    holds,
    own_call,
    reading,
    reports,
    signed_words,
)
from diagnostics.services.specimens import close_specimen, reopen_specimen
from hospital.accounts.selectors import clinic_ids_where
from hospital.accounts.signin.factors import has_app, has_passkey
from hospital.audit.services import Actor
from hospital.base.problems import Refusal
from hospital.live.selectors import newest_event_id

# What single keys do on the page, unless the reader has chosen others: see static/js/keys.js.
KEYS = [
    ("next_case", "j", _("Next case")),
    ("previous_case", "k", _("Previous case")),
    ("next_field", "f", _("Next field")),
    ("previous_field", "d", _("Previous field")),
    ("sheet", "a", _("All fields at once, and back")),
    ("outlines", "o", _("Outlines on and off")),
    ("heat", "h", _("Heat map on and off")),
    *((f"class{n}", str(n), name) for n, name in enumerate(CLASS_NAMES.values(), start=1)),
    ("undo", "u", _("Undo the last choice of a class")),
    ("sign", "s", _("Go to the signature")),
    ("list", "?", _("This list")),
]
EARLIER = 6  # reports of the same patient that are listed


@never_cache
@require_safe
def case(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The page. Opening it is noted in the audit trail."""
    since = newest_event_id()
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    again = was_asked_again(request.user, report)
    reading.note_opened(user=request.user, report=report)
    return case_page(request, report, since=since, again=again)


@never_cache
@require_safe
def case_live(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The parts of the page that change, for a page that heard an event."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    again = was_asked_again(request.user, report)
    reading.note_seen(user=request.user, report=report)
    return _live(request, report, again=again)


@never_cache
@require_safe
def case_field(request: HttpRequest, report_id: UUID, image_id: UUID) -> HttpResponse:
    """One field of the case, for a page that turns to it; 404 when it is not of this case."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    (report,) = own_call.veil(request.user, [report])
    fields = _fields(report)
    field = next((one for one in fields if one.image.pk == image_id), None)
    if field is None:
        raise Http404
    reading.note_seen(user=request.user, report=report)
    context = {"report": report, "field": field, "may": case_actions(request.user, report)}
    return render(request, "diagnostics/case/field.html", context)


@require_safe
def beside(request: HttpRequest, report_id: UUID, where: str) -> HttpResponse:
    """On to the 'next' or 'previous' case that needs review; to the worklist after the last."""
    if where not in {"next", "previous"}:
        raise Http404
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    clinics = clinic_ids_where(request.user, "diagnostics.view_diagnosticreport")
    other = listing.beside(report, clinics, later=where == "next")
    if other is None:
        messages.success(request, "No other case in this direction needs review.")
        return redirect("worklist")
    return redirect("case", other.pk)


@require_POST
def verify(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """A technician has looked at it."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    try:
        version = int(request.POST.get("version", ""))
    except ValueError:
        version = 0
    return _done(
        request,
        report,
        lambda: reports.verify(user=request.user, report=report, version=version),
        "Verified. It now waits for a haematologist.",
    )


@require_POST
def retry(request: HttpRequest, analysis_id: UUID) -> HttpResponse:
    """Queue a failed analysis again; the page stays as it is but for its live parts."""
    analysis = get_object_or_404(analyses_visible_to(request.user), pk=analysis_id)
    report = get_object_or_404(
        reports_visible_to(request.user), specimen_id=analysis.image.specimen_id
    )
    try:
        analyses.retry(user=request.user, analysis=analysis)
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, "Queued again. The result appears here by itself.")
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("case", report.pk)
    report.refresh_from_db()
    return _live(request, report)


@require_POST
def release_all(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """A person vouches for every held picture of the report."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    comment = request.POST.get("comment", "")
    return _done(
        request,
        report,
        lambda: holds.release_report(user=request.user, report=report, comment=comment),
        "Released. The pictures count from now on.",
    )


@require_POST
def release(request: HttpRequest, image_id: UUID) -> HttpResponse:
    """A person vouches for one held picture."""
    image, report = _held(request, image_id)
    comment = request.POST.get("comment", "")
    return _done(
        request,
        report,
        lambda: holds.release(user=request.user, image=image, comment=comment),
        "Released. The picture counts from now on.",
    )


@require_POST
def set_aside(request: HttpRequest, image_id: UUID) -> HttpResponse:
    """One held picture is not worth keeping: another takes its place."""
    image, report = _held(request, image_id)
    comment = request.POST.get("comment", "")
    return _done(
        request,
        report,
        lambda: holds.set_aside(user=request.user, image=image, comment=comment),
        "Set aside. The picture will not count.",
    )


@require_POST
def close(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """No more pictures are taken in for the specimen."""
    done = "Closed. More pictures of this specimen are refused."
    return _switch(request, report_id, close_specimen, done)


@require_POST
def reopen(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """Pictures of the specimen are taken in again."""
    done = "Open again. Pictures of this specimen are taken in."
    return _switch(request, report_id, reopen_specimen, done)


def _held(request: HttpRequest, image_id: UUID) -> tuple[FieldImage, DiagnosticReport]:
    """A patient's picture and the report it belongs to, for whoever may see both."""
    image = get_object_or_404(images_visible_to(request.user), pk=image_id)
    visible = reports_visible_to(request.user)
    return image, get_object_or_404(visible, specimen_id=image.specimen_id)


def _switch(
    request: HttpRequest, report_id: UUID, switch: Callable[..., None], done: str
) -> HttpResponse:
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    if not case_actions(request.user, report).close:
        raise PermissionDenied("Your role does not let you close specimens in this clinic.")
    actor = Actor.user(request.user)
    return _done(request, report, lambda: switch(actor=actor, specimen=report.specimen), done)


def _done(
    request: HttpRequest, report: DiagnosticReport, deed: Callable[[], Any], done: str
) -> HttpResponse:
    """Do it, say so or why not, and show the case again."""
    try:
        deed()
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, done)
    return redirect("case", report.pk)


def case_page(
    request: HttpRequest,
    report: DiagnosticReport,
    *,
    since: int,
    form: SignForm | None = None,
    second_form: ProofForm | None = None,
    call_form: CallForm | None = None,
    again: Rereading | None = None,
    status: int = 200,
) -> HttpResponse:
    """The whole page, with a form as it was sent if it was.

    Args:
        again: that the reader had read a version which was changed since.
    """
    context = _context(request, report, form, call_form)
    context |= {"since": since, "live": "/ws/clinic/"}
    context |= {"second_form": second_form or ProofForm(), "again": again}
    return render(request, "diagnostics/case.html", context, status=status)


def left_context(report: DiagnosticReport, fields: list[Field], seen: set[UUID]) -> dict[str, Any]:
    """How many fields the reader has not been shown, and which to look at next."""
    in_order = sorted(fields, key=lambda field: field.number)
    left = left_of([field.image for field in in_order], seen)
    ids = {one.image_id for one in left}
    return {
        "report": report,
        "left": left,
        "next_left": next((field for field in fields if field.image.pk in ids), None),
        "usable": len(left_of([field.image for field in in_order], ())),
    }


def _live(
    request: HttpRequest, report: DiagnosticReport, *, again: Rereading | None = None
) -> HttpResponse:
    context = _context(request, report) | {"swap": True, "again": again}
    return render(request, "diagnostics/case/live.html", context)


def _context(
    request: HttpRequest,
    report: DiagnosticReport,
    form: SignForm | None = None,
    call_form: CallForm | None = None,
) -> dict[str, Any]:
    user = request.user
    (report,) = own_call.veil(user, [report])
    row = Row(report)
    fields = _fields(report)
    shown = request.GET.get("field", "")
    seen = fields_seen(user, report)
    chosen = next((f for f in fields if str(f.image.pk) == shown), fields[0] if fields else None)
    may = case_actions(user, report)
    reads = may.sign or (may.send_back and not report.is_signed)
    left = left_context(report, fields, seen)
    return {
        "report": report,
        "row": row,
        "patient": report.patient,
        "specimen": report.specimen,
        "age": age_in_words(report.patient.birth_date),
        "microscopes": sorted({f.image.device.name for f in fields}),
        "fields": fields,
        "seen": seen,
        **left,
        "as_sheet": reads and len(left["left"]) > 1 and row.clear,
        "has_app": may.signs and has_app(user),
        "has_passkey": may.signs and has_passkey(user),
        "counts": cell_counts(fields, cells_named(report)),
        "nobody": UUID(int=0),
        "keys": KEYS,
        "labels": CellLabel.choices,
        "earlier": [Row(one) for one in own_call.veil(user, earlier_reports(report)[:EARLIER])],
        "chosen": chosen,
        "form": form or SignForm(initial={"version": report.version}),
        "conclusions": Conclusion.choices,
        "word_templates": signed_words.templates(report.clinic) if may.sign or form else {},
        "versions": report.versions.select_related("signed_by"),
        "may": may,
        "own_reading": report.waiting is not None and report.waiting.by_id == user.pk,
        "second_wanted": report.clinic.second_reader,
        "signatures": report.signatures.select_related("by"),
        "rereadings": rereadings_of(report),
        "waits": row.fields["pending"],
        "held": [field for field in fields if field.held],
        "mix_ups": mix_ups_of(user, report),
        **family_context(user, report),
        **own_call_context(user, report),
        **contacts_context(report, may, call_form),
    }


def _fields(report: DiagnosticReport) -> list[Field]:
    """The fields, without the model's word where the report is without it."""
    images = images_with_analyses(report)
    return fields_of(own_call.veil_fields(images) if report.veiled else images)
