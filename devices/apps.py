"""How Django knows this app."""

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """See the package's own docstring."""

    name = "devices"
    label = "devices"
    verbose_name = "Microscopes"
