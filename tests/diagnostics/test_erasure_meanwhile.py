"""Promises of an erasure while workers read and microscopes send: nothing slips in behind it."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from diagnostics.models import (
    DiagnosticReport,
    DicomInstance,
    FieldImage,
    FileToRemove,
    FoundCells,
    Outcome,
)
from diagnostics.services import analyses, dicom, drawing, heat, removal, results
from diagnostics.services.erasure import erase_patient
from diagnostics.services.results import Found
from diagnostics.services.specimens import close_specimen, reopen_specimen
from hospital.base import files
from hospital.base.problems import Conflict
from patients.models import Patient
from tests.diagnostics.conftest import everything, stored
from tests.dicom_objects import dataset, part10
from tests.world import SETUP, SURE, World, found, result_of


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
