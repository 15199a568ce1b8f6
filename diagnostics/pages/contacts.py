"""Who was told what a case says: the record of calls on the case page."""

from typing import Any

from django import forms
from django.db.models import Prefetch
from django.utils.translation import gettext_lazy

from diagnostics.models import (
    CallBack,
    CallEnd,
    ContactTry,
    CriticalFinding,
    DiagnosticReport,
    Recipient,
)
from diagnostics.models.critical import FAMILY
from diagnostics.possible import CaseActions
from diagnostics.services import contacts
from hospital.base.problems import Refusal


def _text(name: str, label: Any) -> forms.CharField:
    """A line of the record; what does not fit is refused by the service, and comes back."""
    widget = forms.TextInput(attrs={"maxlength": contacts.LONGEST[name]})
    return forms.CharField(label=label, required=False, widget=widget)


class CallForm(forms.Form):
    """A try to tell somebody. What makes no call is refused by the service."""

    relation = forms.ChoiceField(label=gettext_lazy("Whom"), choices=Recipient.choices)
    name = _text("name", gettext_lazy("Name"))
    role = _text("role", gettext_lazy("Role or place"))
    outcome = forms.ChoiceField(
        label=gettext_lazy("How it ended"), choices=CallEnd.choices, widget=forms.RadioSelect
    )
    note = _text("note", gettext_lazy("Note"))
    value = forms.CharField(widget=forms.HiddenInput, required=False)

    def carry_out(self, user: Any, report: DiagnosticReport) -> ContactTry:
        """Keep the call as it was typed.

        Raises:
            Refusal: as `contacts.note`; or a line holds what no text holds.
        """
        self.is_valid()
        for name in contacts.LONGEST:
            if name in self.errors:
                raise Refusal(f"{self.fields[name].label}: {self.errors[name][0]}")
        given = {name: self.cleaned_data.get(name, "") for name in self.fields}
        value = given.pop("value")
        return contacts.note(user=user, report=report, value=value, call=contacts.Call(**given))


def contacts_context(
    report: DiagnosticReport, may: CaseActions, form: CallForm | None = None
) -> dict[str, Any]:
    """What the part 'Who was told' of the case page shows; `report` as it may be shown.

    Args:
        may: what its reader may do.
        form: as it was sent, if it was.
    """
    told = report.contacts.select_related("by")
    findings = CriticalFinding.objects.staying()
    own = findings.filter(report=report).order_by()
    backs = CallBack.objects.filter(pk__in=own.values("call_back")).order_by("-raised_at")
    shown = Prefetch("findings", findings.select_related("report__specimen"))
    form = form or CallForm(initial={"value": contacts.value_of(report)})
    if not may.tell_family:
        staff = [(code, name) for code, name in Recipient.choices if code not in FAMILY]
        form.fields["relation"].choices = staff  # type: ignore[attr-defined]
    return {
        "contacts": [] if report.veiled else list(told),
        "call_backs": []
        if report.veiled
        else list(backs.prefetch_related(shown, "escalations__person")),
        "call_form": form,
        "call_ends": CallEnd.choices,
    }
