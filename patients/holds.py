"""Legal holds: what is under one is neither retired nor erased."""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Refusal
from patients.models import LegalHold, Patient
from patients.services import ensure_not_erased

SHORTEST_REASON = 10


class UnderHold(Conflict):
    """The data must stay."""

    code = "legal_hold"


def in_force() -> QuerySet[LegalHold]:
    """The holds that have not been lifted."""
    return LegalHold.objects.filter(lifted_at__isnull=True)


@transaction.atomic
def place(*, actor: Actor, patient: Patient, reason: str, accession: str = "") -> LegalHold:
    """Keep everything of a patient, on account of one specimen or of all.

    Raises:
        Refusal: the reason says nothing (`reason_missing`).
        Conflict: the patient is erased (`patient_erased`).
    """
    ensure_not_erased(patient)
    if len(reason.strip()) < SHORTEST_REASON:
        raise Refusal("Say in some words why the data must stay.", code="reason_missing")
    hold = LegalHold.objects.create(
        patient=patient, accession=accession, reason=reason.strip(), placed_by=actor.name
    )
    whose = {"clinic_id": patient.clinic_id, "patient_id": patient.pk}
    record(actor, "legal_hold.placed", hold, **whose)
    return hold


@transaction.atomic
def lift(*, actor: Actor, hold: LegalHold) -> None:
    """End a hold; its row stays.

    Raises:
        Conflict: it was lifted before.
    """
    lifted = in_force().filter(pk=hold.pk).update(lifted_at=timezone.now(), lifted_by=actor.name)
    if not lifted:
        raise Conflict("This hold was lifted before.", code="hold_lifted")
    patient = hold.patient
    whose = {"clinic_id": patient.clinic_id, "patient_id": patient.pk}
    record(actor, "legal_hold.lifted", hold, **whose)


def ensure_free(patient: Patient) -> None:
    """Pass a patient under no hold.

    Raises:
        UnderHold: there is one; says why and by whom.
    """
    hold = in_force().filter(patient=patient).first()
    if hold is not None:
        raise UnderHold(
            f"Under legal hold since {hold.placed_at:%Y-%m-%d} by {hold.placed_by}: {hold.reason} "
            "Lift the hold first."
        )
