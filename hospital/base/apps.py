"""How Django knows this app."""

from django.apps import AppConfig


class BaseConfig(AppConfig):
    """See the package's own docstring."""

    name = "hospital.base"
    label = "base"
    verbose_name = "Base"
