"""Promises of the end-to-end probe: nobody ever meets its patient, and it says where it ended."""

from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from devices.models import DeviceKey
from diagnostics import selectors, sight
from diagnostics.models import (
    Analysis,
    DiagnosticReport,
    FieldImage,
    PackageState,
    Priority,
    Specimen,
)
from diagnostics.services import packages, probing, reanalysis, retention, tallies
from hospital.accounts import emergency
from hospital.accounts.models import Clinic, User
from hospital.accounts.selectors import clinic_ids_where, clinics_where
from hospital.audit.models import Entry
from hospital.base.models import Chore, LastRun
from hospital.config import doctor, probe
from hospital.config.doctor import Grade
from patients.models import Kept, Patient
from tests.world import SURE, World

pytestmark = pytest.mark.django_db

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def laid(world: World) -> Specimen:
    """A probe's specimen with a picture that the model called a leukaemia."""
    _, device, specimen = probing.lay_down(actor=probe.ACTOR)
    image = world.receive(7, specimen=world.specimen)
    # What the probe's microscope sends, without the way over the wire.
    FieldImage.objects.filter(pk=image.pk).update(specimen=specimen, device=device)
    DiagnosticReport.objects.filter(specimen=world.specimen).update(
        specimen=specimen, patient=specimen.patient, clinic=specimen.clinic
    )
    image.refresh_from_db()
    world.succeed(image, SURE)
    return specimen


def test_nobody_not_even_a_superuser_meets_the_probe(world: World, laid: Specimen) -> None:
    assert DiagnosticReport.objects.filter(specimen=laid).exists()  # it is there
    for user in (world.superuser, world.haematologist, world.administrator):
        assert laid.clinic not in clinics_where(user, "diagnostics.view_diagnosticreport")
        assert laid not in selectors.specimens_visible_to(user)
        assert not selectors.reports_visible_to(user).filter(specimen=laid).exists()
        assert not selectors.images_visible_to(user).filter(specimen=laid).exists()
        assert not selectors.open_call_backs(user)
        assert laid.clinic not in emergency.clinics_closed_to(user)


def test_the_probe_is_on_no_page(world: World, laid: Specimen, client: Client) -> None:
    client.force_login(world.superuser)
    for address in ("/worklist/", "/dashboard/", "/fleet/", "/admin/accounts/clinic/"):
        answer = client.get(address)
        assert answer.status_code == 200, address
        text = answer.content.decode()
        assert laid.accession not in text, address
        assert laid.clinic.name not in text, address


def test_the_probe_is_in_no_figure(world: World, laid: Specimen) -> None:
    microscopes = [f for f in sight.figures() if f.name == "microscopes"]
    assert sum(f.value for f in microscopes) == 2  # the world's
    shown = clinic_ids_where(world.superuser, "diagnostics.view_dashboard")
    assert tallies.counted(timezone.localdate()) != []
    assert tallies.counted(timezone.localdate(), clinics=shown) == []
    assert not reanalysis.Where().images().exists()


def test_the_probe_is_not_read_along_by_another_package(laid: Specimen, monkeypatch: Any) -> None:
    beside = packages.ModelPackage(digest="f" * 64, state=PackageState.SHADOW)
    monkeypatch.setattr(packages, "reading_along", lambda: beside)
    runs = list(Analysis.objects.filter(image__specimen=laid))
    assert runs
    assert packages.queue_shadows(runs) == 0
    assert not Analysis.objects.filter(priority=Priority.SHADOW).exists()


def test_retention_leaves_the_probes_patient_out(laid: Specimen) -> None:
    retention.set_rule(actor=probe.ACTOR, kind=Kept.PATIENTS, days=1)
    Specimen.objects.all().update(registered_at=timezone.now() - timezone.timedelta(days=9))
    Patient.objects.all().update(registered_at=timezone.now() - timezone.timedelta(days=9))
    [due] = retention.due()
    assert due.count == Patient.objects.exclude(clinic=laid.clinic).count()


def test_nothing_of_a_probe_is_left_but_the_trail(
    world: World, laid: Specimen, django_capture_on_commit_callbacks: Any
) -> None:
    key = FieldImage.objects.get(specimen=laid).storage_key
    ours = world.receive(8)
    assert default_storage.exists(key)
    with django_capture_on_commit_callbacks(execute=True):
        probing.clear(laid)
    assert not Specimen.objects.filter(clinic__probe=True).exists()
    assert list(FieldImage.objects.all()) == [ours]
    assert not Analysis.objects.filter(image__device__clinic__probe=True).exists()
    assert not default_storage.exists(key) and default_storage.exists(ours.storage_key)
    assert Entry.objects.filter(subject_id=str(laid.pk), action="specimen.registered").exists()


def test_many_probes_have_one_clinic_one_account_and_one_patient(db: None) -> None:
    for _ in range(3):
        _, _, specimen = probing.lay_down(actor=probe.ACTOR)
        probing.clear(specimen)
    assert Clinic.every.filter(probe=True).count() == 1
    assert Patient.objects.count() == 1
    assert not Specimen.objects.exists()
    account = User.objects.get()
    assert not account.has_usable_password() and not account.is_staff


def test_a_probe_that_meets_a_closed_door_says_so_and_leaves_nothing(db: None) -> None:
    run = probe.probe(NOWHERE, limit=0.2)
    assert "PROBE_URL" in run.trouble
    assert run.succeeded_at is None
    assert not Specimen.objects.exists() and not DeviceKey.objects.exists()


def test_the_last_success_outlives_a_failure(db: None) -> None:
    probe.chores.ended(Chore.PROBE, seconds=1.0)
    good = LastRun.objects.get().succeeded_at
    run = probe.probe(NOWHERE, limit=0.2)
    assert (run.succeeded_at, bool(run.trouble)) == (good, True)


def test_prometheus_and_the_doctor_are_told(
    client: Client, settings: Any, monkeypatch: Any
) -> None:
    settings.PROBE_URL = NOWHERE
    run = probe.chores.ended(Chore.PROBE, seconds=2.5)
    text = client.get("/metrics").content.decode()
    assert 'leukolens_chore_well{chore="probe"} 1.0' in text
    assert 'leukolens_chore_seconds{chore="probe"} 2.5' in text
    monkeypatch.setattr(doctor, "CHECKS", [doctor.chores])
    graded = {f.found.partition(":")[0]: f.grade for f in doctor.examine()}
    assert graded == {
        "End-to-end probe": Grade.WELL,
        "Backup": Grade.MIND,
        "Retention": Grade.MIND,
    }
    LastRun.objects.update(ended_at=run.ended_at - timezone.timedelta(hours=1))
    late = [f for f in doctor.examine() if f.grade is Grade.ILL]
    assert ["manage.py probe" in f.remedy for f in late] == [True]
