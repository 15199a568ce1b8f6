"""Promise: whoever reads of patients leaves a trace."""

from typing import Any

import pytest
from django.test import Client

from hospital.audit import sealing
from hospital.audit.models import Entry, Seal
from tests.world import World


def listed(user: Any) -> list[tuple[str, list[str]]]:
    rows = Entry.objects.filter(actor_id=str(user.pk), action__endswith=".listed").order_by("pk")
    return [(row.action, row.detail["patients"]) for row in rows]


@pytest.mark.parametrize(
    ("who", "address", "action"),
    [
        ("technician", "/worklist/?show=all", "worklist.listed"),
        ("technician", "/worklist/live/?show=all", "worklist.listed"),
        ("technician", "/worklist/?show=all&q=Rahman", "worklist.listed"),
        ("technician", "/api/v1/patients/", "patient.listed"),
        ("technician", "/api/v1/patients/?search=rahman", "patient.listed"),
        ("technician", "/api/v1/specimens/", "specimen.listed"),
        ("technician", "/api/v1/reports/", "report.listed"),
        ("administrator", "/api/v1/portal-access/", "portal_access.listed"),
        ("technician", "/admin/patients/patient/", "patient.listed"),
        ("technician", "/admin/patients/patient/?q=rahman", "patient.listed"),
        ("technician", "/admin/diagnostics/specimen/", "specimen.listed"),
        ("technician", "/admin/diagnostics/fieldimage/", "image.listed"),
        ("technician", "/admin/diagnostics/analysis/", "analysis.listed"),
        ("technician", "/admin/diagnostics/diagnosticreport/", "report.listed"),
        ("administrator", "/admin/patients/invitation/", "invitation.listed"),
        ("administrator", "/admin/patients/portalaccess/", "portal_access.listed"),
        (
            "administrator",
            "/admin/autocomplete/?app_label=diagnostics&model_name=specimen&field_name=patient"
            "&term=rahman",
            "patient.listed",
        ),
    ],
)
def test_whoever_sees_a_list_of_patients_is_noted_with_whom_they_saw(
    world: World, client: Client, who: str, address: str, action: str
) -> None:
    world.reported()
    user = getattr(world, who)
    client.force_login(user)
    assert client.get(address).status_code == 200
    assert listed(user) == [(action, [str(world.patient.pk)])]


def test_a_list_that_refreshes_itself_is_noted_once_and_newcomers_by_themselves(
    world: World, client: Client
) -> None:
    from tests.world import add_patient, add_specimen

    world.reported()
    client.force_login(world.technician)
    for _ in range(5):
        client.get("/worklist/live/?show=all")
    assert len(listed(world.technician)) == 1
    another = add_patient(world.clinic, "N-2", "Sen", "Mira")
    world.receive(seed=5, specimen=add_specimen(another, "N-2026-0002"))
    client.get("/worklist/live/?show=all")
    assert listed(world.technician)[1:] == [("worklist.listed", [str(another.pk)])]


def test_an_empty_list_leaves_no_trace(world: World, client: Client) -> None:
    client.force_login(world.technician)
    client.get("/api/v1/patients/?search=nobody")
    assert not listed(world.technician)


def test_whoever_reads_one_specimen_over_the_api_is_noted(world: World, client: Client) -> None:
    client.force_login(world.technician)
    client.get(f"/api/v1/specimens/{world.specimen.pk}/")
    assert Entry.objects.filter(action="specimen.read", patient_id=world.patient.pk).exists()


def test_an_administrator_sees_in_the_trail_whether_an_entry_is_sealed(
    world: World, client: Client
) -> None:
    client.force_login(world.administrator)
    entry = Entry.objects.filter(clinic_id=world.clinic.pk).first()
    assert entry is not None
    page = client.get(f"/admin/audit/entry/{entry.pk}/change/").content.decode()
    assert "Not sealed yet" in page
    sealing.seal()
    page = client.get(f"/admin/audit/entry/{entry.pk}/change/").content.decode()
    assert Seal.objects.get(pk=entry.pk).digest in page
