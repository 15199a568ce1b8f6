"""DICOM objects: their picture goes the way of every picture, the object is kept beside it.

An object is safe, and the sender told so, when the picture has gone through `intake.receive`, the
object's file is fsynced and its row is committed. A crash in between leaves a picture without an
object; the sender, who was told nothing, sends it again and that completes it.
"""

import hashlib
import logging
from collections.abc import Iterable
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from devices.models import Device
from diagnostics.dicom import identity, objects, pixels
from diagnostics.dicom.objects import DicomObject
from diagnostics.dicom.refusals import Contradiction
from diagnostics.models import DiagnosticReport, DicomInstance, FieldImage, Specimen
from diagnostics.services import digests, intake, reading, removal, slides
from hospital.audit.services import Actor, entry, record, record_all, record_listed
from hospital.base import files
from hospital.base.problems import Overloaded
from ml.guarded import NoGuard

log = logging.getLogger(__name__)


def store(*, device: Device, data: bytes, study_uid: str = "") -> tuple[DicomInstance, bool]:
    """Store a DICOM object for good and queue the analysis of its picture.

    Args:
        data: a Part-10 file.
        study_uid: the study that it must belong to, if the sender named one.

    Returns:
        The object's row, and whether this call completed it (False: it was here already).

    Raises:
        NotSupported, ObjectRefused: see `diagnostics.dicom.objects.read` and `pixels.picture_of`.
        Contradiction: it does not say one accession number (`accession_disagrees`), names another
            patient than the specimen's (`other_patient`) or another study (`dicom_other_study`),
            or its UID is known for an object with other attributes (`dicom_object_differs`).
        Refusal: as `diagnostics.services.intake.receive`.
    """
    found = objects.read(data)
    if study_uid and found.study_uid != study_uid:
        raise Contradiction(
            "The object belongs to another study than the address.", code="dicom_other_study"
        )
    accession = identity.accession_of(found.dataset)
    _ensure_patient(found, accession, device)
    try:
        picture = pixels.picture_of(found)
    except NoGuard as error:
        raise intake.not_stored(error) from error
    image, _ = intake.receive(
        device=device,
        image_id=found.image_id,
        body=picture,
        content_digest=digests.header_of(hashlib.sha256(picture).digest()),
        accession=accession,
        captured_at=identity.captured_at_of(found.dataset),
    )
    try:
        return _keep(device, image, found)
    except (OSError, DatabaseError) as error:
        log.error("a DICOM object could not be stored: %s", type(error).__name__)
        raise Overloaded(
            "The object could not be stored just now. Keep it and send it again.",
            code="storage_unavailable",
            retry_after=30,
        ) from error


def note_retrieved(*, reader: Any, instances: Iterable[DicomInstance]) -> None:
    """Record that a person, or the microscope that sent them, was given the pictures of objects."""
    if not isinstance(reader, Device):
        specimens = {i.image.specimen_id for i in instances}
        for report in DiagnosticReport.objects.filter(specimen__in=specimens):
            reading.note_seen(user=reader, report=report)
        return
    record_all(
        entry(
            Actor.device(reader),
            "dicom.retrieved",
            instance,
            clinic_id=instance.image.clinic_id,
            patient_id=instance.image.patient_id,
            detail={},
        )
        for instance in instances
    )


def note_searched(*, reader: Any, instances: QuerySet[DicomInstance]) -> None:
    """Record whose objects a search told a person, or the microscope that sent them, about."""
    of = "image__specimen__clinic_id", "image__specimen__patient_id"
    actor = Actor.device(reader) if isinstance(reader, Device) else Actor.user(reader)
    record_listed(actor, "dicom.listed", instances.order_by().values_list(*of).distinct())


def _ensure_patient(found: DicomObject, accession: str, device: Device) -> None:
    """The patient that the object names, if any, is the specimen's.

    Of another clinic's specimen nothing is told: intake refuses it in its own words.
    """
    named = identity.patient_id_of(found.dataset)
    if not named or not accession.isprintable():
        return
    own = Specimen.objects.filter(accession=accession, clinic_id=device.clinic_id)
    known = own.values_list("patient__mrn", flat=True).first()
    if known is not None and known != named:
        raise Contradiction(
            "The object's Patient ID is not that of the patient whose specimen this is. The slide "
            "may be another patient's: check label and worklist at the microscope.",
            code="other_patient",
        )


def _keep(device: Device, image: FieldImage, found: DicomObject) -> tuple[DicomInstance, bool]:
    """The file first, then its row; or the row that is here, if it is of the same object.

    Encoded anew on its way (another syntax for the same pixels, lengths written otherwise) it is
    still the same object, so attributes are compared and not bytes.
    """
    known = DicomInstance.objects.filter(pk=image.pk).first()
    if known is None:
        digest = hashlib.sha256(found.data).hexdigest()
        key = files.put(files.key_of(digest, folder="dicom", suffix=".dcm"), found.data)
        known, created = _row(device, image, found, digest=digest, key=key)
        if known is None:
            raise slides.closed()
        if created:
            return known, True
    if (known.sop_class_uid, known.attributes) != (found.sop_class_uid, found.attributes):
        raise Contradiction(
            "This SOP Instance UID was used before for an object with other attributes; the first "
            "stays. Give each object its own UID.",
            code="dicom_object_differs",
        )
    return known, False


@transaction.atomic
def _row(
    device: Device, image: FieldImage, found: DicomObject, *, digest: str, key: str
) -> tuple[DicomInstance | None, bool]:
    """None, and the file goes again, if the patient was erased since the picture was stored."""
    if image.specimen:
        # An erasure takes the label away, and waits for us or has been before.
        same = Specimen.objects.filter(pk=image.specimen.pk, accession=image.label)
        if not same.select_for_update(no_key=True).values_list("pk"):
            removal.plan({key})
            return None, False
    instance, created = DicomInstance.objects.get_or_create(
        image=image,
        defaults={
            "sop_instance_uid": found.sop_instance_uid,
            "sop_class_uid": found.sop_class_uid,
            "study_uid": found.study_uid,
            "series_uid": found.series_uid,
            "study_date": identity.study_date_of(found.dataset),
            "transfer_syntax_uid": found.transfer_syntax_uid,
            "storage_key": key,
            "sha256": digest,
            "size": len(found.data),
            "attributes": found.attributes,
        },
    )
    if created:
        record(
            Actor.device(device),
            "dicom.stored",
            instance,
            clinic_id=image.clinic_id,
            patient_id=image.patient_id,
            sop_instance_uid=found.sop_instance_uid,
        )
    return instance, created
