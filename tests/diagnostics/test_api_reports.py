"""Reports over HTTP: what is said, who may sign, and that two people cannot sign at once."""

from typing import Any

import pytest
from django.test import Client

from diagnostics.models import Analysis, DiagnosticReport, Specimen
from diagnostics.services import analyses
from hospital.accounts.models import User
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role
from hospital.audit.models import Entry
from tests.world import PASSWORD, SETUP, World, look

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def post(user: User, address: str, **body: Any) -> Any:
    return signed_in(user).post(f"/api/v1/{address}", body, content_type="application/json")


def sign(user: User, report: DiagnosticReport, **changes: Any) -> Any:
    look(user, report)
    body = {"version": report.version, "conclusion": "pre_b", "password": PASSWORD, **changes}
    return post(user, f"reports/{report.pk}/sign/", **body)


def test_a_report_says_what_was_found_and_what_it_is_not(world: World) -> None:
    report = world.reported()

    answer = signed_in(world.haematologist).get(f"/api/v1/reports/{report.pk}/")

    assert answer.status_code == 200
    told = answer.json()
    assert told["accession"] == world.specimen.accession
    assert told["patient"] == {"id": str(world.patient.pk), "mrn": "N-1"}
    assert told["clinic"] == str(world.clinic.pk)
    assert (told["status"], told["impression"], told["certainty"]) == ("partial", "pre_b", "clear")
    assert told["impression_display"] == "Pre-B ALL"
    assert told["probabilities"]["pre_b"] == 0.95
    assert told["fields"]["classified"] == told["fields"]["total"] == 1
    assert told["conclusion"] == ""
    assert told["signed_by"] is None
    assert "not a diagnosis" in told["disclaimer"]
    [image] = told["images"]
    assert (image["outcome"], image["label"], image["cell_count"]) == ("classified", "pre_b", 7)
    assert image["analysis_state"] == "succeeded"


def test_reading_a_report_leaves_a_trace_and_names_no_patient(world: World) -> None:
    report = world.reported()
    answer = signed_in(world.technician).get(f"/api/v1/reports/{report.pk}/")
    assert world.patient.family_name not in answer.content.decode()
    entry = Entry.objects.get(action="report.read")
    assert (entry.actor_id, entry.subject_id) == (str(world.technician.pk), str(report.pk))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True),
        ("status=partial", True),
        ("status=partial&status=final", True),
        ("status=final", False),
        ("accession=N-2026-0001", True),
        ("accession=S-2026-0001", False),
        ("mrn=n-1", True),
        ("search=rahman", True),
        ("search=okafor", False),
        ("impression=pre_b&certainty=clear", True),
    ],
)
def test_reports_are_found(world: World, query: str, found: bool) -> None:
    report = world.reported()
    world.receive(1, specimen=world.other_specimen)
    listed = signed_in(world.technician).get(f"/api/v1/reports/?{query}").json()["results"]
    assert [row["id"] for row in listed] == ([str(report.pk)] if found else [])
    assert all("images" not in row for row in listed)


def test_a_haematologist_signs_and_the_report_is_final(world: World) -> None:
    report = world.reported()
    answer = sign(world.haematologist, report, comment="Blasts throughout.")
    assert answer.status_code == 200, answer.json()
    told = answer.json()
    assert (told["status"], told["conclusion"]) == ("final", "pre_b")
    assert told["signed_by"] == "Hana Sato"
    assert "password" not in told
    report.refresh_from_db()
    assert report.signed_by == world.haematologist


def test_two_people_cannot_sign_the_same_state(world: World) -> None:
    report = world.reported()
    assert sign(world.haematologist, report).status_code == 200
    again = sign(world.superuser, report)
    assert (again.status_code, again.json()["code"]) == (409, "stale_state")
    report.refresh_from_db()
    assert report.signed_by == world.haematologist


def test_a_report_that_moved_on_is_not_signed_unseen(world: World) -> None:
    report = world.reported()
    world.succeed(world.receive(20_001))
    answer = sign(world.haematologist, report)
    assert (answer.status_code, answer.json()["code"]) == (409, "stale_state")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"password": "guess"}, 403, "wrong_password"),
        ({"conclusion": "healthy"}, 400, "invalid"),
        ({"conclusion": ""}, 400, "invalid"),
        ({"version": "latest"}, 400, "invalid"),
        ({"version": 10**30}, 409, "stale_state"),
    ],
)
def test_what_is_no_signature_signs_nothing(
    world: World, changes: dict[str, Any], status: int, code: str
) -> None:
    report = world.reported()
    answer = sign(world.haematologist, report, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    report.refresh_from_db()
    assert report.status == "partial"


def test_only_haematologists_of_the_clinic_sign(world: World) -> None:
    report = world.reported()
    assert sign(world.technician, report).status_code == 403
    assert sign(world.administrator, report).status_code == 403
    assert sign(world.outsider, report).status_code == 404
    assert sign(world.guardian, report).status_code == 403
    report.refresh_from_db()
    assert report.status == "partial"


def test_a_technician_verifies(world: World) -> None:
    report = world.reported()
    address = f"reports/{report.pk}/verify/"
    assert post(world.technician, address, version=report.version + 1).status_code == 409
    answer = post(world.technician, address, version=report.version)
    assert (answer.status_code, answer.json()["status"]) == (200, "preliminary")
    assert post(world.outsider, address, version=report.version).status_code == 404


def test_a_failed_analysis_is_tried_again(world: World) -> None:
    image = world.receive(1)
    analysis = world.claim(image)
    analyses.fail(analysis, code="internal")
    address = f"analyses/{analysis.pk}/retry/"

    assert post(world.outsider, address).status_code == 404
    assert post(world.administrator, address).status_code == 403
    answer = post(world.technician, address)

    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert Analysis.objects.get().state == "queued"
    again = post(world.technician, address)
    assert (again.status_code, again.json()["code"]) == (409, "analysis_open")


# --- specimens --------------------------------------------------------------------------------


def register(user: User, patient: Any, accession: str = "N-9") -> Any:
    body = {
        "accession": accession,
        "patient": str(patient.pk),
        "collected_at": "2026-11-21T08:00:00Z",
    }
    return post(user, "specimens/", **body)


def test_a_specimen_belongs_to_its_patients_clinic(world: World) -> None:
    answer = register(world.technician, world.patient)
    assert answer.status_code == 201, answer.json()
    assert answer.json()["clinic"] == str(world.clinic.pk)


def test_no_specimen_of_another_clinics_patient(world: World) -> None:
    answer = register(world.technician, world.other_patient)
    assert answer.status_code == 400
    assert "patient" in answer.json()["errors"]
    assert register(world.haematologist, world.patient).status_code == 403
    assert not Specimen.objects.filter(accession="N-9").exists()


def test_an_accession_number_is_given_once_in_the_hospital(world: World) -> None:
    answer = register(world.technician, world.patient, accession="S-2026-0001")
    assert answer.status_code == 400
    assert "accession" in answer.json()["errors"]


def test_once_pictures_have_come_the_label_stays(world: World) -> None:
    address = f"/api/v1/specimens/{world.specimen.pk}/"
    client = signed_in(world.technician)
    renamed = client.patch(address, {"accession": "N-1b"}, content_type="application/json")
    assert renamed.status_code == 200
    world.specimen.refresh_from_db()
    world.receive(1)
    again = client.patch(address, {"accession": "N-1c"}, content_type="application/json")
    assert (again.status_code, again.json()["code"]) == (409, "specimen_in_use")
    stain = client.patch(address, {"stain": "giemsa"}, content_type="application/json")
    assert stain.status_code == 200


def test_a_sample_is_not_carried_to_a_clinic_where_one_only_reads(world: World) -> None:
    there = world.other_clinic
    grant_role(actor=SETUP, user=world.technician, clinic=there, role=Role.HAEMATOLOGIST)
    answer = signed_in(world.technician).patch(
        f"/api/v1/specimens/{world.specimen.pk}/",
        {"patient": str(world.other_patient.pk)},
        content_type="application/json",
    )
    assert answer.status_code == 403
    world.specimen.refresh_from_db()
    assert world.specimen.patient == world.patient
