"""Promises about changed reports: nothing is overwritten, and who had read it is told again."""

from typing import Any

import pytest
from django.core import mail
from django.db import DatabaseError, transaction
from django.urls import reverse

from diagnostics.models import DiagnosticReport, ReportStatus, ReportVersion, Rereading, Signature
from diagnostics.selectors import changed_since_read, portal_reports, rereadings_of
from diagnostics.services import notices, reading, signing
from diagnostics.services.snapshots import is_whole
from hospital.accounts.models import Clinic, User
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.base.states import IllegalTransition, StaleState
from hospital.live.models import Event
from tests.diagnostics.test_pages import client_of
from tests.pdf import Pdf
from tests.world import PASSWORD, World, look, look_and_sign

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed(world: World) -> DiagnosticReport:
    """A report that is final and in the family's portal."""
    report = world.reported()
    return look_and_sign(world.haematologist, report, comment="Blasts.")


def amend(user: User, report: DiagnosticReport, **given: Any) -> DiagnosticReport:
    change = {"becomes": "corrected", "conclusion": "benign", "reason": "Haematogones."}
    change |= {name: given.pop(name) for name in list(given) if name in {*change, "comment"}}
    look(user, report)
    return signing.amend(
        user=user,
        report=report,
        **{"version": report.version, "password": PASSWORD, **given},
        change=signing.Change(**change),
    )


def withdraw(user: User, report: DiagnosticReport, **given: Any) -> DiagnosticReport:
    usual = {"version": report.version, "password": PASSWORD, "reason": "Another patient's tube."}
    return signing.withdraw(user=user, report=report, **usual | given)


# --- amend and correct ------------------------------------------------------------------------


@pytest.mark.parametrize("becomes", ["amended", "corrected"])
def test_a_change_is_a_new_version_and_the_old_one_stays(
    world: World, signed: DiagnosticReport, colleague: User, becomes: str
) -> None:
    report = amend(colleague, signed, becomes=becomes)
    assert (report.status, report.conclusion) == (becomes, "benign")
    new, old = report.versions.all()
    assert (new.content["reason"], new.content["status"]) == ("Haematogones.", becomes)
    assert (old.content["conclusion"], old.content["comment"]) == ("pre_b", "Blasts.")
    assert is_whole(new) and is_whole(old)
    assert new.content["words"]["conclusion"] == "benign"
    assert report.signatures.first().reason == "Haematogones."  # type: ignore[union-attr]
    assert Entry.objects.filter(action=f"report.{becomes}").exists()


def test_paper_says_what_was_reported_before_and_why_it_changed(
    world: World, signed: DiagnosticReport
) -> None:
    report = amend(world.haematologist, signed)
    client = client_of(world.haematologist)
    address = reverse("case-pdf", args=[report.pk])
    paper = Pdf(client.get(address).content)
    assert paper.says("Previously reported as: Pre-B ALL")
    assert paper.says("Reason for the change: Haematogones.")
    old = client.get(address, {"version": report.versions.last().version})  # type: ignore[union-attr]
    assert Pdf(old.content).says("SUPERSEDED")


@pytest.mark.parametrize(
    ("given", "refused", "code"),
    [
        ({"reason": " "}, Refusal, "reason_missing"),
        ({"becomes": "final"}, Refusal, "change_unknown"),
        ({"conclusion": ""}, Refusal, "conclusion_missing"),
        ({"password": "guess"}, Forbidden, "wrong_password"),
        ({"version": 1}, StaleState, "stale_state"),
    ],
)
def test_what_is_no_change_changes_nothing(
    world: World, signed: DiagnosticReport, given: dict[str, Any], refused: Any, code: str
) -> None:
    with pytest.raises(refused) as refusal:
        amend(world.haematologist, signed, **given)
    assert refusal.value.code == code
    signed.refresh_from_db()
    assert (signed.status, signed.versions.count()) == ("final", 1)


@pytest.mark.parametrize("who", ["technician", "administrator", "outsider", "guardian"])
def test_only_the_clinics_haematologists_change_a_report(
    world: World, signed: DiagnosticReport, who: str
) -> None:
    with pytest.raises(Forbidden):
        amend(getattr(world, who), signed)
    with pytest.raises(Forbidden):
        withdraw(getattr(world, who), signed)


def test_what_nobody_has_signed_is_not_amended_and_not_withdrawn(world: World) -> None:
    report = world.reported()
    with pytest.raises(IllegalTransition):
        amend(world.haematologist, report)
    with pytest.raises(Conflict) as refused:
        withdraw(world.haematologist, report)
    assert refused.value.code == "not_signed"


def test_where_two_have_to_read_what_stood_stands_until_the_change_is_confirmed(
    world: World, signed: DiagnosticReport, colleague: User
) -> None:
    """Also when a leukaemia is taken back: that is as grave."""
    Clinic.objects.filter(pk=world.clinic.pk).update(second_reader="malignant")
    report = DiagnosticReport.objects.get(pk=signed.pk)
    report = amend(world.haematologist, report)
    assert (report.status, report.conclusion) == ("final", "pre_b")
    assert not Rereading.objects.exists()
    page = client_of(colleague).get(reverse("case", args=[report.pk])).content.decode()
    assert "A change waits for a second reader" in page and "Haematogones." in page
    look(colleague, report)
    report = signing.confirm(
        user=colleague, report=report, version=report.version, password=PASSWORD
    )
    assert (report.status, report.conclusion) == ("corrected", "benign")
    assert report.versions.first().content["reason"] == "Haematogones."  # type: ignore[union-attr]


# --- who had read it --------------------------------------------------------------------------


def test_who_had_read_it_is_listed_and_told_until_they_read_it_again(
    world: World, signed: DiagnosticReport, colleague: User
) -> None:
    family, staff = client_of(world.guardian), client_of(world.technician)
    family.get(reverse("portal-report", args=[signed.pk]))
    staff.get(reverse("case", args=[signed.pk]))
    client_of(colleague).get(reverse("case", args=[signed.pk]))
    report = amend(colleague, signed)

    asked = rereadings_of(report)
    assert {(one.user, one.in_portal) for one in asked} == {
        (world.guardian, True),
        (world.technician, False),
    }
    assert changed_since_read(world.technician).get() == report
    assert not changed_since_read(colleague).exists()
    assert "Changed since you read it" in staff.get(reverse("worklist")).content.decode()
    page = staff.get(reverse("case", args=[report.pk])).content.decode()
    assert "This report was changed since you read it" in page
    assert not changed_since_read(world.technician).exists()
    assert "Changed since you read it" not in staff.get(reverse("worklist")).content.decode()
    assert "Nadia Rahman" in page and "told, has not read it again yet" in page

    page = family.get(reverse("portal-report", args=[report.pk])).content.decode()
    assert "A doctor changed this report" in page
    assert "This replaces what you read on" in page
    assert "Haematogones" not in page
    assert not rereadings_of(report).filter(read_at=None).exists()


def test_whoever_has_not_read_the_second_version_is_told_of_the_third(
    world: World, signed: DiagnosticReport, colleague: User
) -> None:
    reading.note_opened(user=world.technician, report=signed)
    second = amend(colleague, signed)
    third = amend(colleague, second, conclusion="undetermined")
    assert rereadings_of(third).get().user == world.technician
    reading.note_opened(user=world.technician, report=third)
    assert not Rereading.objects.filter(read_at=None).exists()


def test_a_colleague_with_the_case_open_is_told_there(
    world: World, signed: DiagnosticReport, colleague: User
) -> None:
    """With the first part that arrives; the next one leaves the word standing."""
    client = client_of(world.technician)
    client.get(reverse("case", args=[signed.pk]))
    amend(colleague, signed)
    live = reverse("case-live", args=[signed.pk])
    assert "This report was changed since you read it" in client.get(live).content.decode()
    assert 'id="again"' not in client.get(live).content.decode()


def test_who_only_saw_it_before_it_was_signed_is_not_told(world: World, colleague: User) -> None:
    report = world.reported()
    reading.note_opened(user=world.technician, report=report)
    report = look_and_sign(world.haematologist, report)
    assert not rereadings_of(amend(colleague, report)).exists()


def test_the_families_screens_and_mail_boxes_are_told_without_a_result(
    world: World, signed: DiagnosticReport, settings: Any
) -> None:
    settings.PORTAL_MAILS = True
    world.guardian.email = "nadia@example.org"
    world.guardian.save()
    notices.mail_families()
    mail.outbox.clear()
    last = Event.objects.order_by("-id").values_list("id", flat=True)[0]
    amend(world.haematologist, signed)
    told = Event.objects.filter(id__gt=last, kind="report.changed")
    assert told.filter(topic=f"patient.{world.patient.pk}").exists()
    notices.mail_families()
    [message] = mail.outbox
    assert "something has changed" in message.body
    for word in ["benign", "leukaemia", "Amina", "Rahman", "corrected"]:
        assert word not in message.body.lower() + message.subject.lower()


# --- withdraw ---------------------------------------------------------------------------------


def test_a_withdrawn_report_is_printed_for_nobody(world: World, signed: DiagnosticReport) -> None:
    number = signed.versions.get().version
    report = withdraw(world.haematologist, signed)
    assert report.status == ReportStatus.ENTERED_IN_ERROR
    staff = client_of(world.haematologist)
    for query in [{}, {"version": number}]:
        answer = staff.get(reverse("case-pdf", args=[report.pk]), query)
        assert answer.status_code == 409
        assert not answer.content.startswith(b"%PDF")
    api = staff.get(f"/api/v1/reports/{report.pk}/pdf/")
    assert (api.status_code, api.json()["code"]) == (409, "report_withdrawn")
    family = client_of(world.guardian).get(reverse("portal-pdf", args=[report.pk]))
    assert family.status_code == 409
    assert "Please call the clinic" in family.content.decode()


def test_the_family_reads_that_it_was_withdrawn_and_nothing_of_what_it_said(
    world: World, signed: DiagnosticReport
) -> None:
    client = client_of(world.guardian)
    page = client.get(reverse("portal-report", args=[signed.pk])).content.decode()
    image = signed.specimen.images.get()
    picture = reverse("portal-picture", args=[signed.pk, image.pk, "original"])
    assert "Please see a specialist" in page
    assert client.get(picture).status_code == 200
    report = withdraw(world.haematologist, signed)
    for name in ("portal-report", "portal-report-live"):
        page = client.get(reverse(name, args=[report.pk])).content.decode()
        assert "This report was withdrawn" in page
        assert "Call the clinic" in page
        for gone in ["specialist", "leukaemia", "tube", "portal-pdf", "smear-"]:
            assert gone not in page, gone
    assert client.get(picture).status_code == 404
    assert "This report was withdrawn" in client.get(reverse("portal")).content.decode()
    assert Rereading.objects.get(user=world.guardian).read_at


def test_who_was_never_let_in_hears_nothing_of_it(world: World, signed: DiagnosticReport) -> None:
    world.release("after_call")
    report = world.reported()
    DiagnosticReport.objects.filter(pk=report.pk).update(released_at=None, portal_from=None)
    report.refresh_from_db()
    withdraw(world.haematologist, report)
    assert not portal_reports(world.guardian).exists()


def test_a_paper_of_it_is_said_to_be_withdrawn(world: World, signed: DiagnosticReport) -> None:
    version = signed.versions.get()
    withdraw(world.haematologist, signed)
    page = client_of(world.stranger).get(reverse("verify", args=[version.pk, version.sha256[:16]]))
    assert "This report was withdrawn" in page.content.decode()


def test_colleagues_still_read_what_each_version_said(
    world: World, signed: DiagnosticReport
) -> None:
    old = signed.versions.get()
    report = amend(world.haematologist, signed, comment="Young cells only.")
    report = withdraw(world.haematologist, report)
    client = client_of(world.technician)
    page = client.get(reverse("case", args=[report.pk])).content.decode()
    assert "Another patient&#x27;s tube." in page
    for version in report.versions.all():
        address = reverse("case-version", args=[report.pk, version.version])
        assert address in page
        shown = client.get(address).content.decode()
        assert "The report was withdrawn" in shown
        assert ("Blasts." if version == old else "Young cells only.") in shown
        assert client_of(world.outsider).get(address).status_code == 404
        assert client_of(world.guardian).get(address).status_code == 404


def test_it_is_withdrawn_once_and_for_good(world: World, signed: DiagnosticReport) -> None:
    report = withdraw(world.haematologist, signed)
    with pytest.raises(Conflict):
        withdraw(world.haematologist, report)
    with pytest.raises(IllegalTransition):
        amend(world.haematologist, report)


# --- by page and by program -------------------------------------------------------------------


def test_the_pages_change_and_withdraw_and_keep_what_was_typed(
    world: World, signed: DiagnosticReport
) -> None:
    client = client_of(world.haematologist)
    client_of(world.guardian).get(reverse("portal-report", args=[signed.pk]))
    look(world.haematologist, signed)
    address = reverse("case-amend", args=[signed.pk])
    page = client.get(address).content.decode()
    assert "Nadia Rahman" in page and "Blasts." in page
    form = {
        "version": signed.version,
        "becomes": "amended",
        "conclusion": "pro_b",
        "reason": "CD10 is negative.",
        "comment": "See flow.",
        "password": "guess",
    }
    answer = client.post(address, form)
    assert answer.status_code == 403
    for kept in ["CD10 is negative.", "See flow.", "The password is not right"]:
        assert kept in answer.content.decode()
    assert client.post(address, form | {"reason": ""}).status_code == 422
    assert client.post(address, form | {"version": 1, "password": PASSWORD}).status_code == 409
    assert client.post(address, form | {"password": PASSWORD}).status_code == 302
    signed.refresh_from_db()
    assert (signed.status, signed.conclusion) == ("amended", "pro_b")
    address = reverse("case-withdraw", args=[signed.pk])
    assert client.get(address).status_code == 200
    form = {"version": signed.version, "reason": "Wrong tube.", "password": PASSWORD}
    assert client.post(address, form).status_code == 302
    signed.refresh_from_db()
    assert signed.status == "entered-in-error"


def test_the_api_changes_and_withdraws(world: World, signed: DiagnosticReport) -> None:
    client = client_of(world.haematologist)
    look(world.haematologist, signed)
    address = f"/api/v1/reports/{signed.pk}"
    body = {
        "version": signed.version,
        "becomes": "corrected",
        "conclusion": "benign",
        "reason": "Haematogones.",
        "password": PASSWORD,
    }
    answer = client.post(f"{address}/amend/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (200, "corrected")
    again = client.post(f"{address}/amend/", body, content_type="application/json")
    assert (again.status_code, again.json()["code"]) == (409, "stale_state")
    body = {"version": answer.json()["version"], "reason": "Wrong tube.", "password": PASSWORD}
    answer = client.post(f"{address}/withdraw/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (200, "entered-in-error")


# --- written once -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", [ReportVersion, Signature])
def test_the_database_changes_and_deletes_no_name(
    world: World, signed: DiagnosticReport, model: Any
) -> None:
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        model.objects.update(signed_by=None) if model is ReportVersion else model.objects.update(
            reason="otherwise"
        )
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        model.objects.all()._raw_delete("default")
    assert model.objects.count() == 1
