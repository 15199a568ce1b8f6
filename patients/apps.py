"""How Django knows this app."""

from django.apps import AppConfig


class PatientsConfig(AppConfig):
    """See the package's own docstring."""

    name = "patients"
    label = "patients"
    verbose_name = "Patients"
