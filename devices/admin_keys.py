"""A microscope's codes and keys in the admin: made, shown once, rotated, revoked."""

from typing import Any

import segno
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone

from devices.models import Device, DeviceState
from devices.selectors import codes_visible_to, keys_visible_to
from devices.services import enrolment, keys
from hospital.accounts.scoped_admin import ScopedAdmin
from hospital.audit.services import Actor
from hospital.base.problems import Refusal


class KeyPages(ScopedAdmin):
    """The pages of a microscope that are about its keys, for the registry's admin."""

    def key_urls(self) -> list[Any]:
        """Their addresses."""
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/code/", wrap(self.make_code), name="devices_device_code"),
            path("<uuid:pk>/issue-key/", wrap(self.issue_key), name="devices_device_issue_key"),
            path("<uuid:pk>/rotate/", wrap(self.rotate), name="devices_device_rotate"),
            path(
                "<uuid:pk>/keys/<uuid:key>/revoke/",
                wrap(self.revoke_key),
                name="devices_device_revoke_key",
            ),
        ]

    def key_context(self, request: HttpRequest, device: Device) -> dict[str, Any]:
        """What the microscope's own page shows of keys and codes, and which buttons it has."""
        rows = (
            keys_visible_to(request.user)
            .filter(device=device)
            .select_related("replaces", "successor")
        )
        may = self.holds(request, "devices.issue_devicekey", device)
        return {
            "keys": rows,
            "latest_code": codes_visible_to(request.user).filter(device=device).first(),
            "may_key": may,
            "may_make": may and device.state in {DeviceState.PENDING, DeviceState.ACTIVE},
            "may_rotate": may and any(row.live for row in rows),
        }

    def make_code(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Make a one-time code, after asking, and show it this once, ready to be printed."""
        device = self.row_for(request, pk, "devices.issue_devicekey")
        if request.method != "POST":
            return self.ask(
                request,
                device,
                title="Make a code",
                question=f"Make a code for {device}?",
                consequence="Whoever types it at a microscope within minutes makes that one "
                f"{device.name}. Keys in use until now end when the code is used, and an older "
                "code is void at once.",
                button="Make a code",
            )
        try:
            made = enrolment.make_code(actor=Actor.user(request.user), device=device)
        except Refusal as refusal:
            return self.refuse(request, device, refusal)
        server = request.build_absolute_uri("/").rstrip("/")
        uri = enrolment.uri(code=made.code, server=server, serial=device.serial)
        return self._show_once(
            request,
            device,
            "code",
            title=f"Code for {device.name}",
            code=made.code,
            server=server,
            qr=qr_image(uri),
            expires_at=made.expires_at,
            minutes=round((made.expires_at - timezone.now()).total_seconds() / 60),
        )

    def issue_key(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Make a key, after asking, and show it this once."""
        device = self.row_for(request, pk, "devices.issue_devicekey")
        if request.method != "POST":
            return self.ask(
                request,
                device,
                title="Issue a key",
                question=f"Issue a new key for {device}?",
                consequence="For those who program a microscope themselves; others make a code. "
                "It is shown once, on the next page. Older keys stay valid until they are "
                "revoked.",
                button="Issue key",
            )
        try:
            key = keys.issue_key(actor=Actor.user(request.user), device=device)
        except Refusal as refusal:
            return self.refuse(request, device, refusal)
        images = request.build_absolute_uri("/api/device/v1/images/")
        return self._show_once(
            request, device, "key", title="The new key", key=key, curl=curl_line(key, images)
        )

    def rotate(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Have the microscope fetch itself a new key, after asking."""
        device = self.row_for(request, pk, "devices.issue_devicekey")
        return self.after_asking(
            request,
            device,
            lambda actor: keys.rotate_keys(actor=actor, device=device),
            "The microscope is told with its next heartbeat.",
            title="Rotate the keys",
            question=f"Let {device} fetch itself a new key?",
            consequence="It learns of it with its next heartbeat. Each key of today ends when "
            "its successor is first used, and within days in any case: a microscope that is "
            "switched off until then needs a new code. If a key may be in wrong hands, revoke "
            "it instead.",
            button="Rotate",
        )

    def revoke_key(self, request: HttpRequest, pk: Any, key: Any) -> HttpResponse:
        """End a key, after asking."""
        device = self.row_for(request, pk, "devices.issue_devicekey")
        row = get_object_or_404(keys_visible_to(request.user), pk=key, device=device)
        return self.after_asking(
            request,
            device,
            lambda actor: keys.revoke_key(actor=actor, key=row),
            "Key revoked.",
            title="Revoke a key",
            question=f"Revoke the key {row} of {device}?",
            consequence="A microscope that still uses it is refused at once; a successor that "
            "was never used ends with it.",
            button="Revoke",
            grave=True,
        )

    def _show_once(
        self, request: HttpRequest, device: Device, page: str, **what: Any
    ) -> HttpResponse:
        """A page with a secret, which no cache may keep."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": device,
            "back": self.page_of(device),
            **what,
        }
        answer = TemplateResponse(request, f"admin/devices/device/{page}.html", context)
        answer["Cache-Control"] = "no-store"
        return answer


def qr_image(text: str) -> str:
    """A QR code as a data: address of an SVG image: dark on white in every theme."""
    made = segno.make(text, error="m", micro=False)
    return str(made.svg_data_uri(scale=5, border=4, light="#fff"))


def curl_line(key: str, images: str) -> str:
    """One line for a shell that sends smear.jpg with `key`; docs/device-api.md has the same."""
    return (
        "F=smear.jpg; curl -T $F -w '\\n%{http_code}\\n'"
        f" -H 'Authorization: Bearer {key}'"
        " -H 'Accession-Number: N-2026-0001'"
        ' -H "Content-Digest: sha-256=:$(openssl dgst -sha256 -binary $F | base64):"'
        f" {images}$(cat /proc/sys/kernel/random/uuid)"
    )
