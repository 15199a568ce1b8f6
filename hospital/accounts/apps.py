"""How Django knows this app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """See the package's own docstring."""

    name = "hospital.accounts"
    label = "accounts"
    verbose_name = "Staff and clinics"
