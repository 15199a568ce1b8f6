"""The case that the end-to-end probe sends through the house: laid down, and cleared away.

The probe has a clinic for itself (`Clinic.probe`), which nobody's lists, figures or searches begin
with: see `hospital.accounts.models.RealClinics` and docs/decisions/0026.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import partial
from uuid import uuid4

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from devices.models import Device
from devices.services.registry import register_device
from diagnostics.models import (
    Analysis,
    DiagnosticReport,
    FieldImage,
    FoundCells,
    Hold,
    Specimen,
)
from diagnostics.services.specimens import register_specimen
from hospital.accounts.models import Clinic, User
from hospital.accounts.selectors import clinic_topic, fleet_topic
from hospital.accounts.services import found_probe
from hospital.audit.services import Actor
from hospital.base import files
from hospital.live.models import Event
from ml import synthetic
from patients.models import Patient, Sex
from patients.services import register_patient

SIDE = 224
# What a probe left behind that was killed is nobody's after this long.
LEFT_BEHIND = timedelta(hours=1)


def draw() -> bytes:
    """A drawn smear that was never sent before, marked as drawn; a JPEG of about 20 kB."""
    rgb = synthetic.smear(seed=uuid4().int % 2**63, size=SIDE)
    return synthetic.to_bytes(rgb, "image/jpeg")


@transaction.atomic
def lay_down(*, actor: Actor) -> tuple[User, Device, Specimen]:
    """A fresh specimen of the probe's patient; the account that watches, and the microscope."""
    clinic, account = found_probe(actor=actor)
    device = Device.objects.filter(clinic=clinic).first() or register_device(
        actor=actor,
        clinic=clinic,
        name="Probe",
        make="Leukolens",
        model="Probe",
        serial=clinic.pk.hex,
    )
    patient = Patient.objects.filter(clinic=clinic).first() or register_patient(
        actor=actor,
        clinic=clinic,
        mrn="PROBE",
        family_name="Probe",
        given_names="Nobody",
        birth_date=date(2000, 1, 1),
        sex=Sex.UNKNOWN,
    )
    specimen = register_specimen(
        actor=actor,
        patient=patient,
        accession=f"PROBE-{uuid4().hex[:20]}",
        collected_at=timezone.now(),
    )
    return account, device, specimen


def clear(specimen: Specimen) -> None:
    """Take away one probe's case, and what earlier ones that were killed have left.

    The audit trail keeps what was done. Nothing of another clinic is touched.
    """
    own = Specimen.objects.filter(clinic__probe=True)
    old = own.filter(registered_at__lt=timezone.now() - LEFT_BEHIND)
    _clear(own.filter(pk=specimen.pk) | old)


@transaction.atomic
def _clear(specimens: QuerySet[Specimen]) -> None:
    images = FieldImage.objects.filter(specimen__in=list(specimens))
    # A worker that is just writing about one of them is waited for.
    runs = list(Analysis.objects.select_for_update().filter(image__in=images).order_by("pk"))
    keys = {image.storage_key for image in images}
    folders = {f"derived/{run.pk}" for run in runs}
    reports = DiagnosticReport.objects.filter(specimen__in=specimens)
    for rows in (
        FoundCells.objects.filter(analysis__in=runs),
        Hold.objects.filter(image__in=images),
        Analysis.objects.filter(pk__in=[run.pk for run in runs]),
        images,
        reports,
    ):
        rows.delete()
    Specimen.objects.filter(pk__in=[specimen.pk for specimen in specimens]).delete()
    for clinic in Clinic.every.filter(probe=True):
        topics = [clinic_topic(clinic.pk), fleet_topic(clinic.pk)]
        Event.objects.filter(topic__in=topics, at__lt=timezone.now() - LEFT_BEHIND).delete()
    transaction.on_commit(partial(_remove, keys, folders))


def _remove(keys: Iterable[str], folders: Iterable[str]) -> None:
    for key in keys:
        files.remove(key)
    for folder in folders:
        files.remove_folder(folder)
