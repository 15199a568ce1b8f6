"""The patient registry over HTTP: what each hand may do, and that nothing leaks."""

import uuid
from typing import Any

import pytest
from django.test import Client

from hospital.accounts.models import User
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role
from hospital.audit.models import Entry
from patients.models import Patient, PortalAccess
from tests.world import PASSWORD, SETUP, World

pytestmark = pytest.mark.django_db

NEW = {
    "mrn": "N-77",
    "family_name": "Silva",
    "given_names": "Rosa Maria",
    "birth_date": "2015-06-01",
    "sex": "female",
}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def register(user: User, clinic_id: Any, **changes: Any) -> Any:
    body = {**NEW, "clinic": str(clinic_id), **changes}
    return signed_in(user).post("/api/v1/patients/", body, content_type="application/json")


def change(user: User, patient: Patient, **changes: Any) -> Any:
    address = f"/api/v1/patients/{patient.pk}/"
    return signed_in(user).patch(address, changes, content_type="application/json")


def test_a_technician_registers_a_patient_and_it_is_audited(world: World) -> None:
    answer = register(world.technician, world.clinic.pk)
    assert answer.status_code == 201, answer.json()
    patient = Patient.objects.get(pk=answer.json()["id"])
    assert (patient.mrn, patient.clinic) == ("N-77", world.clinic)
    entry = Entry.objects.filter(action="patient.registered").latest("id")
    assert (entry.actor_id, entry.patient_id) == (str(world.technician.pk), patient.pk)


def test_a_list_shows_the_own_clinics_patients_and_hides_the_others(world: World) -> None:
    shown = signed_in(world.technician).get("/api/v1/patients/").json()["results"]
    assert [row["id"] for row in shown] == [str(world.patient.pk)]
    hidden = signed_in(world.technician).get(f"/api/v1/patients/?clinic={world.other_clinic.pk}")
    assert hidden.json()["results"] == []


@pytest.mark.parametrize("query", ["mrn=n-1", "search=rahm", "search=N-1+amina", "search=amina"])
def test_a_patient_is_found_by_number_or_name(world: World, query: str) -> None:
    register(world.technician, world.clinic.pk)
    found = signed_in(world.technician).get(f"/api/v1/patients/?{query}").json()["results"]
    assert [row["mrn"] for row in found] == ["N-1"]


def test_pages_follow_on_without_gaps(world: World) -> None:
    for number in range(5):
        register(world.technician, world.clinic.pk, mrn=f"P-{number}", family_name="Same")
    seen = []
    address = "/api/v1/patients/?page_size=2"
    while address:
        page = signed_in(world.technician).get(address).json()
        seen += [row["mrn"] for row in page["results"]]
        address = page["next"]
    assert sorted(seen) == ["N-1", "P-0", "P-1", "P-2", "P-3", "P-4"]


def test_reading_a_patient_leaves_a_trace(world: World) -> None:
    signed_in(world.haematologist).get(f"/api/v1/patients/{world.patient.pk}/")
    entry = Entry.objects.get(action="patient.read")
    assert (entry.actor_id, entry.patient_id) == (str(world.haematologist.pk), world.patient.pk)


def test_another_clinics_patient_is_as_unknown_as_nobody(world: World) -> None:
    client = signed_in(world.technician)
    answers = [
        client.get(f"/api/v1/patients/{pk}/") for pk in (world.other_patient.pk, uuid.uuid4())
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    assert change(world.technician, world.other_patient, mrn="X").status_code == 404
    assert not Entry.objects.filter(action="patient.read").exists()


def test_a_role_that_may_only_read_may_not_write(world: World) -> None:
    assert change(world.haematologist, world.patient, mrn="X").status_code == 403
    assert register(world.haematologist, world.clinic.pk).status_code == 403
    world.patient.refresh_from_db()
    assert world.patient.mrn == "N-1"


@pytest.mark.parametrize("where", ["other_clinic", "nowhere"])
def test_nobody_registers_patients_where_they_do_not_work(world: World, where: str) -> None:
    clinic_id = world.other_clinic.pk if where == "other_clinic" else uuid.uuid4()
    answer = register(world.technician, clinic_id)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert not Patient.objects.filter(mrn="N-77").exists()


def test_a_role_in_one_clinic_gives_nothing_in_another(world: World) -> None:
    """A technician here who only reads there may write here only."""
    clinic = world.other_clinic
    grant_role(actor=SETUP, user=world.technician, clinic=clinic, role=Role.HAEMATOLOGIST)
    address = f"/api/v1/patients/{world.other_patient.pk}/"
    assert signed_in(world.technician).get(address).status_code == 200
    assert change(world.technician, world.other_patient, mrn="X").status_code == 403
    assert register(world.technician, clinic.pk).status_code == 403
    assert change(world.technician, world.patient, given_names="Amina B.").status_code == 200


def test_a_patient_does_not_move_to_another_clinic(world: World) -> None:
    """Not to one where the technician is nobody, and not to one where they work as well."""
    there = world.other_clinic
    answer = change(world.technician, world.patient, clinic=str(there.pk))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    grant_role(actor=SETUP, user=world.technician, clinic=there, role=Role.TECHNICIAN)
    answer = change(world.technician, world.patient, clinic=str(there.pk))
    assert (answer.status_code, answer.json()["code"]) == (409, "clinic_fixed")
    world.patient.refresh_from_db()
    assert world.patient.clinic == world.clinic


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mrn": "N-1"}, "__all__"),
        ({"birth_date": "31.12.2015"}, "birth_date"),
        ({"sex": "yes"}, "sex"),
        ({"family_name": ""}, "family_name"),
        ({"mrn": "a\u0000b"}, "mrn"),
        ({"clinic": "here"}, "clinic"),
    ],
)
def test_a_wrong_field_is_named(world: World, changes: dict[str, str], field: str) -> None:
    answer = register(world.technician, changes.pop("clinic", world.clinic.pk), **changes)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    errors = answer.json()["errors"]
    assert field in errors or (field == "__all__" and "non_field_errors" in errors), errors


def test_a_session_alone_cannot_write_without_the_csrf_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.technician)
    body = {**NEW, "clinic": str(world.clinic.pk)}
    answer = client.post("/api/v1/patients/", body, content_type="application/json")
    assert answer.status_code == 403
    assert not Patient.objects.filter(mrn="N-77").exists()


def test_nobody_signed_in_is_told_to_sign_in(world: World) -> None:
    answer = Client().get("/api/v1/patients/")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer["Content-Type"] == "application/problem+json"


def test_a_device_key_does_not_open_the_staff_api(world: World) -> None:
    answer = Client().get("/api/v1/patients/", headers={"Authorization": f"Bearer {world.key}"})
    assert answer.status_code == 401


# --- portal access ----------------------------------------------------------------------------


def invite(user: User, **changes: Any) -> Any:
    body = {"relation": "guardian", **changes}
    return signed_in(user).post("/api/v1/portal-access/", body, content_type="application/json")


def test_an_administrator_opens_the_portal_to_a_new_guardian(world: World) -> None:
    answer = invite(
        world.administrator,
        patient=str(world.patient.pk),
        username="karim",
        full_name="Karim Rahman",
        password="three calm words",
    )
    assert answer.status_code == 201, answer.json()
    assert "password" not in answer.json()
    user = User.objects.get(username="karim")
    assert user.check_password("three calm words")
    assert not user.is_staff
    assert PortalAccess.objects.get(user=user).patient == world.patient


def test_a_new_account_never_takes_over_somebodys_name(world: World) -> None:
    """Else a namesake would read this patient's reports."""
    answer = invite(
        world.administrator,
        patient=str(world.patient.pk),
        username="stranger",
        full_name="Another Stranger",
        password="three calm words",
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "account_exists")
    assert not PortalAccess.objects.filter(patient=world.patient, user=world.stranger).exists()
    world.stranger.refresh_from_db()
    assert world.stranger.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"username": "nobody-yet"}, 422),
        ({"username": "karim", "full_name": "Karim", "password": "short"}, 400),
        ({"username": "karim", "full_name": "Karim"}, 400),
        ({"relation": "neighbour", "username": "stranger"}, 400),
    ],
)
def test_an_invitation_that_cannot_be_meant_opens_nothing(
    world: World, changes: dict[str, str], status: int
) -> None:
    before = (User.objects.count(), PortalAccess.objects.count())
    answer = invite(world.administrator, patient=str(world.patient.pk), **changes)
    assert answer.status_code == status, answer.json()
    assert (User.objects.count(), PortalAccess.objects.count()) == before


def test_an_administrator_cannot_open_the_portal_to_another_clinics_patient(world: World) -> None:
    answer = invite(world.administrator, patient=str(world.other_patient.pk), username="guardian")
    assert answer.status_code == 400
    assert not PortalAccess.objects.filter(
        patient=world.other_patient, user=world.guardian
    ).exists()


def test_access_ends_and_the_row_stays(world: World) -> None:
    access = PortalAccess.objects.get(user=world.guardian)
    client = signed_in(world.administrator)
    assert client.delete(f"/api/v1/portal-access/{access.pk}/").status_code == 204
    access.refresh_from_db()
    assert access.revoked_at is not None
    others = PortalAccess.objects.get(user=world.stranger)
    assert client.delete(f"/api/v1/portal-access/{others.pk}/").status_code == 404
    live = client.get("/api/v1/portal-access/?live=true").json()["results"]
    assert live == []
