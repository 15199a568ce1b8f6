"""The composition root as an app: its commands, and the admin site that is ours."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConfigConfig(AppConfig):
    """Holds the management commands that need every app at once."""

    name = "hospital.config"
    default = True


class LeukolensAdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site class."""

    default_site = "hospital.config.admin.LeukolensAdminSite"
    default = False
