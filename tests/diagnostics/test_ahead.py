"""Promises of fetching ahead: the next case's pictures are at hand, and nobody has looked yet."""

from typing import Any

import pytest
from django.urls import reverse

from diagnostics.models import DiagnosticReport, FieldSeen
from diagnostics.turnaround import clock_of
from hospital.audit.models import Entry
from tests.diagnostics.test_looking import three_cases
from tests.diagnostics.test_pages import client_of

AHEAD = {"HTTP_X_PURPOSE": "ahead"}


def deeds(report: DiagnosticReport) -> set[str]:
    about = Entry.objects.filter(subject_id=str(report.pk), actor_kind="user")
    return set(about.values_list("action", flat=True))


@pytest.fixture
def two(world: Any) -> list[DiagnosticReport]:
    """Two cases that follow each other on the list."""
    return three_cases(world)[:2]


def fetched_ahead(world: Any, report: DiagnosticReport) -> list[str]:
    """As the browser does it while `report` is on show: the addresses, each fetched."""
    client = client_of(world.haematologist)
    address = reverse("next-case-ahead", args=[report.pk])
    pictures: list[str] = client.get(address, follow=True, **AHEAD).json()["pictures"]
    for picture in pictures:
        client.get(picture, **AHEAD)
    return pictures


def test_the_pictures_of_the_next_case_are_fetched_and_no_name_with_them(
    world: Any, two: list[DiagnosticReport]
) -> None:
    image = two[1].specimen.images.get()
    assert fetched_ahead(world, two[0]) == [
        reverse("picture", args=[image.pk, "original"]),
        reverse("picture-cells", args=[image.pk]),
        reverse("picture", args=[image.pk, "thumbnail"]),
    ]


def test_fetched_ahead_is_not_read(world: Any, two: list[DiagnosticReport]) -> None:
    """Not opened on the clock, not seen, not a look at the record; the trail says what it was."""
    fetched_ahead(world, two[0])
    assert deeds(two[1]) == {"report.fetched_ahead"}
    assert not FieldSeen.objects.filter(image__specimen=two[1].specimen_id).exists()
    assert clock_of(two[1]).opened is None


def test_opened_it_is_read_even_from_the_browsers_memory(
    world: Any, two: list[DiagnosticReport]
) -> None:
    fetched_ahead(world, two[0])
    client_of(world.haematologist).get(reverse("case", args=[two[1].pk]))
    assert deeds(two[1]) == {"report.fetched_ahead", "report.read"}
    assert clock_of(two[1]).opened is not None


def test_after_the_last_case_there_is_nothing_to_fetch(world: Any) -> None:
    last = three_cases(world)[-1]
    client = client_of(world.haematologist)
    assert client.get(reverse("next-case-ahead", args=[last.pk])).status_code == 404


def test_nothing_of_another_clinic_is_fetched(world: Any, two: list[DiagnosticReport]) -> None:
    client = client_of(world.outsider)
    for route in ("case-ahead", "next-case-ahead"):
        assert client.get(reverse(route, args=[two[1].pk]), **AHEAD).status_code == 404
