"""How Django knows this app."""

from django.apps import AppConfig


class DiagnosticsConfig(AppConfig):
    """See the package's own docstring."""

    name = "diagnostics"
    label = "diagnostics"
    verbose_name = "Diagnostics"
