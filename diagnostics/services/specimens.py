"""Writes about specimens."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from diagnostics.models import ControlSlide, Specimen, Stain
from diagnostics.services import holds, reports
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict
from patients.models import Patient
from patients.services import ensure_not_erased


@transaction.atomic
def register_specimen(
    *,
    actor: Actor,
    patient: Patient,
    accession: str,
    collected_at: datetime,
    stain: str = Stain.WRIGHT_GIEMSA,
) -> Specimen:
    """Add a specimen of a patient, in the patient's clinic.

    Raises:
        django.core.exceptions.ValidationError: a field is wrong or the accession number is taken.
        Conflict: the patient is erased (`patient_erased`).
    """
    specimen = Specimen(
        accession=accession, patient=patient, collected_at=collected_at, stain=stain
    )
    return save_specimen(actor=actor, specimen=specimen)


@transaction.atomic
def save_specimen(*, actor: Actor, specimen: Specimen) -> Specimen:
    """Validate and store a new or changed specimen; its clinic is always its patient's.

    Raises:
        django.core.exceptions.ValidationError: as for `register_specimen`; or a control slide
            bears the accession number as its label.
        Conflict: another patient or accession number, and pictures have come under the old one; or
            the patient is erased (`patient_erased`).
    """
    created = specimen._state.adding
    ensure_not_erased(specimen.patient)
    _ensure_identity_kept(specimen)
    specimen.clinic_id = specimen.patient.clinic_id
    specimen.full_clean()
    if ControlSlide.objects.filter(label=specimen.accession).exists():
        raise ValidationError({"accession": "A control slide has this label."})
    specimen.save()
    record(
        actor,
        "specimen.registered" if created else "specimen.changed",
        specimen,
        clinic_id=specimen.clinic_id,
        patient_id=specimen.patient_id,
    )
    if not created:
        holds.release_collected(actor=actor, specimen=specimen)
    return specimen


@transaction.atomic
def close_specimen(*, actor: Actor, specimen: Specimen) -> None:
    """No more pictures are taken in for it. Closing it twice changes nothing."""
    _switch(actor, specimen, "specimen.closed", closed_at=timezone.now())


@transaction.atomic
def reopen_specimen(*, actor: Actor, specimen: Specimen) -> None:
    """Pictures are taken in again. One whose report was withdrawn stays closed all the same."""
    _switch(actor, specimen, "specimen.reopened", closed_at=None)


def _switch(actor: Actor, specimen: Specimen, deed: str, *, closed_at: datetime | None) -> None:
    rows = Specimen.objects.filter(pk=specimen.pk, closed_at__isnull=closed_at is not None)
    if rows.update(closed_at=closed_at):
        specimen.closed_at = closed_at
        record(
            actor,
            deed,
            specimen,
            clinic_id=specimen.clinic_id,
            patient_id=specimen.patient_id,
        )
        reports.tell_changed(specimen)


def _ensure_identity_kept(specimen: Specimen) -> None:
    """Pictures, report and audit trail speak of the patient and label they came under."""
    stored = Specimen.objects.filter(pk=specimen.pk, images__isnull=False)
    same = {"patient_id": specimen.patient_id, "accession": specimen.accession}
    if stored.exclude(**same).exists():
        raise Conflict(
            "Pictures have arrived for this specimen, so its patient and accession number stay. "
            "Register another specimen instead.",
            code="specimen_in_use",
        )
