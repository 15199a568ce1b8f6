"""Who is given a report as PDF, what is never printed, and the trace that each copy leaves."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from diagnostics.models import DiagnosticReport, ReportStatus, ReportVersion
from hospital.accounts.models import Paper
from hospital.audit.models import Entry
from tests.diagnostics.test_documents import amended, signed
from tests.pdf import Pdf
from tests.world import SURE, World, add_specimen, by_hand

pytestmark = pytest.mark.django_db


def ask(user: Any, route: str, report: DiagnosticReport, **query: str) -> Any:
    client = Client()
    client.force_login(user)
    name = {"pk": report.pk} if route.startswith("api:") else {"report_id": report.pk}
    return client.get(reverse(route, kwargs=name), query)


def pdf(answer: Any) -> Pdf:
    assert answer.status_code == 200, answer.content
    return Pdf(answer.content)


def copies() -> list[Entry]:
    return list(Entry.objects.filter(action="report.printed"))


@pytest.mark.parametrize("route", ["case-pdf", "api:report-pdf"])
def test_staff_of_the_clinic_are_given_it(world: World, route: str) -> None:
    world.reported(SURE)
    version = signed(world)
    answer = ask(world.technician, route, version.report)
    assert pdf(answer).says("Signed by Hana Sato")
    assert answer.headers["Content-Type"] == "application/pdf"


@pytest.mark.parametrize("route", ["case-pdf", "api:report-pdf"])
def test_another_clinic_is_not(world: World, route: str) -> None:
    report = world.reported(SURE)
    assert ask(world.outsider, route, report).status_code == 404
    assert not copies()


def test_the_guardian_is_given_it_after_the_signature_and_a_stranger_never(world: World) -> None:
    report = world.reported(SURE)
    assert ask(world.guardian, "portal-pdf", report).status_code == 404
    signed(world)
    assert pdf(ask(world.guardian, "portal-pdf", report)).says("Please see a specialist")
    assert ask(world.stranger, "portal-pdf", report).status_code == 404
    assert ask(world.guardian, "case-pdf", report).status_code == 404


def test_under_the_papers_rule_a_guardian_reads_it_unsigned_and_marked(
    report: DiagnosticReport, world: World
) -> None:
    paper = pdf(ask(world.guardian, "portal-pdf", report))
    assert paper.says("Not yet reviewed by a doctor")


@pytest.mark.parametrize("status", [ReportStatus.CANCELLED, ReportStatus.ENTERED_IN_ERROR])
def test_a_withdrawn_report_is_never_printed(world: World, status: str) -> None:
    world.reported(SURE)
    version = signed(world)
    DiagnosticReport.objects.update(status=status)
    report = version.report
    for query in [{}, {"version": str(version.version)}]:
        page = ask(world.haematologist, "case-pdf", report, **query)
        assert (page.status_code, page.headers["Content-Type"]) == (409, "text/html; charset=utf-8")
        assert b"report_withdrawn" in page.content
        answer = ask(world.haematologist, "api:report-pdf", report, **query)
        assert (answer.status_code, answer.json()["code"]) == (409, "report_withdrawn")
    # A family that had been let in knows of what was withdrawn.
    gone = 409 if status == ReportStatus.ENTERED_IN_ERROR else 404
    assert ask(world.guardian, "portal-pdf", report).status_code == gone
    assert not copies()


def test_there_is_nothing_to_print_before_the_first_result(world: World) -> None:
    report = world.receive().specimen.report
    answer = ask(world.technician, "api:report-pdf", report)
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_print")


def test_an_older_version_can_be_asked_for_and_one_that_is_none_not(world: World) -> None:
    world.reported(SURE)
    first = signed(world)
    amended(world, first, conclusion="pro_b")
    old = ask(world.haematologist, "case-pdf", first.report, version=str(first.version))
    assert pdf(old).says("Superseded")
    assert pdf(ask(world.haematologist, "case-pdf", first.report)).says("Previously reported as")
    for none in ["1", "0", "-1", "x", "٣", "9" * 40]:
        answer = ask(world.haematologist, "api:report-pdf", first.report, version=none)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_such_version")


def test_a_snapshot_that_was_changed_behind_our_back_is_not_printed(world: World) -> None:
    world.reported(SURE)
    version = signed(world)
    version.content["conclusion"] = "benign"
    with by_hand("diagnostics_reportversion"):
        ReportVersion.objects.filter(pk=version.pk).update(content=version.content)
    answer = ask(world.haematologist, "api:report-pdf", version.report)
    assert (answer.status_code, answer.json()["code"]) == (409, "snapshot_damaged")


def test_the_paper_is_the_clinics_unless_another_is_asked_for(world: World) -> None:
    report = world.reported(SURE)
    world.clinic.paper = Paper.LETTER
    world.clinic.save()
    assert round(pdf(ask(world.technician, "case-pdf", report)).paper[0]) == 612
    assert round(pdf(ask(world.technician, "case-pdf", report, paper="a4")).paper[0]) == 595
    answer = ask(world.technician, "api:report-pdf", report, paper="a3")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_paper")


def test_each_copy_is_in_the_audit_trail(world: World) -> None:
    world.reported(SURE)
    version = signed(world)
    ask(world.technician, "case-pdf", version.report)
    ask(world.guardian, "portal-pdf", version.report)
    ask(world.guardian, "portal-pdf", version.report)
    entries = sorted(copies(), key=lambda e: e.pk)
    assert [e.actor_id for e in entries] == [
        str(world.technician.pk),
        *[str(world.guardian.pk)] * 2,
    ]
    assert [e.detail for e in entries] == [
        {"version": version.version, "signed": True, "in_portal": portal}
        for portal in [False, True, True]
    ]
    assert {e.patient_id for e in entries} == {world.patient.pk}


@pytest.mark.parametrize("route", ["case-pdf", "api:report-pdf", "portal-pdf"])
def test_it_is_kept_by_nobody_and_its_name_tells_no_patient(world: World, route: str) -> None:
    world.reported(SURE)
    version = signed(world)
    answer = ask(
        world.guardian if "portal" in route else world.haematologist, route, version.report
    )
    headers = answer.headers
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    name = f"blood-smear-N-2026-0001-v{version.version}.pdf"
    assert headers["Content-Disposition"] == f'inline; filename="{name}"'


def test_a_program_gets_a_pdf_or_a_problem_whatever_it_accepts(world: World) -> None:
    report = world.reported(SURE)
    client = Client(headers={"Accept": "application/pdf"})
    client.force_login(world.technician)
    address = reverse("api:report-pdf", args=[report.pk])
    assert client.get(address).headers["Content-Type"] == "application/pdf"
    answer = client.get(address, {"paper": "a3"})
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_pages_offer_it(world: World) -> None:
    world.reported(SURE)
    version = signed(world)
    case = ask(world.technician, "case", version.report).content.decode()
    assert reverse("case-pdf", args=[version.report_id]) in case
    portal = ask(world.guardian, "portal-report", version.report).content.decode()
    assert reverse("portal-pdf", args=[version.report_id]) in portal


def test_the_pages_do_not_offer_what_is_refused(world: World) -> None:
    specimen = add_specimen(world.patient, "N-7")
    report = world.receive(specimen=specimen).specimen.report
    address = reverse("case-pdf", args=[report.pk])
    assert address not in ask(world.technician, "case", report).content.decode()
