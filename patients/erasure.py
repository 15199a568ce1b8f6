"""A patient's personal data, taken out of the registry; the row stays, as a number."""

from datetime import date
from typing import Any

from django.utils import timezone

from hospital.accounts.services import erase_account
from hospital.audit.services import Actor
from patients.models import Invitation, InvitationState, Patient, PortalAccess, Sex
from patients.selectors import live_access
from patients.services import revoke_portal_access


def erase_person(*, actor: Actor, patient: Patient) -> list[Any]:
    """Empty the row, end every portal access, void invitations; in the caller's transaction.

    Accounts that read about nobody else, and do not work here, are erased too.

    Returns:
        The erased accounts, as rows.
    """
    readers = []
    for access in PortalAccess.objects.filter(patient=patient).select_related("user", "patient"):
        revoke_portal_access(actor=actor, access=access)
        readers.append(access.user)
    open_ = Invitation.objects.filter(patient=patient, state=InvitationState.OPEN)
    open_.update(state=InvitationState.REVOKED)
    pseudonym = f"erased-{patient.pk.hex[:24]}"
    Patient.objects.filter(pk=patient.pk).update(
        mrn=pseudonym,
        family_name="Erased",
        given_names="Erased",
        birth_date=date(patient.birth_date.year, 1, 1),
        sex=Sex.UNKNOWN,
        language="en",
        erased_at=timezone.now(),
    )
    erased = []
    for user in {reader.pk: reader for reader in readers}.values():
        if not user.is_staff and not live_access(user).exists():
            erase_account(actor=actor, user=user)
            erased.append(user)
    return erased
