"""Promises about the wrong name: the same picture for two patients is never counted for either."""

import threading
import uuid
from typing import Any

import pytest
from django.db import connection

from diagnostics.models import (
    DiagnosticReport,
    FieldImage,
    HoldReason,
    MixUp,
    ReportStatus,
    Settlement,
    Specimen,
)
from diagnostics.services import holds, intake, mix_ups
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.live.models import Event
from patients.services import register_patient
from tests.devices.test_bulk import framed, post
from tests.diagnostics.conftest import findings, read, send
from tests.world import SETUP, World, add_specimen, content_digest, look_and_sign

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair(world: World, second_specimen: Specimen) -> tuple[FieldImage, FieldImage]:
    """The same picture for two patients of one clinic, read both times."""
    first = world.receive(7)
    read(world, first)
    second = world.receive(7, specimen=second_specimen)
    read(world, second)
    return first, second


@pytest.fixture
def abroad(world: World) -> tuple[FieldImage, FieldImage]:
    """The same picture for patients of two clinics."""
    first, second = world.receive(7), world.receive(7, specimen=world.other_specimen)
    return first, second


def settle(user: Any, keep: FieldImage | None, comment: str = "looked at the slide") -> MixUp:
    mix_up = MixUp.objects.order_by("raised_at").first()
    assert mix_up
    return mix_ups.settle(user=user, mix_up=mix_up, keep=keep.pk if keep else None, comment=comment)


def standing(image: FieldImage) -> tuple[bool, str]:
    image.refresh_from_db()
    return image.held, image.rejection


HELD, COUNTS, LOST = (True, ""), (False, ""), (False, "wrong_specimen")


def test_the_same_picture_for_two_patients_holds_both(pair: Any, world: World) -> None:
    first, second = pair
    mix_up = MixUp.objects.get()
    assert (mix_up.first, mix_up.second) == (first, second)
    assert standing(first) == standing(second) == HELD
    assert holds.reasons_of(first) == [HoldReason.SAME_PICTURE]
    assert findings(first.specimen) == findings(second.specimen) == {"total": 1, "held": 1}
    assert Entry.objects.filter(action="mix_up.raised").count() == 2
    assert Event.objects.filter(kind="mix_up.changed").exists()
    assert not DiagnosticReport.objects.exclude(status=ReportStatus.REGISTERED).exists()


def test_the_same_picture_twice_for_one_patient_is_only_repeated(world: World) -> None:
    other = add_specimen(world.patient, "N-9")
    for specimen in (world.specimen, world.specimen, other):
        image = world.receive(7, specimen=specimen)
        read(world, image)
        assert standing(image) == COUNTS
    assert findings(world.specimen) == {"total": 2, "classified": 1, "repeated": 1}
    assert not MixUp.objects.exists()


def test_in_one_request_it_is_noticed_too(
    world: World, second_specimen: Specimen, client: Any
) -> None:
    body = world.smear(7)
    parts = [framed(world, body), framed(world, body, accession=second_specimen.accession)]
    results = post(world, *parts).json()["results"]
    assert [result["held"] for result in results] == [["same_picture"]] * 2
    assert MixUp.objects.count() == 1
    assert findings(world.specimen) == findings(second_specimen) == {"total": 1, "held": 1}


@pytest.mark.parametrize("which", [0, 1])
def test_a_person_says_whose_it_is(pair: Any, world: World, which: int) -> None:
    kept, lost = pair[which], pair[1 - which]
    mix_up = settle(world.technician, kept)
    assert mix_up.settlement == [Settlement.FIRST, Settlement.SECOND][which]
    assert mix_up.settled_by == world.technician
    assert (standing(kept), standing(lost)) == (COUNTS, LOST)
    assert findings(kept.specimen) == {"total": 1, "classified": 1}
    assert findings(lost.specimen) == {"total": 1, "set_aside": 1}
    assert Entry.objects.filter(action="mix_up.settled").count() == 2


def test_or_that_it_is_neithers(pair: Any, world: World) -> None:
    assert settle(world.haematologist, None).settlement == Settlement.NEITHER
    assert standing(pair[0]) == standing(pair[1]) == LOST


def test_no_later_analysis_brings_the_loser_back(world: World, second_specimen: Specimen) -> None:
    first, second = world.receive(7), world.receive(7, specimen=second_specimen)
    settle(world.technician, first)
    read(world, second)
    assert standing(second) == LOST
    assert findings(second_specimen) == {"total": 1, "set_aside": 1}
    second.analyses.create()
    read(world, second)
    assert standing(second) == LOST


def test_copies_go_the_same_way(pair: Any, world: World) -> None:
    copy = world.receive(7)
    assert standing(copy) == HELD
    settle(world.technician, pair[1])
    assert standing(copy) == standing(pair[0]) == LOST
    assert standing(pair[1]) == COUNTS
    assert not MixUp.objects.filter(settled_at=None).exists()


def test_a_third_patient_keeps_it_held_until_that_is_settled_too(
    pair: Any, world: World, second_specimen: Specimen
) -> None:
    third = send_third(world)
    assert MixUp.objects.count() == 3
    settle(world.technician, pair[0])
    assert standing(pair[0]) == HELD
    for mix_up in MixUp.objects.filter(settled_at=None):
        keep = pair[0].pk if pair[0] in {mix_up.first, mix_up.second} else None
        mix_ups.settle(user=world.technician, mix_up=mix_up, keep=keep, comment="x")
    assert (standing(pair[0]), standing(third)) == (COUNTS, LOST)
    assert not MixUp.objects.filter(settled_at=None).exists()


def send_third(world: World) -> FieldImage:
    patient = register_patient(
        actor=SETUP,
        clinic=world.clinic,
        mrn="N-3",
        family_name="Novak",
        given_names="Tomas",
        birth_date=world.patient.birth_date,
        sex="male",
    )
    specimen = add_specimen(patient, "N-2026-0003")
    return world.receive(7, specimen=specimen)


def test_releasing_does_not_settle_a_mix_up(pair: Any, world: World) -> None:
    for deed in (holds.release, holds.set_aside):
        with pytest.raises(Conflict) as refused:
            deed(user=world.technician, image=pair[0], comment="fine")
        assert refused.value.code == "mix_up_open"
    assert standing(pair[0]) == HELD


def test_a_settlement_says_how_it_is_known_and_happens_once(pair: Any, world: World) -> None:
    with pytest.raises(Refusal) as refused:
        settle(world.technician, pair[0], comment=" ")
    assert refused.value.code == "comment_missing"
    with pytest.raises(Refusal) as refused:
        settle(world.technician, pair[0], comment="x" * 401)
    assert refused.value.code == "comment_too_long"
    with pytest.raises(Refusal) as refused:
        settle(world.technician, world.receive(8))
    assert refused.value.code == "not_of_mix_up"
    settle(world.technician, pair[0])
    with pytest.raises(Conflict) as twice:
        settle(world.technician, pair[1])
    assert twice.value.code == "mix_up_settled"


@pytest.mark.parametrize("hand", ["outsider", "device_manager", "administrator", "guardian"])
def test_only_those_who_read_cases_here_settle(pair: Any, world: World, hand: str) -> None:
    with pytest.raises(Forbidden):
        settle(getattr(world, hand), pair[0])
    assert standing(pair[0]) == HELD


def test_a_signed_report_is_not_changed_but_the_case_shows_it(
    world: World, second_specimen: Specimen, client: Any
) -> None:
    first = world.receive(7)
    read(world, first)
    report = DiagnosticReport.objects.get()
    look_and_sign(world.haematologist, report)
    world.receive(7, specimen=second_specimen)
    report.refresh_from_db()
    assert (report.status, report.conclusion) == (ReportStatus.FINAL, "pre_b")
    assert report.findings["fields"] == {"total": 1, "held": 1}
    client.force_login(world.haematologist)
    assert "sent for two patients" in client.get(f"/cases/{report.pk}/").content.decode()


# --- two clinics ---------------------------------------------------------------------------------


def test_nothing_of_another_clinics_picture_is_shown(
    abroad: Any, world: World, client: Any
) -> None:
    mix_up = MixUp.objects.get()
    client.force_login(world.haematologist)
    page = client.get(f"/mix-ups/{mix_up.pk}/").content.decode()
    assert world.patient.family_name in page
    api = client.get(f"/api/v1/mix-ups/{mix_up.pk}/").json()
    assert (api["first"]["accession"], api["second"]) == (world.specimen.accession, None)
    other = world.other_specimen
    secrets = {other.accession, other.patient.family_name, other.patient.mrn, str(abroad[1].pk)}
    secrets |= {world.other_clinic.name, str(other.pk), str(other.patient_id)}
    for text in (page, str(api), client.get("/worklist/").content.decode()):
        assert not [secret for secret in secrets if secret in text]


def test_each_clinic_speaks_for_its_own_picture(abroad: Any, world: World) -> None:
    assert settle(world.haematologist, abroad[0]).settlement == ""
    assert (standing(abroad[0]), standing(abroad[1])) == (COUNTS, HELD)
    with pytest.raises(Conflict) as refused:
        settle(world.outsider, abroad[1])
    assert refused.value.code == "mix_up_contested"
    assert settle(world.outsider, None).settlement == Settlement.FIRST
    assert standing(abroad[1]) == LOST


def test_a_clinic_that_says_not_ours_leaves_the_other_to_speak(abroad: Any, world: World) -> None:
    settle(world.technician, None)
    assert (standing(abroad[0]), standing(abroad[1])) == (LOST, HELD)
    assert settle(world.outsider, abroad[1]).settlement == Settlement.SECOND
    assert standing(abroad[1]) == COUNTS


def test_who_works_in_both_overrules_what_one_clinic_kept(abroad: Any, world: World) -> None:
    settle(world.technician, abroad[0])
    grant_role(actor=SETUP, user=world.outsider, clinic=world.clinic, role=Role.HAEMATOLOGIST)
    assert settle(world.outsider, abroad[1]).settlement == Settlement.SECOND
    assert (standing(abroad[0]), standing(abroad[1])) == (LOST, COUNTS)


# --- at the same moment --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_at_the_same_moment_still_meet(world: World, second_specimen: Specimen) -> None:
    for seed in range(6):
        start = threading.Barrier(2)

        def put(specimen: Specimen, seed: int = seed, start: Any = start) -> None:
            # Past `Together`, which would put both into one transaction: as in two processes.
            start.wait()
            try:
                _alone(world, specimen, seed)
            finally:
                connection.close()

        threads = [
            threading.Thread(target=put, args=(s,)) for s in (world.specimen, second_specimen)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert MixUp.objects.count() == 6
    assert FieldImage.objects.filter(held=True).count() == 12
    assert findings(world.specimen) == {"total": 6, "held": 6}
    assert findings(second_specimen) == {"total": 6, "held": 6}


def _alone(world: World, specimen: Specimen, seed: int) -> None:
    body = world.smear(seed)
    sent = intake.Sent(uuid.uuid4(), body, content_digest(body), specimen.accession)
    _, sound = intake._judge_all(world.device, {0: sent})
    intake._write([list(sound.values())])


def test_unrelated_pictures_raise_nothing(world: World, second_specimen: Specimen) -> None:
    send(world, world.specimen.accession)
    send(world, second_specimen.accession)
    assert not MixUp.objects.exists()
