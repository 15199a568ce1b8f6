"""Writes to the patient registry."""

from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from hospital.accounts.models import Clinic
from hospital.accounts.services import account_for_portal, ensure_clinic_kept
from hospital.accounts.signin.sessions import end_all
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict
from hospital.live.services import ACCESS_CHANGED, publish, recheck
from patients.ages import AgeBand
from patients.models import Patient, PortalAccess, Relation
from patients.selectors import live_access, patient_topic


@transaction.atomic
def register_patient(
    *,
    actor: Actor,
    clinic: Clinic,
    mrn: str,
    family_name: str,
    given_names: str,
    birth_date: date,
    sex: str,
    language: str = "en",
) -> Patient:
    """Add a patient to a clinic's registry.

    Raises:
        django.core.exceptions.ValidationError: a field is missing or the record number is taken.
    """
    patient = Patient(
        clinic=clinic,
        mrn=mrn,
        family_name=family_name,
        given_names=given_names,
        birth_date=birth_date,
        sex=sex,
        language=language,
    )
    return save_patient(actor=actor, patient=patient)


@transaction.atomic
def save_patient(*, actor: Actor, patient: Patient) -> Patient:
    """Validate and store a new or changed patient.

    Raises:
        django.core.exceptions.ValidationError: as for `register_patient`.
        hospital.base.problems.Conflict: the clinic was changed (`clinic_fixed`), or the patient is
            erased (`patient_erased`).
    """
    created = patient._state.adding
    ensure_clinic_kept(patient)
    ensure_not_erased(patient)
    patient.full_clean()
    patient.save()
    record(
        actor,
        "patient.registered" if created else "patient.changed",
        patient,
        clinic_id=patient.clinic_id,
        patient_id=patient.pk,
    )
    return patient


def ensure_not_erased(patient: Patient) -> None:
    """Pass a patient who is not erased, and will not be before this transaction ends.

    Raises:
        Conflict: they are (`patient_erased`).
    """
    rows = Patient.objects.select_for_update().filter(pk=patient.pk)
    if any(rows.values_list("erased_at", flat=True)):
        raise Conflict(
            "This patient's data is erased, and nothing new is kept under it. "
            "Register the person anew.",
            code="patient_erased",
        )


@transaction.atomic
def grant_portal_access(
    *,
    actor: Actor,
    patient: Patient,
    user: Any,
    relation: str,
    expires_at: datetime | None = None,
) -> PortalAccess:
    """Let `user` read the patient's released reports; granting it twice changes nothing.

    Raises:
        Conflict: a guardian was named for somebody who is of age.
    """
    if relation == Relation.GUARDIAN and patient.age_band == AgeBand.ADULT:
        raise Conflict(
            "This patient is of age and reads alone. Grant access as 'The patient'.",
            code="patient_of_age",
        )
    access, created = PortalAccess.objects.get_or_create(
        patient=patient,
        user=user,
        revoked_at=None,
        defaults={"relation": relation, "expires_at": expires_at},
    )
    if created:
        record(
            actor,
            "portal_access.granted",
            access,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            relation=relation,
        )
        recheck(access.user_id)
    return access


@transaction.atomic
def invite_to_portal(
    *,
    actor: Actor,
    patient: Patient,
    username: str,
    relation: str,
    expires_at: datetime | None = None,
    full_name: str = "",
    password: str = "",
) -> PortalAccess:
    """Grant access to the account `username`; given a name and a password, open that account.

    Raises: as `hospital.accounts.services.account_for_portal` and `open_account`.
    """
    user = account_for_portal(
        actor=actor, username=username, full_name=full_name, password=password
    )
    return grant_portal_access(
        actor=actor, patient=patient, user=user, relation=relation, expires_at=expires_at
    )


@transaction.atomic
def revoke_portal_access(*, actor: Actor, access: PortalAccess) -> None:
    """End an access. Open pages lose it at once; whoever has no other is signed out everywhere."""
    live = PortalAccess.objects.filter(pk=access.pk, revoked_at__isnull=True)
    if live.update(revoked_at=timezone.now()):
        access.refresh_from_db()
        record(
            actor,
            "portal_access.revoked",
            access,
            clinic_id=access.patient.clinic_id,
            patient_id=access.patient_id,
        )
        # Open sockets look at once whether they may stay.
        topics = [patient_topic(access.patient_id)]
        publish(ACCESS_CHANGED, access.patient_id, version=0, topics=topics)
        if not live_access(access.user).exists():
            end_all(actor=actor, user=access.user)
