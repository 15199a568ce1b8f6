"""Promise: of an erased patient nothing is left that tells who it was, and the trail holds."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
import time_machine
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone

from diagnostics import tasks
from diagnostics.models import (
    DiagnosticReport,
    DicomInstance,
    FieldImage,
    FileToRemove,
    FoundCells,
    Outcome,
    ReportVersion,
)
from diagnostics.services import (
    analyses,
    dicom,
    drawing,
    heat,
    reanalysis,
    removal,
    results,
)
from diagnostics.services.erasure import erase_patient
from diagnostics.services.results import Found
from diagnostics.services.specimens import close_specimen, reopen_specimen, save_specimen
from hospital.accounts.models import User
from hospital.audit import sealing
from hospital.audit.models import Entry
from hospital.audit.verification import verify
from hospital.base import files
from hospital.base.problems import Conflict
from hospital.config.nightly import retention_run
from patients.models import Patient
from patients.services import grant_portal_access, save_patient
from tests.diagnostics.conftest import everything
from tests.dicom_objects import dataset, part10
from tests.world import (
    SETUP,
    SURE,
    World,
    add_patient,
    add_specimen,
    found,
    look_and_sign,
    result_of,
)

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


def stored(folder: str = "") -> set[str]:
    """Every file of the storage."""
    folders, names = default_storage.listdir(folder)
    own = {f"{folder}/{name}".lstrip("/") for name in names}
    return own.union(*(stored(f"{folder}/{inner}".lstrip("/")) for inner in folders))


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


def test_what_a_run_writes_late_about_an_erased_patient_goes_as_well(world: World) -> None:
    run = world.succeed(world.receive(seed=3))
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    removal.sweep()
    assert not stored()
    files.put(f"derived/{run.pk}/late.jpg", b"drawn meanwhile")
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        removal.sweep()
    assert not stored()


def test_what_a_worker_is_just_reading_of_an_erased_patient_is_stored_nowhere(
    world: World,
) -> None:
    run = world.claim(world.receive(seed=3))
    world.receive(seed=4)
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    removal.sweep()
    before = everything()
    result = {"package_digest": "ab" * 32, "label": "pre_b", "probabilities": SURE}
    read = Found(
        analysis=run,
        outcome=Outcome.CLASSIFIED,
        rejection="",
        result=result | drawing.keys_for(run.pk),
        outlines=b"cells",
    )
    assert results.succeed_all([read]) == 0
    assert not analyses.fail(run, code="internal")
    assert not analyses.give_back([run])
    assert not analyses.claim(worker="another", limit=8)
    assert everything() == before
    # The pages that wait for it do not fall over.
    client = Client()
    client.force_login(world.haematologist)
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    assert client.get(f"/cases/{report.pk}/").status_code == 200


def test_a_heat_map_that_is_just_being_drawn_of_an_erased_patient_is_stored_nowhere(
    world: World,
) -> None:
    run = world.succeed(world.receive(seed=3))
    heat.ask(user=world.haematologist, analysis=run)
    begun = heat.claim()
    assert begun
    erase_patient(actor=SETUP, patient=world.patient, reason="request")
    removal.sweep()
    assert not heat.drawn(begun, b"map")
    assert not stored()


@pytest.mark.django_db(transaction=True)
def test_an_erasure_waits_for_a_worker_that_is_just_writing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And then forgets what it has written."""
    world = found()
    run = world.claim(world.receive(seed=3))

    def erase() -> None:
        try:
            erase_patient(actor=SETUP, patient=world.patient, reason="request")
        finally:
            connection.close()

    eraser = Thread(target=erase)
    record_all = results.record_all

    def then(entries: Any) -> None:
        eraser.start()
        eraser.join(timeout=1)
        record_all(entries)

    monkeypatch.setattr(results, "record_all", then)
    read = Found(
        analysis=run,
        outcome=Outcome.CLASSIFIED,
        rejection="",
        result=result_of(run, SURE, Outcome.CLASSIFIED),
        outlines=b"cells",
    )
    assert results.succeed_all([read]) == 1
    eraser.join()
    assert Patient.objects.get(pk=world.patient.pk).erased_at
    assert not FoundCells.objects.exists()
    removal.sweep()
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


def between(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], Any]) -> None:
    """Do it once when the next file is stored, and its row not written yet."""
    put_all, deeds = files.put_all, [deed]

    def then(contents: Any) -> Any:
        failed = put_all(contents)
        if deeds:
            deeds.pop()()
        return failed

    monkeypatch.setattr(files, "put_all", then)


@pytest.mark.parametrize("deed", ["erased", "closed"])
def test_a_picture_that_is_on_its_way_then_is_refused_and_its_file_goes(
    world: World, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    deeds = {
        "erased": lambda: erase_patient(actor=SETUP, patient=world.patient, reason="request"),
        "closed": lambda: close_specimen(actor=SETUP, specimen=world.specimen),
    }
    between(monkeypatch, deeds[deed])
    with pytest.raises(Conflict, match="closed"):
        world.receive(seed=3)
    assert not FieldImage.objects.exists()
    removal.sweep()
    assert not stored()


def test_a_refused_picture_that_is_sent_again_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file was to go, and goes while it is stored anew."""
    between(monkeypatch, lambda: close_specimen(actor=SETUP, specimen=world.specimen))
    with pytest.raises(Conflict):
        world.receive(seed=3)
    reopen_specimen(actor=SETUP, specimen=world.specimen)
    between(monkeypatch, removal.sweep)
    image = world.receive(seed=3)
    assert files.read(image.storage_key) == world.smear(3)
    assert not FileToRemove.objects.exists()


def test_an_erasure_takes_no_file_of_a_picture_that_is_just_arriving(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.receive(seed=3)

    def erased() -> None:
        erase_patient(actor=SETUP, patient=world.patient, reason="request")
        removal.sweep()
        assert not stored()

    between(monkeypatch, erased)
    theirs = world.receive(seed=3, specimen=world.other_specimen)
    assert files.read(theirs.storage_key) == world.smear(3)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        removal.sweep()
    assert stored() == {theirs.storage_key}


def test_a_dicom_object_that_is_on_its_way_then_goes_as_well(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = files.put

    def then(key: str, data: bytes) -> str:
        if key.startswith("dicom/"):
            erase_patient(actor=SETUP, patient=world.patient, reason="request")
        return put(key, data)

    monkeypatch.setattr(files, "put", then)
    with pytest.raises(Conflict):
        dicom.store(device=world.device, data=part10(dataset(world, 13, specimen=world.specimen)))
    removal.sweep()
    assert not DicomInstance.objects.exists()
    assert not stored()


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
