"""Who was told what a case says: the record of calls on the case page."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from diagnostics.models import (
    CallBack,
    CallEnd,
    CriticalFinding,
    CriticalSource,
    DiagnosticReport,
    Recipient,
    ReportStatus,
)
from diagnostics.models.critical import FAMILY
from diagnostics.selectors import reports_visible_to
from diagnostics.services import contacts
from hospital.base.problems import Refusal


class CallForm(forms.Form):
    """A try to tell somebody. What makes no call is refused by the service."""

    relation = forms.ChoiceField(label=gettext_lazy("Whom"), choices=Recipient.choices)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120, required=False)
    role = forms.CharField(label=gettext_lazy("Role or place"), max_length=120, required=False)
    outcome = forms.ChoiceField(
        label=gettext_lazy("How it ended"), choices=CallEnd.choices, widget=forms.RadioSelect
    )
    note = forms.CharField(label=gettext_lazy("Note"), max_length=400, required=False)
    value = forms.CharField(widget=forms.HiddenInput, required=False)


@require_POST
def note(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """Somebody has tried to tell; whether they were reached or not."""
    report = get_object_or_404(reports_visible_to(request.user), pk=report_id)
    form = CallForm(request.POST)
    form.is_valid()
    given = {name: form.cleaned_data.get(name, "") for name in form.fields}
    value = given.pop("value")
    try:
        made = contacts.note(
            user=request.user, report=report, value=value, call=contacts.Call(**given)
        )
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, _("Noted: %(end)s.") % {"end": made.get_outcome_display()})
    return redirect("case", report_id)


def contacts_context(report: DiagnosticReport, rights: frozenset[str]) -> dict[str, Any]:
    """What the part 'Who was told' of the case page shows; `report` as it may be shown.

    Args:
        rights: the permissions of its reader in the report's clinic.
    """
    told = report.contacts.select_related("by")
    findings = CriticalFinding.objects.staying()
    own = findings.filter(report=report).order_by()
    backs = CallBack.objects.filter(pk__in=own.values("call_back")).order_by("-raised_at")
    shown = Prefetch("findings", findings.select_related("report__specimen"))
    may_note = (
        not report.veiled
        and report.status != ReportStatus.CANCELLED
        and bool(contacts.value_of(report))
        and "diagnostics.add_contacttry" in rights
    )
    form = CallForm(initial={"value": contacts.value_of(report)})
    known = contacts.source_of(report) != CriticalSource.MODEL
    if not (known and "diagnostics.tell_family" in rights):
        staff = [(code, name) for code, name in Recipient.choices if code not in FAMILY]
        form.fields["relation"].choices = staff  # type: ignore[attr-defined]
    return {
        "contacts": [] if report.veiled else list(told),
        "call_backs": []
        if report.veiled
        else list(backs.prefetch_related(shown, "escalations__person")),
        "may_note_call": may_note,
        "call_form": form,
        "call_ends": CallEnd.choices,
    }
