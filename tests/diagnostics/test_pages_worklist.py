"""Promises of the worklist: complete, in an order that helps, and only one clinic's."""

import re
from typing import Any

import pytest
from django.urls import reverse

from devices.services.registry import register_device
from diagnostics.models import DiagnosticReport, FieldImage, Outcome, Specimen
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role
from tests.diagnostics.test_pages import client_of, listed
from tests.world import BENIGN, SETUP, SURE, UNSURE, add_specimen, look_and_sign


def test_what_is_signed_moves_to_its_own_tab(world: Any, report: DiagnosticReport) -> None:
    assert "N-2026-0001" in listed(world)
    assert "N-2026-0001" not in listed(world, show="signed")
    look_and_sign(world.haematologist, report)
    # The row: the call-back above the list still names it.
    row = f"row-{report.pk}"
    assert row not in listed(world)
    assert row in listed(world, show="signed")
    assert "N-2026-0001" in listed(world, show="all")


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("N-2026", True),
        ("N-1", True),
        ("rahm", True),
        ("amina rahman", True),
        ("amina okafor", False),
        ("%", False),
    ],
)
def test_search(world: Any, report: DiagnosticReport, words: str, there: bool) -> None:
    """By accession, record number or name; every word must fit somewhere."""
    assert ("N-2026-0001" in listed(world, q=words)) is there


def test_the_model_is_never_a_headline_figure(world: Any, report: DiagnosticReport) -> None:
    page = listed(world)
    assert "Suggests Pre-B ALL" in page
    assert not re.search(r"\d ?%(?!\")", page)


def test_a_list_is_cut_into_pages(world: Any, monkeypatch: Any) -> None:
    """Every report is on exactly one page, what needs attention on the first."""
    from diagnostics.pages import listing

    monkeypatch.setattr(listing, "PAGE", 2)
    for number in range(5):
        specimen = add_specimen(world.patient, f"N-PAGE-{number}")
        image = world.receive(seed=number, specimen=specimen)
        world.succeed(image, UNSURE if number == 0 else BENIGN)
    seen: list[str] = []
    query: dict[str, str] = {}
    while True:
        page = listed(world, **query)
        seen += re.findall(r">(N-PAGE-\d)<", page)
        older = re.search(r"after=([^\"]+)\"", page)
        if not older:
            break
        from urllib.parse import unquote

        query = {"after": unquote(older.group(1))}
    assert seen == ["N-PAGE-0", "N-PAGE-4", "N-PAGE-3", "N-PAGE-2", "N-PAGE-1"]


def test_a_longer_list_asks_the_database_no_more_often(world: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    asked = []
    for number in range(2):
        specimen = add_specimen(world.patient, f"N-LONG-{number}")
        for seed in range(3):
            world.succeed(world.receive(seed=10 * number + seed, specimen=specimen), SURE)
        client = client_of(world.technician)
        client.get(reverse("worklist-live"))  # whoever is new on the list is noted once
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(reverse("worklist-live"))
        asked.append(len(queries))
    assert asked[0] == asked[1]


def test_an_address_made_up_by_hand_does_no_harm(world: Any, report: DiagnosticReport) -> None:
    for query in [{"show": "x"}, {"after": "1_x_y"}, {"clinic": "south"}, {"after": "9_2026_1"}]:
        assert client_of(world.technician).get(reverse("worklist"), query).status_code == 200


def test_what_is_spoilt_comes_last_and_new_pictures_move_a_report_up(world: Any) -> None:
    """A malignant pattern, then what the model doubts; newest activity on top in each group."""

    def send(accession: str, seed: int, **result: Any) -> None:
        specimen = Specimen.objects.filter(accession=accession).first()
        specimen = specimen or add_specimen(world.patient, accession)
        world.succeed(world.receive(seed, specimen=specimen), **result)

    send("N-MALIGNANT", 1, probabilities=SURE)
    send("N-BENIGN", 2, probabilities=BENIGN)
    send("N-ODD", 3, outcome=Outcome.UNFAMILIAR)
    send("N-SPOILT", 4, outcome=Outcome.UNUSABLE, rejection="out_of_focus")
    world.receive(5, specimen=add_specimen(world.patient, "N-WAITS"))

    def order() -> list[str]:
        return re.findall(r">(N-[A-Z]+)</a>", listed(world))

    assert order() == ["N-MALIGNANT", "N-ODD", "N-WAITS", "N-BENIGN", "N-SPOILT"]
    send("N-BENIGN", 6, probabilities=BENIGN)
    assert order()[2:4] == ["N-BENIGN", "N-WAITS"]


def test_an_unfamiliar_picture_is_not_called_unusable(world: Any) -> None:
    world.succeed(world.receive(), outcome=Outcome.UNFAMILIAR)
    page = listed(world)
    assert "needs a reader" in page
    assert "1 without a class" in page
    assert "No usable picture" not in page


def test_microscopes_of_one_name_stand_apart(world: Any) -> None:
    """Each with its clinic for those who work in several; without for the others."""
    twin = register_device(
        actor=SETUP,
        clinic=world.other_clinic,
        name=world.device.name,
        make="Optika",
        model="W1",
        serial="SN-3",
    )
    world.receive(1)
    world.receive(2, specimen=world.other_specimen)
    FieldImage.objects.filter(specimen=world.other_specimen).update(device=twin)

    def chips() -> str:
        return listed(world).partition('id="microscopes"')[2]

    assert chips().count(world.device.name) == 1
    assert "North Clinic" not in chips()
    grant_role(actor=SETUP, user=world.technician, clinic=world.other_clinic, role=Role.TECHNICIAN)
    assert chips().count(world.device.name) == 2
    assert "North Clinic" in chips()
    assert "South Clinic" in chips()
