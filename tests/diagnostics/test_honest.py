"""The model's word is shown as what it is: in words and bars, with its doubt, and no diagnosis."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from diagnostics.models import DiagnosticReport, Outcome
from tests.pdf import Pdf
from tests.world import SURE, UNSURE, World

pytestmark = pytest.mark.django_db

DISCLAIMER = "Computer-aided. Assists a qualified reader; not a diagnosis."
PER_CENT = re.compile(r"\d\s?%|0\.\d\d")
TAGS = re.compile(r"<[^>]+>")


def words(html: str) -> str:
    """What stands on a page, in one line."""
    return " ".join(TAGS.sub(" ", html).split())


def shown(user: Any, address: str) -> Any:
    client = Client()
    client.force_login(user)
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer


def pages_of(report: DiagnosticReport) -> list[str]:
    """Every whole page on which staff see something of the model's."""
    return [
        reverse("worklist"),
        reverse("case", args=[report.pk]),
        reverse("concordance"),
        reverse("dashboard"),
        reverse("packages"),
        reverse("admin:diagnostics_diagnosticreport_changelist"),
        reverse("admin:diagnostics_diagnosticreport_change", args=[report.pk]),
        reverse("admin:diagnostics_analysis_changelist"),
    ]


def answers_of(report: DiagnosticReport) -> list[str]:
    """Every answer to programs that says what the model says."""
    image = report.specimen.images.get()
    return [
        reverse("api:report-list"),
        reverse("api:report-detail", args=[report.pk]),
        reverse("picture-cells", args=[image.pk]),
    ]


def test_every_page_says_what_the_computer_is_there_for(world: World) -> None:
    report = world.reported()
    for address in pages_of(report):
        assert DISCLAIMER in words(shown(world.superuser, address).content.decode()), address


def test_so_does_every_answer_to_a_program(world: World) -> None:
    report = world.reported()
    world.outline(report.specimen.images.get().analyses.get())
    for address in answers_of(report):
        assert DISCLAIMER in json.dumps(shown(world.superuser, address).json()), address


def test_so_does_the_paper(world: World) -> None:
    report = world.reported()
    answer = shown(world.superuser, reverse("case-pdf", args=[report.pk]))
    assert Pdf(answer.content).says("Assists a qualified reader")


def test_a_probability_stands_beside_its_bar_and_nowhere_else(world: World) -> None:
    """Not in a heading, not beside the impression, not on the worklist."""
    report = world.reported(SURE)
    case = shown(world.technician, reverse("case", args=[report.pk])).content.decode()
    tables = re.findall(r'<table class="bars">.*?</table>', case, re.DOTALL)
    assert len(tables) == 2
    assert all("95 %" in words(table) for table in tables)
    rest = re.sub(r'<table class="bars">.*?</table>', "", case, flags=re.DOTALL)
    assert not PER_CENT.search(words(rest)), words(rest)
    row = re.search(r'<tr role="row" id="row-.*?</tr>', _worklist(world), re.DOTALL)
    assert row
    assert not PER_CENT.search(words(row.group()))


@pytest.mark.parametrize(
    ("probabilities", "outcome", "says"),
    [
        (SURE, Outcome.CLASSIFIED, "Suggests Pre-B ALL"),
        (UNSURE, Outcome.CLASSIFIED, "Uncertain, nearest to Early Pre-B ALL"),
        (SURE, Outcome.UNFAMILIAR, "Unlike what the model knows: needs a reader"),
    ],
)
def test_where_the_model_is_not_sure_it_says_so_first(
    world: World, probabilities: Any, outcome: str, says: str
) -> None:
    world.succeed(world.receive(1), probabilities, outcome=outcome)
    report = DiagnosticReport.objects.get()
    case = shown(world.technician, reverse("case", args=[report.pk])).content.decode()
    assert says in words(case)
    assert says in words(_worklist(world))


def _worklist(world: World) -> str:
    return str(shown(world.technician, reverse("worklist")).content.decode())
