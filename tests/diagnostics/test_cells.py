"""The cells of a field, measured when somebody first looks."""

import uuid
from typing import Any

from django.urls import reverse

from diagnostics.models import DiagnosticReport, FoundCells
from hospital.base import files
from tests.diagnostics.test_pages import client_of


def cells(world: Any, image: Any) -> Any:
    return client_of(world.technician).get(reverse("picture-cells", args=[image.pk]))


def test_each_cell_has_its_outline_and_its_measures(world: Any) -> None:
    image = world.receive(3)
    run = world.succeed(image)
    world.outline(run, cells=2)
    found = cells(world, image).json()
    assert (found["width"], found["height"], len(found["cells"])) == (224, 224, 2)
    first = found["cells"][0]
    assert first["outline"][:4] == [30, 21, 36, 24]
    assert 16 < first["diameter"] < 19
    assert first["roundness"] > 0.8
    assert first["density"] >= 0


def test_they_are_measured_once(world: Any) -> None:
    image = world.receive(3)
    run = world.succeed(image)
    world.outline(run)
    first = cells(world, image).json()
    FoundCells.objects.update(outlines=b"rotten")
    assert cells(world, image).json() == first
    assert files.read(f"derived/{run.pk}/cells.json")


def test_without_outlines_or_with_rotten_ones_there_are_none(world: Any) -> None:
    image = world.receive(3)
    assert cells(world, image).status_code == 404
    run = world.succeed(image)
    assert cells(world, image).status_code == 404
    FoundCells.objects.create(analysis=run, outlines=b"rotten")
    assert cells(world, image).status_code == 404


def test_a_field_of_another_case_is_not_shown_as_one_of_this(world: Any) -> None:
    report = world.reported()
    elsewhere = world.receive(9, specimen=world.other_specimen)
    client = client_of(world.technician)
    for image in [elsewhere.pk, uuid.uuid4()]:
        assert client.get(reverse("case-field", args=[report.pk, image])).status_code == 404


def test_a_page_with_no_picture_yet_stands(world: Any) -> None:
    image = world.receive(1)
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    image.analyses.all().delete()
    image.delete()
    page = client_of(world.technician).get(reverse("case", args=[report.pk]))
    assert "No pictures yet" in page.content.decode()
