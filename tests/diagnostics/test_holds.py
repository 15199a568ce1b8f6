"""Promises about the gate: no picture of a microscope out of control counts, and none is lost."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from devices.models import Alert, AlertKind, Device
from diagnostics.models import (
    Certainty,
    ControlRun,
    DiagnosticReport,
    FieldImage,
    Hold,
    HoldReason,
    ReportStatus,
    ReportVersion,
    Specimen,
)
from diagnostics.services import capacity, gate, holds, intake, reports
from diagnostics.services.specimens import close_specimen, reopen_specimen, save_specimen
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden, Refusal
from tests.diagnostics.conftest import Show, findings, read, send
from tests.diagnostics.test_pages import client_of
from tests.world import (
    BENIGN,
    SETUP,
    SURE,
    World,
    content_digest,
    look_and_sign,
    result_of,
    store_result,
)

pytestmark = pytest.mark.django_db


def reasons(image: FieldImage) -> list[str]:
    return holds.reasons_of(FieldImage.objects.get(pk=image.pk))


def age(run: ControlRun, hours: int) -> None:
    ControlRun.objects.filter(pk=run.pk).update(at=timezone.now() - timedelta(hours=hours))


def test_a_microscope_that_is_asked_for_nothing_is_not_gated(world: World) -> None:
    assert not world.receive().held


def test_in_control_pictures_count(gated: World, show: Show) -> None:
    show()
    assert not gated.receive().held


def test_without_any_pass_a_picture_is_taken_in_read_and_held(gated: World) -> None:
    image = gated.receive()
    assert reasons(image) == [HoldReason.CONTROL_OVERDUE]
    read(gated, image)
    report = DiagnosticReport.objects.get(specimen=gated.specimen)
    assert report.findings["fields"] == {"total": 1, "held": 1}
    assert (report.status, report.impression) == (ReportStatus.REGISTERED, "")
    assert FieldImage.objects.get().state == "accepted"


def test_a_pass_that_is_too_old_holds_and_the_next_pass_lets_go(gated: World, show: Show) -> None:
    age(show(), hours=25)
    image = gated.receive()
    read(gated, image)
    assert reasons(image) == [HoldReason.CONTROL_OVERDUE]
    show()
    assert reasons(image) == []
    assert findings(gated.specimen) == {"total": 1, "classified": 1}
    hold = Hold.objects.get()
    assert (hold.released_by, hold.comment) == (None, "A control slide has passed.")


def test_what_a_failed_control_held_waits_for_a_person_even_after_a_pass(
    gated: World, show: Show
) -> None:
    show(SURE)
    image = gated.receive()
    read(gated, image)
    show()
    assert reasons(image) == [HoldReason.CONTROL_FAILED]
    assert not gated.receive(1).held
    holds.release(user=gated.technician, image=image, comment="lamp was right")
    assert reasons(image) == []
    hold = Hold.objects.get()
    assert (hold.released_by, hold.comment) == (gated.technician, "lamp was right")
    assert findings(gated.specimen) == {"total": 2, "classified": 1, "pending": 1}
    assert Entry.objects.filter(action="image.released", subject_id=str(image.pk)).exists()


def test_a_failure_decided_late_does_not_undo_a_newer_pass(gated: World, show: Show) -> None:
    late = gated.claim(send(gated, "QC-1"))
    show()
    wrong = result_of(late, SURE, "classified")
    assert store_result(late, outcome="classified", rejection="", result=wrong)
    assert [run.state for run in ControlRun.objects.order_by("at")] == ["failed", "passed"]
    assert not gated.receive().held
    assert not Alert.objects.filter(cleared_at=None).exists()


def test_the_gate_costs_one_question_and_none_where_nothing_is_asked(
    world: World, show: Show, monkeypatch: Any
) -> None:
    # What is free is counted once, not anew when a second has passed.
    monkeypatch.setattr(capacity, "_allowance", capacity.Allowance(seconds=3600.0))
    show()

    def questions(seed: int) -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            world.receive(seed)
        return len(asked)

    questions(1)
    without = questions(2)
    world.device.control_hours = 24
    world.device.save()
    assert questions(3) == without + 1


def test_all_of_a_report_is_released_at_once(gated: World, show: Show) -> None:
    show(SURE)
    first, second = gated.receive(1), gated.receive(2)
    report = DiagnosticReport.objects.get()
    assert holds.release_report(user=gated.technician, report=report, comment="looked at") == 2
    assert reasons(first) == reasons(second) == []


def test_all_of_a_microscope_is_released_since_its_last_failure(
    gated: World, show: Show, second_specimen: Specimen
) -> None:
    show(SURE)
    early = gated.receive(1)
    show(SURE)
    late, other = gated.receive(2), gated.receive(3, specimen=second_specimen)
    holds.release_device(user=gated.technician, device=gated.device, comment="dust on the lens")
    assert reasons(late) == reasons(other) == []
    assert reasons(early) == [HoldReason.CONTROL_FAILED]


@pytest.mark.parametrize("hand", ["outsider", "device_manager", "administrator", "guardian"])
def test_only_those_who_read_cases_here_release(gated: World, hand: str) -> None:
    image = gated.receive()
    with pytest.raises(Forbidden):
        holds.release(user=getattr(gated, hand), image=image, comment="x")
    with pytest.raises(Forbidden):
        holds.release_device(user=getattr(gated, hand), device=gated.device, comment="x")
    assert reasons(image)


def test_a_release_says_why_and_happens_once(gated: World) -> None:
    image = gated.receive()
    with pytest.raises(Refusal) as refused:
        holds.release(user=gated.technician, image=image, comment="  ")
    assert refused.value.code == "comment_missing"
    with pytest.raises(Refusal, match="401 characters, and 400 is the most") as refused:
        holds.release(user=gated.technician, image=image, comment="x" * 401)
    assert refused.value.code == "comment_too_long"
    holds.release(user=gated.technician, image=image, comment="fine")
    with pytest.raises(Conflict) as twice:
        holds.release(user=gated.technician, image=image, comment="fine")
    assert twice.value.code == "not_held"


def test_of_what_somebody_wrote_nothing_is_cut_off(gated: World) -> None:
    """Who wrote more than fits is told so on the page; a record that ends in mid-word misleads."""
    image = gated.receive()
    report = DiagnosticReport.objects.get(specimen=gated.specimen)
    client = client_of(gated.technician)
    for name, of in (
        ("case-release", report.pk),
        ("held-release", image.pk),
        ("held-set-aside", image.pk),
        ("controls-release", gated.device.pk),
    ):
        said = client.post(reverse(name, args=[of]), {"comment": "x" * 401}, follow=True)
        assert "Shorten it." in said.content.decode()
    assert reasons(image)
    client.post(reverse("held-release", args=[image.pk]), {"comment": "x" * 400})
    assert Hold.objects.get(image=image).comment == "x" * 400


def test_a_held_picture_that_was_repeated_is_set_aside_for_good(gated: World, show: Show) -> None:
    show(SURE)
    image = gated.receive()
    holds.set_aside(user=gated.technician, image=image, comment="taken again")
    read(gated, image)
    image.refresh_from_db()
    assert (image.state, image.rejection, image.held) == ("rejected", "replaced", False)
    assert findings(gated.specimen) == {"total": 1, "set_aside": 1}


def test_the_microscope_learns_that_its_picture_is_held(gated: World, client: Any) -> None:
    body, image_id = gated.smear(), uuid.uuid4()
    address = f"/api/device/v1/images/{image_id}"
    headers = {"Authorization": f"Bearer {gated.key}"}
    sent = {"Content-Digest": content_digest(body), "Accession-Number": "N-2026-0001"}
    answer = client.put(address, body, headers=headers | sent, content_type="image/jpeg")
    assert (answer.status_code, answer.json()["held"]) == (201, ["control_overdue"])
    again = client.put(address, body, headers=headers | sent, content_type="image/jpeg")
    assert (again.status_code, again.json()["held"]) == (200, ["control_overdue"])
    assert client.get(address, headers=headers).json()["held"] == ["control_overdue"]


def test_the_microscope_learns_what_its_control_proved(
    world: World, show: Show, client: Any
) -> None:
    run = show(SURE)
    address = f"/api/device/v1/images/{run.image_id}"
    told = client.get(address, headers={"Authorization": f"Bearer {world.key}"}).json()
    assert (told["control"]["state"], told["report"]) == ("failed", None)
    assert told["control"]["reasons"] == run.reasons


# --- signing -------------------------------------------------------------------------------------


def sign(world: World, report: DiagnosticReport) -> DiagnosticReport:
    report = DiagnosticReport.objects.get(pk=report.pk)
    return look_and_sign(world.haematologist, report, "benign")


def test_a_report_is_signed_on_the_pictures_that_count(gated: World, show: Show) -> None:
    show()
    read(gated, gated.receive(1), BENIGN)
    show(SURE)
    held = gated.receive(2)
    report = sign(gated, DiagnosticReport.objects.get())
    assert report.findings["fields"] == {"total": 2, "classified": 1, "held": 1}
    left_out = ReportVersion.objects.get().content["left_out"]
    assert left_out == {str(held.pk): "held"}


def test_a_report_of_held_pictures_only_is_neither_verified_nor_signed(gated: World) -> None:
    image = gated.receive()
    read(gated, image)
    report = DiagnosticReport.objects.get()
    with pytest.raises(Conflict) as refused:
        sign(gated, report)
    assert refused.value.code == "all_held"
    with pytest.raises(Conflict) as refused:
        reports.verify(user=gated.technician, report=report, version=report.version)
    assert refused.value.code == "all_held"
    holds.release(user=gated.haematologist, image=image, comment="I have looked at it myself")
    assert sign(gated, report).status == ReportStatus.FINAL


def test_a_signed_report_stays_as_it_was_signed_when_a_picture_is_released(
    gated: World, show: Show
) -> None:
    show()
    read(gated, gated.receive(1), BENIGN)
    show(SURE)
    held = gated.receive(2)
    read(gated, held)
    report = sign(gated, DiagnosticReport.objects.get())
    holds.release(user=gated.technician, image=held, comment="fine")
    report.refresh_from_db()
    assert (report.status, report.conclusion) == (ReportStatus.FINAL, "benign")
    assert report.findings["fields"] == {"total": 2, "classified": 2}
    assert ReportVersion.objects.count() == 1


def test_the_portal_shows_no_held_picture(gated: World, client: Any, show: Show) -> None:
    gated.at_once()
    show()
    read(gated, gated.receive(1), BENIGN)
    show(SURE)
    held = gated.receive(2)
    read(gated, held)
    report = DiagnosticReport.objects.get()
    client.force_login(gated.guardian)
    assert client.get(f"/portal/reports/{report.pk}/").status_code == 200
    address = f"/portal/reports/{report.pk}/pictures/{held.pk}/original"
    assert client.get(address).status_code == 404
    assert report.certainty == Certainty.CLEAR


# --- overdue, found without a picture ------------------------------------------------------------


def test_the_sweep_tells_of_a_microscope_that_shows_no_control(gated: World, show: Show) -> None:
    assert gate.sweep()["overdue"] == 1
    assert gate.sweep()["overdue"] == 0
    kind = AlertKind.CONTROL_OVERDUE
    assert Alert.objects.filter(device=gated.device, kind=kind, cleared_at=None).exists()
    show()
    assert not Alert.objects.filter(kind=kind, cleared_at=None).exists()


def test_the_sweep_stops_telling_of_a_microscope_that_is_not_asked_any_more(
    gated: World,
) -> None:
    gate.sweep()
    Device.objects.filter(pk=gated.device.pk).update(control_hours=None)
    assert gate.sweep()["in_control"] == 1
    assert not Alert.objects.filter(cleared_at=None).exists()


def test_the_sweep_lets_go_of_a_picture_that_came_while_the_control_passed(
    gated: World, show: Show
) -> None:
    image = gated.receive()
    show()
    # As if its transaction had looked before the pass and ended after it.
    Hold.objects.update(released_at=None)
    FieldImage.objects.filter(pk=image.pk).update(held=True)
    assert gate.sweep()["released"] == 1
    assert reasons(image) == []


# --- specimens: closed, and collected in the future ----------------------------------------------


def test_a_closed_specimen_takes_no_new_picture_but_answers_for_an_old_one(world: World) -> None:
    image = world.receive()
    close_specimen(actor=SETUP, specimen=world.specimen)
    with pytest.raises(Conflict) as refused:
        world.receive(1)
    assert refused.value.code == "specimen_closed"
    body = world.smear()
    again = intake.receive(
        device=world.device,
        image_id=image.pk,
        body=body,
        content_digest=content_digest(body),
        accession=world.specimen.accession,
    )
    assert again == (image, False)
    reopen_specimen(actor=SETUP, specimen=world.specimen)
    world.receive(1)
    deeds = Entry.objects.filter(action__startswith="specimen.").values_list("action", flat=True)
    assert {"specimen.closed", "specimen.reopened"} <= set(deeds)


@pytest.mark.parametrize("status", [ReportStatus.CANCELLED, ReportStatus.ENTERED_IN_ERROR])
def test_a_withdrawn_reports_specimen_is_closed(world: World, status: str) -> None:
    world.receive()
    DiagnosticReport.objects.update(status=status)
    with pytest.raises(Conflict) as refused:
        world.receive(1)
    assert refused.value.code == "specimen_closed"


def collect(world: World, ahead: timedelta) -> None:
    world.specimen.collected_at = timezone.now() + ahead
    save_specimen(actor=SETUP, specimen=world.specimen)


def test_a_picture_of_blood_not_yet_taken_is_held_until_the_time_is_corrected(
    world: World,
) -> None:
    collect(world, timedelta(minutes=9))
    assert not world.receive(1).held
    collect(world, timedelta(hours=2))
    image = world.receive(2)
    assert reasons(image) == [HoldReason.COLLECTED_LATER]
    collect(world, timedelta(hours=1))
    assert reasons(image) == [HoldReason.COLLECTED_LATER]
    collect(world, -timedelta(hours=1))
    assert reasons(image) == []


def test_a_person_may_vouch_for_it_as_well(world: World) -> None:
    collect(world, timedelta(hours=2))
    image = world.receive()
    holds.release(user=world.technician, image=image, comment="the ward's clock")
    assert reasons(image) == []
