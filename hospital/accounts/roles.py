"""What each role may do. The one table of permissions; `selectors.clinics_where` reads it."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """A person's job in one clinic."""

    TECHNICIAN = "technician", _("Laboratory technician")
    HAEMATOLOGIST = "haematologist", _("Haematologist")
    DEVICE_MANAGER = "device_manager", _("Device manager")
    ADMINISTRATOR = "administrator", _("Administrator")


_READ_CASES = {
    "accounts.view_clinic",
    "patients.view_patient",
    "diagnostics.view_specimen",
    "diagnostics.view_fieldimage",
    "diagnostics.view_analysis",
    "diagnostics.view_diagnosticreport",
}

# What an emergency opens in another clinic (see `hospital.accounts.emergency`), and who may.
EMERGENCY = frozenset(_READ_CASES)
BREAK_GLASS = "accounts.add_breakglass"

GRANTS: dict[str, frozenset[str]] = {
    Role.TECHNICIAN: frozenset(
        _READ_CASES
        | {
            "patients.add_patient",
            "patients.change_patient",
            "diagnostics.add_specimen",
            "diagnostics.change_specimen",
            "diagnostics.retry_analysis",
            "diagnostics.verify_diagnosticreport",
            "diagnostics.add_cellcall",
            "diagnostics.add_owncall",
            "diagnostics.add_contacttry",
            "diagnostics.release_hold",
            "diagnostics.view_controlslide",
            "diagnostics.add_controlslide",
            "diagnostics.change_controlslide",
            "devices.view_device",
        }
    ),
    Role.HAEMATOLOGIST: frozenset(
        _READ_CASES
        | {
            "diagnostics.retry_analysis",
            "diagnostics.verify_diagnosticreport",
            "diagnostics.sign_diagnosticreport",
            BREAK_GLASS,
            "diagnostics.add_cellcall",
            "diagnostics.add_owncall",
            "diagnostics.add_contacttry",
            "diagnostics.tell_family",
            "diagnostics.release_hold",
            "diagnostics.view_controlslide",
        }
    ),
    Role.DEVICE_MANAGER: frozenset(
        {
            "accounts.view_clinic",
            "devices.view_device",
            "devices.add_device",
            "devices.change_device",
            "devices.issue_devicekey",
            "devices.view_devicekey",
            "diagnostics.view_controlslide",
        }
    ),
    Role.ADMINISTRATOR: frozenset(
        {
            "accounts.view_clinic",
            "accounts.change_clinic",
            "accounts.view_user",
            "accounts.add_user",
            "accounts.change_user",
            "accounts.view_lockout",
            "accounts.change_lockout",
            "accounts.view_membership",
            "accounts.add_membership",
            "accounts.change_membership",
            "accounts.delete_membership",
            "audit.view_entry",
            "devices.view_device",
            "devices.add_device",
            "devices.change_device",
            "devices.issue_devicekey",
            "devices.view_devicekey",
            "patients.view_patient",
            "patients.add_patient",
            "patients.change_patient",
            "patients.view_portalaccess",
            "patients.add_portalaccess",
            "patients.change_portalaccess",
            "patients.view_invitation",
            "patients.add_invitation",
            "patients.change_invitation",
            "diagnostics.view_releaserule",
            "diagnostics.add_releaserule",
            "diagnostics.change_releaserule",
            "diagnostics.delete_releaserule",
            "diagnostics.view_readingrule",
            "diagnostics.add_readingrule",
            "diagnostics.change_readingrule",
            "diagnostics.view_owncall",
            "diagnostics.view_escalationstep",
            "diagnostics.add_escalationstep",
            "diagnostics.change_escalationstep",
            "diagnostics.delete_escalationstep",
            "diagnostics.view_releasewish",
            "diagnostics.add_releasewish",
            "diagnostics.change_releasewish",
            "diagnostics.view_specimen",
            "diagnostics.add_specimen",
            "diagnostics.change_specimen",
            "diagnostics.view_controlslide",
            "diagnostics.add_controlslide",
            "diagnostics.change_controlslide",
            "diagnostics.view_dashboard",
        }
    ),
}


def roles_granting(permission: str) -> list[str]:
    """The roles whose holders have `permission` ('app.action_model') in their clinic."""
    return [role for role, granted in GRANTS.items() if permission in granted]
