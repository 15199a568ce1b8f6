"""Erasing a patient: nothing is left that tells who it was, and the audit trail still proves all.

Pictures, drawings, DICOM objects, names, comments and labels go. What stays is a case without a
person: that somebody of a birth year was examined, what model and reader concluded, and in the
audit trail who did what when: docs/decisions/0019.
"""

from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from diagnostics.models import (
    Analysis,
    ContactTry,
    DiagnosticReport,
    DicomInstance,
    FieldImage,
    FoundCells,
    HeatMap,
    Hold,
    ReferenceField,
    ReportVersion,
    Signature,
    Specimen,
    Upload,
)
from diagnostics.models.analysis import OPEN
from diagnostics.services import drawing, removal
from hospital.accounts.selectors import clinic_topic
from hospital.audit import erasure as trail
from hospital.audit.models import Entry
from hospital.audit.services import Actor, record
from hospital.live.services import publish
from patients import holds
from patients.erasure import erase_person
from patients.models import Patient

_ERASED = "(erased)"
_NOBODY = {"family_name": "", "given_names": "", "birth_date": "", "sex": "", "mrn": ""}


@transaction.atomic
def erase_patient(*, actor: Actor, patient: Patient, reason: str) -> dict[str, int]:
    """Erase a patient; doing it again is harmless. Files go after the commit: see `removal`.

    Args:
        reason: why, as a code or in a few words without a name: 'request', 'retention'.

    Returns:
        How many pictures, reports, accounts and audit entries it concerned.

    Raises:
        patients.holds.UnderHold: the data must stay (`legal_hold`); nothing is changed.
    """
    runs = Analysis.objects.filter(image__specimen__patient=patient)
    # A worker that is just writing about them is waited for, before we hold what it may need.
    list(runs.select_for_update(of=("self",)).order_by("image_id", "pk").only("pk"))
    patient = Patient.objects.select_for_update().get(pk=patient.pk)
    holds.ensure_free(patient)
    specimens = Specimen.objects.filter(patient=patient)
    # In one order, before reports: intake holds a specimen before its report, and adds nothing
    # from here.
    list(specimens.select_for_update().order_by("pk"))
    images = FieldImage.objects.filter(specimen__in=specimens)
    removal.plan(_files_of(images))
    _forget_pictures(images)
    reports = _forget_reports(patient)
    for specimen in specimens:
        _forget_specimen(specimen)
    accounts = erase_person(actor=actor, patient=patient)
    count = {"pictures": len(images), "reports": len(reports), "accounts": len(accounts)}
    whose = {"clinic_id": patient.clinic_id, "patient_id": patient.pk}
    people = [str(user.pk) for user in accounts]
    told = Q(patient_id=patient.pk) | Q(actor_id__in=people) | Q(subject_id__in=people)
    count["entries"] = trail.erase(
        actor=actor,
        entries=Entry.objects.filter(told),
        subject=patient,
        clinic_id=patient.clinic_id,
    )
    # Afterwards, or it would be emptied itself.
    record(actor, "patient.erased", patient, **whose, reason=reason[:200], **count)
    transaction.on_commit(removal.sweep, robust=True)
    return count


def _files_of(images: Any) -> set[str]:
    """The stored files of the pictures, the folders of drawings, and the copies for paper.

    Some may be another patient's pictures as well (see `mix_ups`): whoever removes them looks.
    """
    keys = set(images.values_list("storage_key", flat=True))
    keys |= {f"derived/shown/{sha256}.png" for sha256 in images.values_list("sha256", flat=True)}
    objects = DicomInstance.objects.filter(image__in=images)
    keys |= set(objects.values_list("storage_key", flat=True))
    analyses = Analysis.objects.filter(image__in=images)
    for row in analyses.values_list("segmented_key", "overlay_key", "thumbnail_key"):
        keys.update(row)
    runs = set(analyses.values_list("pk", flat=True))
    keys |= {f"derived/{pk}/" for pk in runs}
    keys |= {drawing.printed_key(pk) for pk in runs | set(images.values_list("pk", flat=True))}
    return keys - {""}


def _forget_pictures(images: Any) -> None:
    """What was found in them, and what DICOM said. Their rows stay: one sent again is known.

    A run that waits or is under way goes as well: what its worker finds, it cannot store.
    """
    Analysis.objects.filter(image__in=images, state__in=OPEN).delete()
    HeatMap.objects.filter(analysis__image__in=images).delete()
    FoundCells.objects.filter(analysis__image__in=images).delete()
    DicomInstance.objects.filter(image__in=images).delete()
    Hold.objects.filter(image__in=images).update(comment="")


def _forget_reports(patient: Patient) -> list[DiagnosticReport]:
    """Comments, the family's words, who was told, and in signed versions whose report it is."""
    reports = list(DiagnosticReport.objects.filter(patient=patient))
    for report in reports:
        DiagnosticReport.objects.filter(pk=report.pk).update(
            comment="", words={}, portal_from=None, mail_due=False, version=F("version") + 1
        )
        topics = [clinic_topic(report.clinic_id)]
        publish("report.changed", report.pk, version=report.version + 1, topics=topics)
    for version in ReportVersion.objects.filter(report__in=reports):
        # The digest stays, and with it the proof that a paper in somebody's hands is genuine.
        blank = {"patient": _NOBODY, "accession": "", "comment": "", "words": {}}
        version.content = {**version.content, **blank}
        version.save(update_fields=["content"])
    ReferenceField.objects.filter(report__in=reports).delete()
    signatures = Signature.objects.filter(report__in=reports)
    signatures.filter(reason="").update(comment="", words={})
    signatures.exclude(reason="").update(comment="", words={}, reason=_ERASED)
    ContactTry.objects.filter(report__in=reports).update(name=_ERASED, role="", note="")
    return reports


def _forget_specimen(specimen: Specimen) -> None:
    Upload.objects.filter(accession=specimen.accession).delete()
    Specimen.objects.filter(pk=specimen.pk).update(
        accession=f"erased-{specimen.pk.hex[:24]}", closed_at=specimen.closed_at or timezone.now()
    )
