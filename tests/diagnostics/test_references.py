"""Promises of reference cells: of signed cases of one's own clinics, other patients', unnamed."""

from typing import Any

import pytest
from django.urls import reverse

from diagnostics import alike
from diagnostics.models import Analysis, DiagnosticReport, ReferenceField
from diagnostics.services import references
from hospital.audit.models import Entry
from tests.diagnostics.test_pages import client_of
from tests.world import BENIGN, SURE, add_patient, add_specimen, look_and_sign


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "ENOUGH", 3)


def signed(world: Any, number: int, conclusion: str = "pre_b", *, patient: Any = None) -> Any:
    """The reference field of a newly signed case of a patient of their own."""
    patient = patient or add_patient(world.clinic, f"N-R{number}", "Keita", "Moussa")
    specimen = add_specimen(patient, f"N-REF-{number}")
    shares = SURE if conclusion == "pre_b" else BENIGN
    world.outline(world.succeed(world.receive(40 + number, specimen=specimen), shares), cells=5)
    report = DiagnosticReport.objects.get(specimen=specimen)
    look_and_sign(world.haematologist, report, conclusion)
    references.collect()
    return ReferenceField.objects.get(report=report)


@pytest.fixture
def run(world: Any) -> Analysis:
    """An unsigned case's analysis, to compare cells of."""
    done = world.succeed(world.receive(1))
    world.outline(done, cells=4)
    return Analysis.objects.select_related("image__specimen").get(pk=done.pk)


def asked(world: Any, run: Analysis, who: str = "technician") -> Any:
    address = reverse("picture-alike", args=[run.image_id, 0])
    return client_of(getattr(world, who)).get(address)


def test_the_most_alike_cells_of_signed_cases_are_shown_one_of_each(
    world: Any, run: Analysis
) -> None:
    for number, conclusion in enumerate(["pre_b", "benign", "pre_b"]):
        signed(world, number, conclusion)
    found = asked(world, run).json()["alike"]
    assert sorted(one["conclusion"] for one in found) == [
        "Benign (haematogones)",
        "Pre-B ALL",
        "Pre-B ALL",
    ]
    picture = client_of(world.technician).get(found[0]["picture"])
    assert (picture.status_code, picture["Content-Type"]) == (200, "image/jpeg")


def test_nothing_on_them_says_whose_they_are(world: Any, run: Analysis) -> None:
    one = signed(world, 1)
    answer = asked(world, run)
    picture = client_of(world.technician).get(answer.json()["alike"][0]["picture"])
    for word in ("Keita", "N-R1", "N-REF-1", str(one.report_id), str(one.report.specimen_id)):
        assert word not in answer.content.decode()
        assert word not in str(picture.headers)


def test_the_patients_own_other_cases_are_no_reference(world: Any, run: Analysis) -> None:
    signed(world, 1, patient=world.patient)
    assert asked(world, run).json()["alike"] == []


def test_another_clinics_cells_are_neither_found_nor_shown(world: Any, run: Analysis) -> None:
    one = signed(world, 1)
    other = world.succeed(world.receive(90, specimen=world.other_specimen))
    world.outline(other, cells=4)
    assert asked(world, other, who="outsider").json()["alike"] == []
    stolen = reverse("reference-cell", args=[one.pk, 0])
    assert client_of(world.outsider).get(stolen).status_code == 404


def test_a_case_that_was_withdrawn_is_a_reference_no_more(world: Any, run: Analysis) -> None:
    one = signed(world, 1)
    DiagnosticReport.objects.filter(pk=one.report_id).update(status="entered-in-error")
    assert asked(world, run).json()["alike"] == []
    picture = reverse("reference-cell", args=[one.pk, 0])
    assert client_of(world.technician).get(picture).status_code == 404


def test_too_few_signed_cells_are_not_compared_with(
    world: Any, run: Analysis, monkeypatch: Any
) -> None:
    signed(world, 1)
    monkeypatch.setattr(alike, "ENOUGH", 6)
    assert asked(world, run).json()["alike"] == []


def test_who_compared_which_cells_is_noted(world: Any, run: Analysis) -> None:
    one = signed(world, 1)
    asked(world, run)
    noted = Entry.objects.get(action="cell.compared")
    assert noted.detail == {"cell": 0, "reports": [str(one.report_id)]}
    assert (noted.actor_id, noted.patient_id) == (str(world.technician.pk), world.patient.pk)


def test_a_cell_that_is_not_there_is_not_compared(world: Any, run: Analysis) -> None:
    signed(world, 1)
    address = reverse("picture-alike", args=[run.image_id, 99])
    assert client_of(world.technician).get(address).status_code == 404


def test_collecting_twice_adds_nothing_and_few_are_kept(world: Any, monkeypatch: Any) -> None:
    """The newest of each conclusion; those let go do not come back."""
    monkeypatch.setattr(references, "KEEP", 2)
    kept = [signed(world, number) for number in range(3)]
    rare = signed(world, 3, "benign")
    assert references.collect() == 0
    left = set(ReferenceField.objects.values_list("pk", flat=True))
    assert left == {kept[1].pk, kept[2].pk, rare.pk}


def test_a_signed_case_without_cells_is_not_tried_for_ever(world: Any, run: Analysis) -> None:
    specimen = add_specimen(add_patient(world.clinic, "N-R9", "Keita", "Ana"), "N-REF-9")
    world.succeed(world.receive(70, specimen=specimen))
    report = DiagnosticReport.objects.get(specimen=specimen)
    look_and_sign(world.haematologist, report)
    assert references.collect() == 1
    assert references.collect() == 0
    assert asked(world, run).json()["alike"] == []
