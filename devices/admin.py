"""Microscopes in the admin: registered, keyed, suspended."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse

from devices.models import Device, DeviceState
from devices.selectors import devices_visible_to, keys_visible_to
from devices.services import keys, registry
from hospital.accounts.scoped_admin import ScopedAdmin
from hospital.audit.services import Actor
from hospital.base.problems import Refusal

# How each step is called on its button, and what it means for the bench.
STEPS = {
    DeviceState.ACTIVE: ("Activate", "It may send pictures again with the keys it has."),
    DeviceState.SUSPENDED: ("Suspend", "Its pictures are refused until it is activated again."),
    DeviceState.RETIRED: ("Retire", "For good: its keys are revoked and it cannot come back."),
}


@admin.register(Device)
class DeviceAdmin(ScopedAdmin):
    """The microscope registry."""

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
        (None, {"fields": ["clinic", "name", "state"]}),
        ("Instrument", {"fields": ["make", "model", "serial", "firmware"]}),
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
            context["keys"] = keys_visible_to(request.user).filter(device=device)
            context["may_key"] = self.holds(request, "devices.issue_devicekey", device)
            context["steps"] = self._steps(request, device)
        return super().render_change_form(request, context, *args, **kwargs)

    def _steps(self, request: HttpRequest, device: Device) -> list[dict[str, str]]:
        """Buttons for the states that `device` may go to now."""
        if not self.has_change_permission(request, device):
            return []
        if device.state == DeviceState.PENDING:  # activated by its first key
            to = [DeviceState.RETIRED]
        else:
            to = [s for s in STEPS if s in Device.TRANSITIONS[device.state]]
        return [
            {
                "label": STEPS[state][0],
                "address": reverse("admin:devices_device_state", args=[device.pk, state]),
            }
            for state in to
        ]

    def get_urls(self) -> list[Any]:
        """Django's, and those of keys and states."""
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/issue-key/", wrap(self.issue_key), name="devices_device_issue_key"),
            path(
                "<uuid:pk>/keys/<uuid:key>/revoke/",
                wrap(self.revoke_key),
                name="devices_device_revoke_key",
            ),
            path("<uuid:pk>/state/<slug:to>/", wrap(self.state), name="devices_device_state"),
            *super().get_urls(),
        ]

    def issue_key(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Make a key, after asking, and show it this once."""
        device = self.row_for(request, pk, "devices.issue_devicekey")
        if request.method != "POST":
            return self.ask(
                request,
                device,
                title="Issue a key",
                question=f"Issue a new key for {device}?",
                consequence="It is shown once, on the next page. Older keys stay valid until "
                "they are revoked.",
                button="Issue key",
            )
        try:
            key = keys.issue_key(actor=Actor.user(request.user), device=device)
        except Refusal as refusal:
            return self.refuse(request, device, refusal)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": device,
            "title": "The new key",
            "key": key,
            "curl": curl_line(key, request.build_absolute_uri("/api/device/v1/images/")),
            "back": self.page_of(device),
        }
        answer = TemplateResponse(request, "admin/devices/device/key.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    def revoke_key(self, request: HttpRequest, pk: Any, key: Any) -> HttpResponse:
        """End a key, after asking."""
        device = self.row_for(request, pk, "devices.issue_devicekey")
        row = get_object_or_404(keys_visible_to(request.user), pk=key, device=device)
        if request.method != "POST":
            return self.ask(
                request,
                device,
                title="Revoke a key",
                question=f"Revoke the key {row} of {device}?",
                consequence="A microscope that still uses it is refused at once.",
                button="Revoke",
                grave=True,
            )
        actor = Actor.user(request.user)
        return self.back_to(
            request, device, lambda: keys.revoke_key(actor=actor, key=row), "Key revoked."
        )

    def state(self, request: HttpRequest, pk: Any, to: str) -> HttpResponse:
        """Move the microscope to another state, after asking."""
        device = self.row_for(request, pk, "devices.change_device")
        step = {s.value: words for s, words in STEPS.items()}.get(to)
        if step is None or to not in Device.TRANSITIONS[device.state]:
            return self.refuse(request, device, Refusal(f"A {device.state} microscope cannot."))
        label, consequence = step
        if request.method != "POST":
            return self.ask(
                request,
                device,
                title=f"{label} a microscope",
                question=f"{label} {device}?",
                consequence=consequence,
                button=label,
                grave=to == DeviceState.RETIRED,
            )
        actor = Actor.user(request.user)
        return self.back_to(
            request,
            device,
            lambda: registry.change_state(actor=actor, device=device, to=to),
            f"{device} is {DeviceState(to).label.lower()} now.",
        )


def curl_line(key: str, images: str) -> str:
    """One line for a shell that sends smear.jpg with `key`; docs/device-api.md has the same."""
    return (
        "F=smear.jpg; curl -T $F -w '\\n%{http_code}\\n'"
        f" -H 'Authorization: Bearer {key}'"
        " -H 'Accession-Number: N-2026-0001'"
        ' -H "Content-Digest: sha-256=:$(openssl dgst -sha256 -binary $F | base64):"'
        f" {images}$(cat /proc/sys/kernel/random/uuid)"
    )
