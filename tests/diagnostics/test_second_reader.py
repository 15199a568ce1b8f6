"""Promises about the second reader: two names where the clinic wants two, and never twice one."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from diagnostics.models import DiagnosticReport, ReportStatus, Signature
from diagnostics.selectors import portal_reports
from diagnostics.services import reports, signing
from hospital.accounts.models import Clinic, User
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.base.states import StaleState
from hospital.live.models import Event
from tests.diagnostics.test_pages import client_of
from tests.world import BENIGN, PASSWORD, World, look, look_and_sign

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two(world: World) -> None:
    """The clinic wants a second reader for what names a leukaemia."""
    wants(world, "malignant")


def wants(world: World, rule: str) -> None:
    Clinic.objects.filter(pk=world.clinic.pk).update(second_reader=rule)


def read(world: World, conclusion: str = "pre_b", **given: Any) -> DiagnosticReport:
    """The first reading, by the haematologist."""
    report = world.reported()
    return look_and_sign(world.haematologist, report, conclusion, **given)


def confirm(report: DiagnosticReport, user: User, **given: Any) -> DiagnosticReport:
    look(user, report)
    proof = {"version": report.version, "password": PASSWORD, **given}
    return signing.confirm(user=user, report=report, **proof)


def test_what_one_has_read_is_preliminary_and_the_family_does_not_see_it(world: World) -> None:
    report = read(world, comment="Blasts.")
    assert (report.status, report.conclusion) == (ReportStatus.PRELIMINARY, "")
    assert report.waiting is not None
    assert (report.waiting.conclusion, report.waiting.comment) == ("pre_b", "Blasts.")
    assert not report.versions.exists()
    assert not portal_reports(world.guardian).exists()


@pytest.mark.parametrize(
    ("rule", "conclusion", "alone"),
    [
        ("never", "pre_b", True),
        ("malignant", "benign", True),
        ("malignant", "undetermined", True),
        ("malignant", "pro_b", False),
        ("always", "benign", False),
    ],
)
def test_the_clinic_says_which_reports_two_have_to_read(
    world: World, rule: str, conclusion: str, alone: bool
) -> None:
    wants(world, rule)
    assert read(world, conclusion).is_signed == alone


def test_confirmed_it_is_final_under_both_names(world: World, colleague: User) -> None:
    report = confirm(read(world, comment="Blasts."), colleague)
    assert (report.status, report.conclusion) == (ReportStatus.FINAL, "pre_b")
    assert (report.read_by, report.signed_by) == (world.haematologist, colleague)
    assert report.waiting is None
    frozen = report.versions.get().content
    assert (frozen["read_by"], frozen["signed_by"]) == ("Hana Sato", "Ines Duarte")
    assert (frozen["comment"], frozen["words"]["conclusion"]) == ("Blasts.", "pre_b")
    assert portal_reports(world.guardian).get() == report
    assert [row.deed for row in report.signatures.all()] == ["confirmed", "read"]


def test_nobody_confirms_their_own_reading(world: World) -> None:
    report = read(world)
    with pytest.raises(Forbidden) as own:
        confirm(report, world.haematologist)
    assert own.value.code == "own_work"
    page = client_of(world.haematologist).get(reverse("case", args=[report.pk])).content.decode()
    assert "another haematologist confirms it" in page
    assert "confirm-button" not in page


def test_the_database_knows_that_too(world: World) -> None:
    report = read(world)
    with pytest.raises(IntegrityError), transaction.atomic():
        DiagnosticReport.objects.filter(pk=report.pk).update(
            status="final",
            conclusion="pre_b",
            read_by=world.haematologist,
            signed_by=world.haematologist,
            signed_at=timezone.now(),
        )


def test_the_second_reader_too_is_shown_every_field_and_says_who_they_are(
    world: World, colleague: User
) -> None:
    report = read(world)
    with pytest.raises(Conflict) as unseen:
        signing.confirm(user=colleague, report=report, version=report.version, password=PASSWORD)
    assert unseen.value.code == "fields_unseen"
    with pytest.raises(Forbidden) as wrong:
        confirm(report, colleague, password="guess")
    assert wrong.value.code == "wrong_password"
    with pytest.raises(StaleState):
        confirm(report, colleague, version=report.version - 1)
    with pytest.raises(Forbidden):
        confirm(report, world.outsider)


def test_who_disagrees_sends_it_back_with_a_reason(world: World, colleague: User) -> None:
    report = read(world)
    how = {"user": colleague, "report": report, "version": report.version}
    with pytest.raises(Refusal) as silent:
        signing.send_back(**how, reason="  ")
    assert silent.value.code == "reason_missing"
    with pytest.raises(Refusal) as endless:
        signing.send_back(**how, reason="x" * 2001)
    assert endless.value.code == "reason_too_long"
    address = reverse("case-send-back", args=[report.pk])
    sent = {"version": report.version, "reason": "x" * 2001}
    said = client_of(colleague).post(address, sent, follow=True)
    assert "2001 characters, and 2000 is the most" in said.content.decode()
    report = signing.send_back(**how, reason="I see haematogones.")
    assert (report.status, report.waiting) == (ReportStatus.PARTIAL, None)
    [back, _] = report.signatures.all()
    assert (back.deed, back.reason, back.by) == ("sent_back", "I see haematogones.", colleague)
    with pytest.raises(Conflict) as nothing:
        confirm(report, colleague)
    assert nothing.value.code == "nothing_waits"
    page = client_of(world.haematologist).get(reverse("case", args=[report.pk])).content.decode()
    assert "I see haematogones." in page
    report = look_and_sign(world.haematologist, report, "benign")
    assert report.is_signed


def test_sent_back_a_technicians_verification_stands(world: World, colleague: User) -> None:
    report = world.reported()
    report = reports.verify(user=world.technician, report=report, version=report.version)
    report = look_and_sign(world.haematologist, report)
    report = signing.send_back(
        user=colleague, report=report, version=report.version, reason="Look again."
    )
    assert (report.status, report.verified_by) == (ReportStatus.PRELIMINARY, world.technician)


def test_while_a_reading_waits_nobody_signs_past_it(world: World, colleague: User) -> None:
    report = read(world)
    with pytest.raises(Conflict) as refused:
        look_and_sign(colleague, report, "benign")
    assert refused.value.code == "waits_for_second_reader"


def test_a_picture_that_comes_meanwhile_takes_the_first_reading_back(
    world: World, colleague: User
) -> None:
    """Who read it had not seen that."""
    report = read(world)
    world.succeed(world.receive(71), BENIGN)
    report.refresh_from_db()
    assert (report.status, report.waiting) == (ReportStatus.PARTIAL, None)
    assert Entry.objects.filter(action="report.reading_lapsed").exists()
    assert Signature.objects.get().deed == "read"  # it was said, and that stays


def test_every_move_is_in_the_trail_and_told_to_the_screens(world: World, colleague: User) -> None:
    last = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
    report = read(world)
    confirm(report, colleague)
    actions = Entry.objects.filter(subject_id=str(report.pk)).order_by("id")
    assert [e.action for e in actions][-3:] == [
        "report.read_first",
        "report.confirmed",
        "report.released",
    ]
    told = Event.objects.filter(id__gt=last, kind="report.changed", subject=report.pk)
    assert told.filter(topic=f"patient.{world.patient.pk}").exists()


def test_on_the_page_the_second_reader_sees_the_reading_and_confirms_it(
    world: World, colleague: User
) -> None:
    report = read(world, comment="Blasts throughout.")
    look(colleague, report)
    client = client_of(colleague)
    page = client.get(reverse("case", args=[report.pk])).content.decode()
    assert "Waits for a second reader" in page and "Blasts throughout." in page
    assert "read first by Hana Sato" in page
    address = reverse("case-confirm", args=[report.pk])
    wrong = client.post(address, {"version": report.version, "password": "guess"})
    assert wrong.status_code == 403
    assert "The password is not right" in wrong.content.decode()
    assert (
        client.post(address, {"version": report.version, "password": PASSWORD}).status_code == 302
    )
    report.refresh_from_db()
    assert report.is_signed
    listed = client.get(reverse("worklist"), {"show": "signed"}).content.decode()
    assert "N-2026-0001" in listed


def test_over_the_api_the_same_moves_are_made(world: World, colleague: User) -> None:
    report = read(world)
    client = client_of(colleague)
    address = f"/api/v1/reports/{report.pk}"
    told = client.get(f"{address}/").json()
    assert (told["status"], told["waiting"]["by"]) == ("preliminary", "Hana Sato")
    back = {"version": report.version, "reason": "Look again."}
    answer = client.post(f"{address}/send-back/", back, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (200, "partial")
    report.refresh_from_db()
    report = look_and_sign(world.haematologist, report, "pro_b")
    look(colleague, report)
    body = {"version": report.version, "password": PASSWORD}
    own = client_of(world.haematologist).post(
        f"{address}/confirm/", body, content_type="application/json"
    )
    assert (own.status_code, own.json()["code"]) == (403, "own_work")
    answer = client.post(f"{address}/confirm/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (200, "final")
    assert answer.json()["read_by"] == "Hana Sato"
    assert [one["deed"] for one in answer.json()["signatures"]] == [
        "confirmed",
        "read",
        "sent_back",
        "read",
    ]
