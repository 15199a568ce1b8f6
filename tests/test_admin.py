"""The admin within clinics: what each hand sees, writes and cannot reach."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from devices.models import Device, DeviceKey
from devices.services import registry
from devices.services.keys import authenticate
from diagnostics.models import Analysis, EscalationStep, ReleaseRule, Specimen
from diagnostics.services import analyses
from hospital.accounts.models import Membership, User
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role
from hospital.audit.models import Entry
from patients.models import Patient, PortalAccess
from tests.hands import errors, page, send, signed_in
from tests.world import SETUP, World

pytestmark = pytest.mark.django_db


# --- looking ----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda m: m.__name__)
def test_every_list_and_every_row_opens_and_hides_the_other_clinic(
    world: World, model: Any
) -> None:
    """Seen by a user of both kinds of clinic: what is listed opens, what is not does not."""
    world.reported()
    other_image = world.receive(7, specimen=world.other_specimen)
    for role in Role:
        grant_role(actor=SETUP, user=world.technician, clinic=world.clinic, role=role)
    opts = model._meta
    name = f"{opts.app_label}_{opts.model_name}"
    listed = page(world.technician, f"{name}_changelist")
    assert listed.status_code == 200
    rows = list(listed.context["cl"].result_list)
    assert rows, "the test's world should hold something of everything"
    # A list, made now: whoever opens a page signs in, which is an entry in the trail.
    hidden = list(model._base_manager.exclude(pk__in=[row.pk for row in rows]))
    for row in rows:
        assert page(world.technician, f"{name}_change", row.pk).status_code == 200
    if model not in {User, Entry}:
        assert hidden
    for row in hidden[:5]:
        assert page(world.technician, f"{name}_change", row.pk).status_code in {302, 403, 404}
    text = listed.content.decode()
    for secret in ["South Clinic", "Okafor", "S-2026-0001", str(other_image.pk)]:
        assert secret not in text
    assert page(world.technician, f"{name}_changelist", q="a").status_code == 200


def test_groups_and_djangos_own_log_are_not_there(world: World) -> None:
    text = page(world.superuser, "index").content.decode()
    assert "Recent actions" not in text
    assert "Groups" not in text
    assert "Microscopes" in text


def test_patients_and_guardians_do_not_come_in(world: World) -> None:
    answer = page(world.guardian, "index")
    assert (answer.status_code, "/login" in answer["Location"]) == (302, True)


@pytest.mark.parametrize(
    ("who", "there"), [("device_manager", False), ("technician", True), ("superuser", True)]
)
def test_the_way_to_the_worklist_is_shown_to_its_readers(
    world: World, who: str, there: bool
) -> None:
    """To others it would lead in a circle."""
    assert ("To the worklist" in page(getattr(world, who), "index").content.decode()) is there


def test_lists_speak_in_words(world: World) -> None:
    """Classes and reasons by their names, never as codes."""
    world.reported()
    analyses_list = page(world.technician, "diagnostics_analysis_changelist").content.decode()
    reports_list = page(world.technician, "diagnostics_diagnosticreport_changelist")
    assert 'class="field-result">Pre-B ALL<' in analyses_list
    assert "Suggests Pre-B ALL" in reports_list.content.decode()


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        ("device_manager", {"Clinic", "Device", "ControlSlide"}),
        ("technician", {"Patient", "Specimen", "FieldImage", "Analysis", "DiagnosticReport"}),
        ("administrator", {"User", "Membership", "PortalAccess", "Entry", "Device", "Patient"}),
    ],
)
def test_the_index_shows_each_role_its_own(world: World, who: str, sees: set[str]) -> None:
    answer = page(getattr(world, who), "index")
    shown = {m["object_name"] for app in answer.context["app_list"] for m in app["models"]}
    assert sees <= shown
    if who == "device_manager":
        assert shown == sees
    else:
        assert ("Entry" in shown) == (who == "administrator")


@pytest.mark.parametrize(
    ("model", "action"),
    [
        ("patients_patient", "patient.read"),
        ("diagnostics_specimen", "specimen.read"),
        ("diagnostics_fieldimage", "image.read"),
        ("diagnostics_analysis", "analysis.read"),
        ("diagnostics_diagnosticreport", "report.read"),
    ],
)
def test_opening_what_tells_of_a_patient_is_noted(world: World, model: str, action: str) -> None:
    world.reported()
    row = page(world.technician, f"{model}_changelist").context["cl"].result_list[0]
    page(world.technician, f"{model}_change", row.pk)
    page(world.outsider, f"{model}_change", row.pk)
    entry = Entry.objects.get(action=action)
    assert (entry.actor_id, entry.subject_id) == (str(world.technician.pk), str(row.pk))
    assert (entry.patient_id, entry.clinic_id) == (world.patient.pk, world.clinic.pk)


def test_autocomplete_offers_only_the_own_clinics_patients(world: World) -> None:
    query = {"app_label": "diagnostics", "model_name": "specimen", "field_name": "patient"}
    answer = page(world.technician, "autocomplete", **query, term="")
    assert [row["id"] for row in answer.json()["results"]] == [str(world.patient.pk)]


# --- writing ----------------------------------------------------------------------------------

PERSON = {
    "mrn": "N-5",
    "family_name": "Silva",
    "given_names": "Rosa",
    "birth_date": "2015-06-01",
    "sex": "female",
    "language": "en",
}


def test_a_patient_registered_here_is_audited(world: World) -> None:
    answer = send(world.technician, "patients_patient_add", clinic=world.clinic.pk, **PERSON)
    assert answer.status_code == 200, errors(answer)
    patient = Patient.objects.get(mrn="N-5")
    assert Entry.objects.filter(action="patient.registered", patient_id=patient.pk).exists()


def test_a_patient_cannot_be_put_into_another_clinic(world: World) -> None:
    fields = {**PERSON, "clinic": world.other_clinic.pk}
    assert "clinic" in errors(send(world.technician, "patients_patient_add", **fields))
    send(
        world.technician,
        "patients_patient_change",
        world.patient.pk,
        **{**fields, "mrn": "N-1"},
    )
    world.patient.refresh_from_db()
    assert (world.patient.clinic, world.patient.family_name) == (world.clinic, "Silva")
    assert not Patient.objects.filter(mrn="N-5").exists()


def test_a_taken_record_number_is_said_beside_the_form(world: World) -> None:
    fields = {**PERSON, "mrn": "N-1", "clinic": world.clinic.pk}
    answer = send(world.technician, "patients_patient_add", **fields)
    assert "already exists" in errors(answer)


def test_a_taken_record_number_on_a_change_is_refused_and_said(world: World) -> None:
    send(world.technician, "patients_patient_add", clinic=world.clinic.pk, **PERSON)
    answer = send(
        world.technician, "patients_patient_change", world.patient.pk, **{**PERSON, "mrn": "N-5"}
    )
    assert "already exists" in answer.content.decode()
    world.patient.refresh_from_db()
    assert world.patient.mrn == "N-1"


def test_reading_roles_see_and_do_not_write(world: World) -> None:
    shown = page(world.haematologist, "patients_patient_change", world.patient.pk)
    assert shown.status_code == 200
    assert 'name="_save"' not in shown.content.decode()
    refused = send(world.haematologist, "patients_patient_change", world.patient.pk, **PERSON)
    assert refused.status_code == 403
    world.patient.refresh_from_db()
    assert world.patient.family_name == "Rahman"


def test_a_role_held_elsewhere_does_not_count_here(world: World) -> None:
    there = world.other_clinic
    grant_role(actor=SETUP, user=world.technician, clinic=there, role=Role.HAEMATOLOGIST)
    refused = send(world.technician, "patients_patient_change", world.other_patient.pk, **PERSON)
    assert refused.status_code == 403
    sample = {"collected_at_0": "2026-11-21", "collected_at_1": "08:00", "stain": "giemsa"}
    answer = send(
        world.technician,
        "diagnostics_specimen_add",
        accession="N-9",
        patient=world.other_patient.pk,
        **sample,
    )
    assert "patient" in errors(answer)
    answer = send(
        world.technician,
        "diagnostics_specimen_add",
        accession="N-9",
        patient=world.patient.pk,
        **sample,
    )
    assert Specimen.objects.get(accession="N-9").clinic == world.clinic, errors(answer)


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda m: m.__name__)
def test_nothing_is_deleted_but_memberships_and_rules(world: World, model: Any) -> None:
    request: Any = type("Request", (), {"user": world.superuser})()
    may = admin.site._registry[model].has_delete_permission(request)
    assert may == (model in {Membership, ReleaseRule, EscalationStep})


# --- microscopes ------------------------------------------------------------------------------


def test_a_key_is_shown_once_with_a_line_to_try_it(world: World) -> None:
    asked = page(world.device_manager, "devices_device_issue_key", world.device.pk)
    assert "shown once" in asked.content.decode()
    assert DeviceKey.objects.filter(device=world.device).count() == 1

    shown = send(world.device_manager, "devices_device_issue_key", world.device.pk)

    text = shown.content.decode()
    key = re.search(r"llk_[0-9a-f]+_[\w-]+", text)
    assert key is not None
    assert authenticate(key.group()).device == world.device
    assert f"Bearer {key.group()}" in text
    assert "no-store" in shown["Cache-Control"]
    later = page(world.device_manager, "devices_device_change", world.device.pk)
    assert key.group() not in later.content.decode()


def test_a_key_needs_the_csrf_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.device_manager)
    address = reverse("admin:devices_device_issue_key", args=[world.device.pk])
    assert client.post(address).status_code == 403
    assert DeviceKey.objects.filter(device=world.device).count() == 1


def test_revoking_asks_first(world: World) -> None:
    key = world.device.keys.get()
    name = "devices_device_revoke_key"
    assert page(world.device_manager, name, world.device.pk, key.pk).status_code == 200
    key.refresh_from_db()
    assert key.revoked_at is None
    send(world.device_manager, name, world.device.pk, key.pk)
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_a_microscope_without_a_key_is_not_activated(world: World) -> None:
    registry.change_state(actor=SETUP, device=world.device, to="retired")
    registry.reinstate(actor=SETUP, device=world.device, reason="repaired")
    answer = send(world.device_manager, "devices_device_state", world.device.pk, "active")
    assert "becomes active by its first key" in answer.content.decode()
    world.device.refresh_from_db()
    assert world.device.state == "pending"


def test_states_follow_their_table(world: World) -> None:
    for to in ["suspended", "active", "retired"]:
        send(world.device_manager, "devices_device_state", world.device.pk, to)
        world.device.refresh_from_db()
        assert world.device.state == to
    answer = send(world.device_manager, "devices_device_state", world.device.pk, "active")
    assert "cannot" in answer.content.decode()
    refused = send(world.device_manager, "devices_device_issue_key", world.device.pk)
    assert "retired" in refused.content.decode()
    world.device.refresh_from_db()
    assert world.device.state == "retired"
    assert DeviceKey.objects.filter(device=world.device).count() == 1


@pytest.mark.parametrize("who", ["technician", "haematologist", "outsider"])
def test_keys_and_states_are_not_for_everyone(world: World, who: str) -> None:
    user, device = getattr(world, who), world.device
    key = device.keys.get()
    for name, args in [
        ("devices_device_issue_key", [device.pk]),
        ("devices_device_revoke_key", [device.pk, key.pk]),
        ("devices_device_state", [device.pk, "retired"]),
    ]:
        assert send(user, name, *args).status_code == 403
    assert DeviceKey.objects.get(device=device).revoked_at is None
    assert Device.objects.get(pk=device.pk).state == "active"


def test_a_key_of_another_clinic_is_out_of_reach(world: World) -> None:
    key = world.other_device.keys.get()
    name = "devices_device_revoke_key"
    assert send(world.device_manager, name, world.other_device.pk, key.pk).status_code == 403
    assert send(world.device_manager, name, world.device.pk, key.pk).status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


# --- portal and analyses ----------------------------------------------------------------------


def test_portal_access_is_granted_to_a_new_account_and_revoked(world: World) -> None:
    answer = send(
        world.administrator,
        "patients_portalaccess_add",
        patient=world.patient.pk,
        relation="guardian",
        username="karim",
        full_name="Karim Rahman",
        password="three calm words",
    )
    access = PortalAccess.objects.filter(user__username="karim").first()
    assert access is not None, errors(answer)
    send(world.administrator, "patients_portalaccess_revoke", access.pk)
    access.refresh_from_db()
    assert access.revoked_at is not None


def test_a_wrong_invitation_is_said_and_opens_nothing(world: World) -> None:
    for changes in [{"username": "nobody"}, {"username": "stranger", "full_name": "X Y"}]:
        fields = {"patient": world.patient.pk, "relation": "guardian", **changes}
        answer = send(world.administrator, "patients_portalaccess_add", **fields)
        assert "errornote" in answer.content.decode() or 'class="error"' in answer.content.decode()
    assert PortalAccess.objects.filter(patient=world.patient).count() == 1


def test_failed_analyses_are_tried_again_from_the_list(world: World) -> None:
    analysis = world.claim(world.receive(1))
    analyses.fail(analysis, code="internal")
    chosen = {"action": "retry", "_selected_action": [analysis.pk]}
    send(world.administrator, "diagnostics_analysis_changelist", **chosen)
    assert Analysis.objects.get().state == "failed"
    answer = send(world.technician, "diagnostics_analysis_changelist", **chosen)
    assert "1 queued again" in answer.content.decode()
    assert Analysis.objects.get().state == "queued"


def test_the_history_button_leads_into_the_audit_trail(world: World) -> None:
    answer = signed_in(world.administrator).get(
        reverse("admin:patients_patient_history", args=[world.patient.pk]), follow=True
    )
    assert answer.status_code == 200
    shown = {entry.subject_id for entry in answer.context["cl"].result_list}
    assert shown == {str(world.patient.pk)}
    assert page(world.technician, "patients_patient_history", world.patient.pk).status_code == 403
