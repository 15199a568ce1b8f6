"""Invitations to the portal: issued on paper, proved by a birth date, accepted once."""

import hashlib
import secrets
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from hospital.audit.services import Actor, record
from hospital.base.problems import NotFound, Refusal
from hospital.base.states import advance
from patients.models import Invitation, InvitationState, Patient, PortalAccess
from patients.services import grant_portal_access

# Wrong birth dates after which the sheet is waste paper.
TRIES = 5
# 192 bits: not to be guessed, and still a QR code that a phone reads from paper.
SECRET_BYTES = 24


class NoSuchInvitation(NotFound):
    """Unknown, used, revoked, void or too old: which of these is nobody's business."""

    code = "invitation_not_valid"

    def __init__(self) -> None:
        super().__init__(_("This invitation is not valid. Ask your clinic for another one."))


class WrongBirthDate(Refusal):
    """It is not the patient's."""

    code = "wrong_birth_date"


@transaction.atomic
def issue(
    *,
    actor: Actor,
    patient: Patient,
    relation: str,
    access_until: datetime | None = None,
) -> tuple[Invitation, str]:
    """Make an invitation; returns it and the secret of its link, which is kept nowhere."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    invitation = Invitation(
        patient=patient,
        relation=relation,
        access_until=access_until,
        secret_digest=digest(secret),
        expires_at=timezone.now() + timedelta(days=settings.INVITATION_DAYS),
    )
    invitation.full_clean()
    invitation.save(force_insert=True)
    _record(actor, "invitation.issued", invitation, relation=relation)
    return invitation, secret


@transaction.atomic
def revoke(*, actor: Actor, invitation: Invitation) -> None:
    """Make the sheet worthless.

    Raises:
        hospital.base.states.IllegalTransition: it is accepted, revoked or void already.
    """
    advance(invitation, InvitationState.REVOKED)
    _record(actor, "invitation.revoked", invitation)


def by_secret(secret: str) -> Invitation:
    """The open invitation with that secret in its link.

    Raises:
        NoSuchInvitation: there is none, or it is no longer open.
    """
    return _open(secret_digest=digest(secret))


def by_id(invitation_id: Any) -> Invitation:
    """The open invitation with that id.

    Raises:
        NoSuchInvitation: there is none, or it is no longer open.
    """
    return _open(pk=invitation_id)


def prove(invitation: Invitation, birth_date: date) -> None:
    """Show that one knows the patient: by the birth date.

    Raises:
        WrongBirthDate: it is another one; the try is counted.
        NoSuchInvitation: it was the last try, or the invitation is no longer open.
    """
    # Counted first and taken back when right, so that many tries at once are all counted.
    with transaction.atomic():
        open_ones = Invitation.objects.filter(pk=invitation.pk, state=InvitationState.OPEN)
        if not open_ones.filter(wrong_dates__lt=TRIES).update(wrong_dates=F("wrong_dates") + 1):
            raise NoSuchInvitation
        if birth_date == invitation.patient.birth_date:
            open_ones.update(wrong_dates=F("wrong_dates") - 1)
            return
        invitation.refresh_from_db()
        spent = invitation.wrong_dates >= TRIES
        nobody = Actor.system("invitation")
        _record(nobody, "invitation.wrong_birth_date", invitation, tries=invitation.wrong_dates)
        if spent:
            advance(invitation, InvitationState.VOID)
            _record(nobody, "invitation.voided", invitation)
    if spent:
        raise NoSuchInvitation
    raise WrongBirthDate(_("That is not the birth date we have. Look at it again."))


@transaction.atomic
def accept(*, user: Any, invitation: Invitation) -> PortalAccess:
    """Let `user` read the patient's released reports, for whoever has proved the invitation.

    Raises:
        hospital.base.states.IllegalTransition, hospital.base.states.StaleState: somebody was
            faster, or it was revoked meanwhile.
    """
    actor = Actor.user(user)
    advance(invitation, InvitationState.ACCEPTED, accepted_by=user, accepted_at=timezone.now())
    _record(actor, "invitation.accepted", invitation)
    return grant_portal_access(
        actor=actor,
        patient=invitation.patient,
        user=user,
        relation=invitation.relation,
        expires_at=invitation.access_until,
    )


def digest(secret: str) -> str:
    """What is kept of a secret. It is long and random, so one round is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _open(**which: Any) -> Invitation:
    found = Invitation.objects.filter(**which).select_related("patient__clinic").first()
    if found is None or not found.is_open:
        raise NoSuchInvitation
    return found


def _record(actor: Actor, action: str, invitation: Invitation, **detail: Any) -> None:
    patient = invitation.patient
    record(actor, action, invitation, clinic_id=patient.clinic_id, patient_id=patient.pk, **detail)
