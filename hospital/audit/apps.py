"""How Django knows this app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """See the package's own docstring."""

    name = "hospital.audit"
    label = "audit"
    verbose_name = "Audit"
