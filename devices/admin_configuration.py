"""The admin's page on which a microscope is told what to do."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import path

from devices.models import Device
from devices.services.configuration import FIELDS, Field, configure
from hospital.accounts.scoped_admin import ScopedAdmin
from hospital.audit.services import Actor
from hospital.base.problems import Refusal


class ConfigurationForm(forms.Form):
    """A field for each thing a microscope can be told; empty is as everywhere in the hospital."""

    def __init__(self, device: Device, data: QueryDict | None) -> None:
        super().__init__(data, initial=device.configuration)
        for field in FIELDS:
            self.fields[field.name] = _form_field(field)

    def blame(self, error: ValidationError) -> None:
        """Say beside the fields what the service refused."""
        for name, texts in error.message_dict.items():
            self.add_error(name if name in self.fields else None, texts)


def _form_field(field: Field) -> forms.Field:
    default = settings.DEVICE_CONFIGURATION.get(field.name)
    unset = "none" if field.kind is str else "left to the microscope"
    options: dict[str, Any] = {
        "label": field.label,
        "required": False,
        "help_text": f"{field.help} Empty: {unset if default in {None, ''} else default}.",
    }
    if field.kind is str:
        return forms.CharField(max_length=40, **options)
    if field.kind is int:
        return forms.IntegerField(min_value=int(field.least), max_value=int(field.most), **options)
    return forms.FloatField(min_value=field.least, max_value=field.most, **options)


class ConfigurationPages(ScopedAdmin):
    """The part of the microscope's admin that is about configuration."""

    def get_urls(self) -> list[Any]:
        """The page, before Django's own."""
        page = self.admin_site.admin_view(self.configuration)
        name = "devices_device_configuration"
        return [path("<uuid:pk>/configuration/", page, name=name), *super().get_urls()]

    def configuration(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Show and change what the microscope is told."""
        device = self.row_for(request, pk, "devices.change_device")
        form = ConfigurationForm(device, request.POST if request.method == "POST" else None)
        if form.is_valid():
            actor = Actor.user(request.user)
            try:
                configure(actor=actor, device=device, values=form.cleaned_data)
            except ValidationError as error:
                form.blame(error)
            except Refusal as refusal:
                return self.refuse(request, device, refusal)
            else:
                messages.success(request, "The microscope is told with its next heartbeat.")
                return HttpResponseRedirect(self.page_of(device))
        return self.ask(
            request,
            device,
            title="Configuration",
            question=f"What {device} is told",
            consequence=f"Revision {device.revision}. What is left empty is as everywhere in the "
            "hospital; a change reaches the microscope with its next heartbeat.",
            button="Save",
            form=form,
        )
