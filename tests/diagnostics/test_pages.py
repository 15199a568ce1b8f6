"""Pages answer the right people, and only them."""

import re
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from diagnostics.models import DiagnosticReport, FieldImage, Outcome
from diagnostics.services import analyses, reports
from hospital.audit.models import Entry
from tests.world import PASSWORD, SURE, look


def client_of(user: Any) -> Client:
    """A browser in which `user` is signed in."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def listed(world: Any, **query: str) -> str:
    return client_of(world.technician).get(reverse("worklist-live"), query).content.decode()


def staff_addresses(report: DiagnosticReport) -> list[str]:
    """Every page address that speaks of the report or its pictures to staff."""
    image = report.specimen.images.get()
    return [
        reverse("case", args=[report.pk]),
        reverse("case-live", args=[report.pk]),
        reverse("case-field", args=[report.pk, image.pk]),
        *[
            reverse("picture", args=[image.pk, kind])
            for kind in ("original", "segmented", "overlay", "thumbnail")
        ],
    ]


def portal_addresses(report: DiagnosticReport) -> list[str]:
    """The same for the portal."""
    image = report.specimen.images.get()
    return [
        reverse("portal-report", args=[report.pk]),
        reverse("portal-report-live", args=[report.pk]),
        *[
            reverse("portal-picture", args=[report.pk, image.pk, kind])
            for kind in ("original", "overlay")
        ],
    ]


# --- who gets in --------------------------------------------------------------------------------


def test_strangers_to_the_house_are_sent_to_sign_in(world: Any, report: DiagnosticReport) -> None:
    """Nothing answers without a session."""
    own = [reverse("worklist"), reverse("worklist-live"), reverse("portal"), reverse("portal-live")]
    for address in [*own, *staff_addresses(report), *portal_addresses(report)]:
        answer = Client().get(address)
        assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, "/login/")


@pytest.mark.parametrize("who", ["technician", "haematologist", "superuser"])
def test_readers_of_the_clinic_get_in(world: Any, report: DiagnosticReport, who: str) -> None:
    client = client_of(getattr(world, who))
    for address in [reverse("worklist"), reverse("worklist-live"), *staff_addresses(report)]:
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("who", ["outsider", "device_manager", "guardian", "stranger"])
def test_a_case_does_not_exist_for_anybody_else(
    world: Any, report: DiagnosticReport, who: str
) -> None:
    client = client_of(getattr(world, who))
    analysis = report.specimen.images.get().analyses.get()
    for address in staff_addresses(report):
        assert client.get(address).status_code == 404, address
    for name, pk in [
        ("case-sign", report.pk),
        ("case-verify", report.pk),
        ("analysis-retry", analysis.pk),
    ]:
        assert client.post(reverse(name, args=[pk])).status_code == 404, name


@pytest.mark.parametrize("who", ["device_manager", "guardian", "stranger"])
def test_the_worklist_is_for_readers(world: Any, who: str) -> None:
    client = client_of(getattr(world, who))
    assert client.get(reverse("worklist")).status_code == 403
    assert client.get(reverse("worklist-live")).status_code == 403


def test_the_worklist_of_another_clinic_stays_empty(world: Any, report: DiagnosticReport) -> None:
    page = client_of(world.outsider).get(reverse("worklist"), {"show": "all", "clinic": "north"})
    assert "N-2026-0001" not in page.content.decode()
    assert "Rahman" not in page.content.decode()


def test_the_guardian_reads_the_report(world: Any, report: DiagnosticReport) -> None:
    client = client_of(world.guardian)
    for address in [reverse("portal"), *portal_addresses(report)]:
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("who", ["stranger", "technician", "outsider", "superuser"])
def test_a_report_in_the_portal_is_for_its_people_only(
    world: Any, report: DiagnosticReport, who: str
) -> None:
    client = client_of(getattr(world, who))
    for address in portal_addresses(report):
        assert client.get(address).status_code == 404, address
    assert "Amina" not in client.get(reverse("portal")).content.decode()


def test_an_unreleased_report_is_not_in_the_portal(world: Any) -> None:
    """Under the usual rule the patient waits for the signature."""
    report = world.reported(SURE)
    client = client_of(world.guardian)
    for address in portal_addresses(report):
        assert client.get(address).status_code == 404, address
    assert "No report yet" in client.get(reverse("portal")).content.decode()


def test_a_patient_never_reads_a_figure_or_a_class(world: Any, report: DiagnosticReport) -> None:
    client = client_of(world.guardian)
    for address in [reverse("portal"), reverse("portal-report", args=[report.pk])]:
        page = client.get(address).content.decode()
        assert not re.search(r"\d\s*%|Pre-B|\b95\b", page)
        assert "not a diagnosis" in page
        assert "Not yet reviewed by a doctor" in page


def test_pages_with_patients_on_them_are_not_kept(world: Any, report: DiagnosticReport) -> None:
    """Nobody finds them with the back button after somebody has signed out."""
    for address in [reverse("worklist"), reverse("case", args=[report.pk])]:
        assert "no-store" in client_of(world.technician).get(address).headers["Cache-Control"]
    assert "no-store" in client_of(world.guardian).get(reverse("portal")).headers["Cache-Control"]


# --- what is noted ------------------------------------------------------------------------------


def reads(action: str) -> int:
    return Entry.objects.filter(action=action).count()


def test_reading_leaves_a_trace(world: Any, report: DiagnosticReport) -> None:
    """Opening a case is noted each time; the refetches of an open page are one reading."""
    client = client_of(world.technician)
    client.get(reverse("case", args=[report.pk]))
    for address in staff_addresses(report)[1:]:
        client.get(address)
    assert reads("report.read") == 1
    client.get(reverse("case", args=[report.pk]))
    assert reads("report.read") == 2


def test_a_picture_alone_leaves_a_trace_too(world: Any, report: DiagnosticReport) -> None:
    client_of(world.technician).get(staff_addresses(report)[2])
    assert reads("report.read") == 1
    client_of(world.guardian).get(portal_addresses(report)[2])
    assert reads("report.read_in_portal") == 1


def every_field(client: Client, report: DiagnosticReport) -> str:
    """What the case page says of each field, one after the other as the reader turns to them."""
    pictures = FieldImage.objects.filter(specimen=report.specimen)
    parts = [client.get(reverse("case-field", args=[report.pk, one.pk])) for one in pictures]
    return "".join(part.content.decode() for part in parts)


# --- drawn pictures -----------------------------------------------------------------------------


def marks(world: Any, report: DiagnosticReport) -> tuple[str, str, str, str]:
    """The four pages that speak of a report's pictures."""
    guardian = client_of(world.guardian)
    reader = client_of(world.technician)
    case = reader.get(reverse("case", args=[report.pk])).content.decode()
    portal = guardian.get(reverse("portal-report", args=[report.pk]))
    return (
        listed(world),
        case + every_field(reader, report),
        guardian.get(reverse("portal")).content.decode(),
        portal.content.decode(),
    )


def test_one_drawn_picture_does_not_mark_the_real_ones(
    world: Any, report: DiagnosticReport
) -> None:
    """The specimen includes one; the picture itself bears the mark."""
    FieldImage.objects.filter(pk=world.receive(2).pk).update(synthetic=True)
    world.succeed(FieldImage.objects.get(synthetic=True), SURE)
    FieldImage.objects.update(state="accepted")
    worklist, case, portal, letter = marks(world, report)
    assert "includes synthetic pictures" in worklist
    assert "includes synthetic pictures" in case
    assert case.count("</use></svg> synthetic</span></h3>") == 1
    assert "Includes demonstration pictures" in portal
    assert "some of the pictures were drawn by a program" in letter
    assert letter.count("Drawn by a program") == 1


def test_only_drawn_pictures_are_said_to_be_nobodys_blood(
    world: Any, report: DiagnosticReport
) -> None:
    FieldImage.objects.update(synthetic=True)
    reports.rebuild(report.specimen)
    worklist, case, portal, letter = marks(world, report)
    assert "includes synthetic" not in worklist + case
    assert "synthetic pictures, not from blood" in case
    assert "Demonstration pictures" in portal
    assert "the pictures were drawn by a program and show nobody’s blood" in letter


def test_samples_of_one_day_are_told_apart_in_the_portal(
    world: Any, report: DiagnosticReport
) -> None:
    page = client_of(world.guardian).get(reverse("portal")).content.decode()
    assert re.search(r"20 November 2026, \d\d:\d\d · <bdi>N-2026-0001</bdi>", page)


# --- signing ------------------------------------------------------------------------------------


def sign(world: Any, report: DiagnosticReport, who: str = "haematologist", **fields: Any) -> Any:
    form = {
        "version": report.version,
        "conclusion": "pre_b",
        "comment": "Blasts in every field.",
        "password": PASSWORD,
    } | fields
    look(getattr(world, who), report)
    return client_of(getattr(world, who)).post(reverse("case-sign", args=[report.pk]), form)


def test_nothing_is_chosen_beforehand(world: Any, report: DiagnosticReport) -> None:
    page = client_of(world.haematologist).get(reverse("case", args=[report.pk])).content.decode()
    assert 'name="conclusion"' in page
    form = page[page.index('id="sign"') : page.index("</form>", page.index('id="sign"'))]
    assert "checked" not in form


def test_signing_ends_on_the_case(world: Any, report: DiagnosticReport) -> None:
    assert sign(world, report).status_code == 302
    report.refresh_from_db()
    assert (report.status, report.conclusion) == ("final", "pre_b")


@pytest.mark.parametrize(
    ("wrong", "status", "says"),
    [
        ({"password": "not it at all"}, 403, "The password is not right"),
        ({"password": ""}, 422, "Type your password"),
        ({"conclusion": ""}, 422, "Choose a conclusion"),
        ({"conclusion": "made up"}, 422, "Choose one of"),
        ({"version": 1}, 409, "The report has changed"),
    ],
)
def test_a_refusal_keeps_what_was_typed_but_the_password(
    world: Any, report: DiagnosticReport, wrong: dict[str, Any], status: int, says: str
) -> None:
    answer = sign(world, report, **wrong)
    page = answer.content.decode()
    assert answer.status_code == status
    assert says in page
    assert "Blasts in every field." in page
    assert PASSWORD not in page
    assert f'value="{report.version}"' in page
    report.refresh_from_db()
    assert not report.is_signed


def test_a_technician_may_not_sign(world: Any, report: DiagnosticReport) -> None:
    assert sign(world, report, who="technician").status_code == 403
    report.refresh_from_db()
    assert not report.is_signed


def test_the_second_signature_is_told_so_and_loses_nothing(
    world: Any, report: DiagnosticReport
) -> None:
    sign(world, report)
    page = sign(world, report, conclusion="benign", comment="I see it otherwise.")
    assert page.status_code == 409
    assert "Your signature was not stored" in page.content.decode()
    assert "I see it otherwise." in page.content.decode()


def test_a_technician_verifies_what_stood_on_the_page_and_is_asked_no_more(
    world: Any, report: DiagnosticReport
) -> None:
    address = reverse("case-verify", args=[report.pk])
    client = client_of(world.technician)
    page = client.post(address, {"version": "nonsense"}, follow=True).content.decode()
    assert "The report has changed" in page
    assert 'id="verify"' in page
    page = client.post(address, {"version": report.version}, follow=True).content.decode()
    assert "It now waits for a haematologist" in page
    assert 'id="verify"' not in page
    report.refresh_from_db()
    assert report.status == "preliminary"


# --- what went wrong ----------------------------------------------------------------------------


def test_a_failed_analysis_says_why_and_is_tried_again(world: Any) -> None:
    image = world.receive()
    analyses.fail(world.claim(image), code="file_missing")
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    client = client_of(world.technician)
    page = client.get(reverse("case", args=[report.pk])).content.decode()
    assert "Send it again from the microscope" in page
    analysis = image.analyses.get()
    answer = client.post(reverse("analysis-retry", args=[analysis.pk]))
    assert answer.status_code == 302
    analysis.refresh_from_db()
    assert analysis.state == "queued"
    answer = client.post(
        reverse("analysis-retry", args=[analysis.pk]), headers={"HX-Request": "true"}
    )
    assert "being analysed already" in answer.content.decode()


def test_spoilt_and_unfamiliar_pictures_carry_advice(world: Any) -> None:
    world.succeed(world.receive(1), outcome=Outcome.UNUSABLE, rejection="out_of_focus")
    world.succeed(world.receive(2), outcome=Outcome.UNFAMILIAR)
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    page = every_field(client_of(world.technician), report)
    assert "Focus on the nuclei" in page
    assert "gives no opinion on this field" in page


def test_unknown_addresses_get_a_page_that_helps(world: Any) -> None:
    for address in [reverse("case", args=[uuid.uuid4()]), "/no/such/page/"]:
        answer = client_of(world.technician).get(address)
        assert answer.status_code == 404
        assert "There is nothing here" in answer.content.decode()
