"""Microscopes in the admin: registered, suspended, retired, reinstated."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse

from devices.admin_configuration import ConfigurationPages
from devices.admin_keys import KeyPages
from devices.certificates import NO_FINGERPRINT, fingerprint_of
from devices.models import Device, DeviceState
from devices.selectors import devices_visible_to
from devices.services import registry
from hospital.audit.services import Actor
from hospital.base.problems import Refusal

# How each step is called on its button, and what it means for the bench.
STEPS = {
    DeviceState.ACTIVE: ("Activate", "It may send pictures again with the keys it has."),
    DeviceState.SUSPENDED: ("Suspend", "Its pictures are refused until it is activated again."),
    DeviceState.RETIRED: (
        "Retire",
        "Its keys and its code end for good, and its serial number cannot be registered again. "
        "Only a person can bring it back, with a reason.",
    ),
}


class DeviceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A microscope; its certificate's fingerprint is taken as openssl writes it, too."""

    certificate_sha256 = forms.CharField(
        label="Client certificate",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"}),
        help_text="SHA-256 fingerprint of its certificate, where a proxy checks one; else empty.",
    )

    def clean_certificate_sha256(self) -> str:
        """64 small hexadecimal digits, or nothing."""
        text: str = self.cleaned_data["certificate_sha256"]
        try:
            return fingerprint_of(text) if text else ""
        except ValueError as error:
            raise forms.ValidationError(NO_FINGERPRINT) from error


class ReasonForm(forms.Form):
    """Why, in a person's words."""

    reason = forms.CharField(
        max_length=200, help_text="It stays in the audit trail. No patient's name, please."
    )


@admin.register(Device)
class DeviceAdmin(ConfigurationPages, KeyPages):
    """The microscope registry."""

    form = DeviceForm

    visible = devices_visible_to
    fixed = ("clinic",)
    list_display = ["name", "make", "model", "serial", "clinic", "state", "last_heartbeat_at"]
    list_filter = ["state", ("clinic", admin.RelatedOnlyFieldListFilter), "make"]
    search_fields = ["name", "make", "model", "serial"]
    search_help_text = "Name, make, model or serial number"
    date_hierarchy = "registered_at"
    ordering = ["clinic__name", "name"]
    readonly_fields = ["state", "last_heartbeat_at", "said", "registered_at", "id"]
    fieldsets = [
        (None, {"fields": ["clinic", "name", "place", "state"]}),
        (
            "Instrument",
            {"fields": ["make", "model", "serial", "firmware", "ae_title", "certificate_sha256"]},
        ),
        ("Quality control", {"fields": ["control_hours"]}),
        ("Heartbeat", {"fields": ["last_heartbeat_at", "said"]}),
        ("Record", {"fields": ["registered_at", "id"]}),
    ]
    change_form_template = "admin/devices/device/change_form.html"

    @admin.display(description="It said")
    def said(self, device: Device) -> str:
        """The last heartbeat's content, readable."""
        words = [f"{k.replace('_', ' ')}: {v}" for k, v in device.last_heartbeat.items()]
        return " · ".join(words) or "-"

    def store(self, actor: Actor, row: Device, *, form: Any) -> None:
        """Through the registry's service."""
        registry.save_device(actor=actor, device=row)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Django's form, with the keys below and the buttons above it."""
        device = kwargs.get("obj")
        if device:
            context |= self.key_context(request, device)
            context["steps"] = self._steps(request, device)
            context["may_configure"] = self.has_change_permission(request, device)
        return super().render_change_form(request, context, *args, **kwargs)

    def _steps(self, request: HttpRequest, device: Device) -> list[dict[str, str]]:
        """Buttons for the states that `device` may go to now."""
        if not self.has_change_permission(request, device):
            return []
        if device.state == DeviceState.RETIRED:
            address = reverse("admin:devices_device_reinstate", args=[device.pk])
            return [{"label": "Reinstate", "address": address}]
        return [
            {
                "label": STEPS[state][0],
                "address": reverse("admin:devices_device_state", args=[device.pk, state]),
            }
            for state in STEPS
            if state in Device.TRANSITIONS[device.state]
            and not registry.never_chosen(device, state)
        ]

    def get_urls(self) -> list[Any]:
        """Django's, those of keys, and those of states."""
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/state/<slug:to>/", wrap(self.state), name="devices_device_state"),
            path("<uuid:pk>/reinstate/", wrap(self.reinstate), name="devices_device_reinstate"),
            *self.key_urls(),
            *super().get_urls(),
        ]

    def state(self, request: HttpRequest, pk: Any, to: str) -> HttpResponse:
        """Move the microscope to another state, after asking."""
        device = self.row_for(request, pk, "devices.change_device")
        step = {s.value: words for s, words in STEPS.items()}.get(to)
        if step is None or to not in Device.TRANSITIONS[device.state]:
            return self.refuse(request, device, Refusal(f"A {device.state} microscope cannot."))
        if why := registry.never_chosen(device, to):
            return self.refuse(request, device, Refusal(why))
        label, consequence = step
        return self.after_asking(
            request,
            device,
            lambda actor: registry.change_state(actor=actor, device=device, to=to),
            f"{device} is {DeviceState(to).label.lower()} now.",
            title=f"{label} a microscope",
            question=f"{label} {device}?",
            consequence=consequence,
            button=label,
            grave=to == DeviceState.RETIRED,
        )

    def reinstate(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Bring a retired microscope back, with a reason."""
        device = self.row_for(request, pk, "devices.change_device")
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            actor, reason = Actor.user(request.user), form.cleaned_data["reason"]
            return self.back_to(
                request,
                device,
                lambda: registry.reinstate(actor=actor, device=device, reason=reason),
                f"{device} is back in the registry. Make a code for it.",
            )
        return self.ask(
            request,
            device,
            title="Reinstate a microscope",
            question=f"Reinstate {device}?",
            consequence="It waits for a new code; none of its old keys works again.",
            button="Reinstate",
            form=form,
        )
