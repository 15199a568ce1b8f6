"""How Django knows this app."""

from django.apps import AppConfig


class LiveConfig(AppConfig):
    """See the package's own docstring."""

    name = "hospital.live"
    label = "live"
    verbose_name = "Live events"
