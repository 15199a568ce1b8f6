"""Promise: of an erased patient nothing is left that tells who it was, and the trail holds."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from diagnostics import tasks
from diagnostics.models import (
    DiagnosticReport,
    DicomInstance,
    FieldImage,
    FileToRemove,
    ReportVersion,
)
from diagnostics.services import analyses, dicom, drawing, heat, reanalysis, removal
from diagnostics.services.erasure import erase_patient
from diagnostics.services.specimens import save_specimen
from hospital.accounts.models import User
from hospital.audit import sealing
from hospital.audit.models import Entry
from hospital.audit.verification import verify
from hospital.base import files
from hospital.base.problems import Conflict
from hospital.config.nightly import retention_run
from patients.services import grant_portal_access, save_patient
from tests.diagnostics.conftest import everything, stored
from tests.dicom_objects import dataset, part10
from tests.world import SETUP, World, add_patient, add_specimen, found, look_and_sign

PERSONAL = ("Rahman", "Amina", "Nadia", "'N-1'", '"N-1"', "N-2026-0001", "2019-04-02")


def treated(world: World) -> DiagnosticReport:
    """A signed report with a comment, a drawn picture, a DICOM object, a guardian who printed."""
    report = world.reported()
    image = FieldImage.objects.get(specimen=world.specimen)
    world.outline(image.analyses.get())
    drawing.cells(image.analyses.get())
    by_dicom = add_specimen(world.patient, "N-DICOM")
    dicom.store(device=world.device, data=part10(dataset(world, 13, specimen=by_dicom)))
    look_and_sign(world.haematologist, report, comment="Amina Rahman's mother was told.")
    client = Client()
    client.force_login(world.guardian)
    assert client.get(f"/portal/reports/{report.pk}/").status_code == 200
    assert client.get(f"/portal/reports/{report.pk}/report.pdf").status_code == 200
    assert stored("derived/printed")
    world.call(report, name="Nadia Rahman", note="Amina's mother")
    report.refresh_from_db()
    return report


@pytest.mark.django_db(transaction=True)
def test_of_an_erased_patient_no_name_number_or_picture_is_left_and_the_trail_still_holds(
    settings: Any,
) -> None:
    world = found()
    report = treated(world)
    other = world.receive(seed=77, specimen=world.other_specimen)
    assert all(word in everything() for word in PERSONAL)
    count = erase_patient(actor=SETUP, patient=world.patient, reason="request")
    left = everything()
    assert not [word for word in PERSONAL if word in left]
    assert stored() == {other.storage_key}
    assert count["pictures"] == 2
    sealing.seal()
    verdict = verify()
    assert verdict.sound
    assert verdict.erased == count["entries"] > 5
    # Who did what when is still there, without the words.
    signed = Entry.objects.get(action="report.signed", subject_id=str(report.pk))
    assert (signed.actor_id, signed.detail) == (str(world.haematologist.pk), {"erased": True})
    assert Entry.objects.filter(action="patient.erased", patient_id=world.patient.pk).exists()
    # What was concluded stays, of nobody.
    assert DiagnosticReport.objects.get(pk=report.pk).conclusion == "pre_b"
    assert ReportVersion.objects.get(report=report).content["conclusion"] == "pre_b"
    # The pages that showed it do not fall over.
    client = Client()
    client.force_login(world.haematologist)
    assert client.get(f"/cases/{report.pk}/").status_code == 200
    image = FieldImage.objects.filter(specimen=world.specimen).first()
    assert client.get(f"/pictures/{image.pk}/original").status_code == 404
    client.force_login(User.objects.get(pk=world.guardian.pk))
    assert client.get("/portal/").status_code in {302, 403}
    # Doing it again, as after a crash, changes nothing and refuses nothing.
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    sealing.seal()
    assert verify().sound


@pytest.mark.django_db(transaction=True)
def test_a_picture_that_is_also_another_patients_stays_theirs() -> None:
    world = found()
    ours = world.receive(seed=3)
    theirs = world.receive(seed=3, specimen=world.other_specimen)
    assert ours.storage_key == theirs.storage_key
    staff = Client()
    staff.force_login(world.haematologist)
    assert staff.get(f"/pictures/{ours.pk}/original").status_code == 200
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    assert default_storage.exists(theirs.storage_key)
    # It is theirs alone now: under the erased name nothing is shown.
    assert staff.get(f"/pictures/{ours.pk}/original").status_code == 404
    # The second to go takes it along.
    erase_patient(actor=SETUP, patient=world.other_patient, reason="request")
    assert not stored()


@pytest.fixture
def ill_store(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Keys that the storage will not remove; all of them at first."""
    remove, ill = files.remove, {"images", "dicom"}

    def tried(key: str) -> None:
        if any(name in key for name in ill):
            raise OSError("the store refused")
        remove(key)

    monkeypatch.setattr(files, "remove", tried)
    return ill


@pytest.mark.django_db(transaction=True)
def test_what_the_store_would_not_remove_goes_when_it_is_well_again(ill_store: set[str]) -> None:
    world = found()
    images = [world.receive(seed) for seed in range(3)]
    dicom.store(device=world.device, data=part10(dataset(world, 13, specimen=world.specimen)))
    world.succeed(images[0])
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    # All that the store let go is gone; what it would not is not forgotten.
    assert len(stored()) == FileToRemove.objects.filter(gone_at=None).count() == 5
    assert retention_run().trouble == ""
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert "still has 5 files" in retention_run().trouble
        # One bad key stops no other.
        ill_store.clear()
        ill_store.add(images[1].sha256)
        removal.sweep()
        assert stored() == {images[1].storage_key}
    ill_store.clear()
    with time_machine.travel(timezone.now() + timedelta(hours=3)):
        removal.sweep()
        assert not stored()
        assert retention_run().trouble == ""
    with time_machine.travel(timezone.now() + timedelta(hours=4)):
        removal.sweep()
    assert not FileToRemove.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_process_that_dies_after_the_commit_leaves_the_rest_to_the_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = found()
    world.receive(seed=3)
    with monkeypatch.context() as killed:
        killed.setattr(removal, "sweep", lambda: None)
        erase_patient(actor=SETUP, patient=world.patient, reason="request")
    assert stored()
    tasks.sweep()
    assert not stored()


def test_nothing_of_an_erased_patient_is_read_or_drawn_again(world: World) -> None:
    """Though the same picture is another patient's, and so still there."""
    failed = world.claim(world.receive(seed=3))
    analyses.fail(failed, code="internal")
    read = world.succeed(world.receive(seed=4))
    for seed in (3, 4):
        world.receive(seed=seed, specimen=world.other_specimen)
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    with pytest.raises(Conflict, match="erased"):
        analyses.retry(user=world.technician, analysis=failed)
    with pytest.raises(Conflict, match="erased"):
        heat.ask(user=world.haematologist, analysis=read)
    where = reanalysis.Where(clinic=world.clinic.code)
    assert not reanalysis.candidates(where, package="cd" * 32).exists()


def test_a_guardian_of_another_child_keeps_the_account(world: World) -> None:
    sibling = add_patient(world.clinic, "N-2", "Rahman", "Samir")
    grant_portal_access(actor=SETUP, patient=sibling, user=world.guardian, relation="guardian")
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    assert User.objects.get(pk=world.guardian.pk).is_active


def test_dicom_objects_of_an_erased_patient_are_gone(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    dicom.store(device=world.device, data=part10(dataset(world, 13, specimen=world.specimen)))
    with django_capture_on_commit_callbacks(execute=True):
        erase_patient(actor=SETUP, patient=world.patient, reason="request")
    assert not DicomInstance.objects.exists()
    assert not stored()


def test_under_an_erased_patient_nothing_new_is_written(world: World) -> None:
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    before = everything()
    world.patient.refresh_from_db()
    world.specimen.refresh_from_db()
    world.patient.family_name = "Rahman"
    for deed in (
        lambda: save_patient(actor=SETUP, patient=world.patient),
        lambda: save_specimen(actor=SETUP, specimen=world.specimen),
        lambda: add_specimen(world.patient, "N-2026-0099"),
    ):
        with pytest.raises(Conflict, match="Register the person anew"):
            deed()
    assert everything() == before
