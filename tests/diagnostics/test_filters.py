"""Promises of the worklist's tabs and filters: each finds its own, together they narrow."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from diagnostics.models import DiagnosticReport, Outcome, Specimen
from diagnostics.pages import listing
from diagnostics.services import analyses, reports
from tests.diagnostics.test_listing import walked
from tests.diagnostics.test_pages import client_of
from tests.world import BENIGN, SURE, UNSURE, add_specimen, look_and_sign

DOUBTFUL_MALIGNANT = {"benign": 0.20, "early_pre_b": 0.20, "pre_b": 0.55, "pro_b": 0.05}


@pytest.fixture
def morning(world: Any) -> Any:
    """A report of every kind, the accession says which."""
    of = {name: add_specimen(world.patient, name) for name in ("MAL", "UNS", "ODD", "BEN", "FAIL")}
    world.succeed(world.receive(1, specimen=of["MAL"]), SURE)
    world.succeed(world.receive(2, specimen=of["UNS"]), UNSURE)
    world.succeed(world.receive(3, specimen=of["ODD"]), outcome=Outcome.UNFAMILIAR)
    world.succeed(world.receive(4, specimen=of["BEN"]), BENIGN)
    analyses.fail(world.claim(world.receive(5, specimen=of["FAIL"])), code="internal")
    return world


def found(world: Any, **choice: str) -> set[str]:
    return set(walked([world.clinic.pk], **choice))


def sign(world: Any, accession: str) -> None:
    report = DiagnosticReport.objects.get(specimen__accession=accession)
    look_and_sign(world.haematologist, report, "benign")


def age(accession: str, **ago: int) -> None:
    rows = DiagnosticReport.objects.filter(specimen__accession=accession)
    rows.update(last_picture=timezone.now() - timedelta(**ago))


def test_malignant_patterns_come_first_then_the_doubtful_then_the_rest(morning: Any) -> None:
    """Whatever came later: urgency and the model's uncertainty go before the clock."""
    order = walked([morning.clinic.pk])
    assert order[0] == "MAL"
    assert set(order[1:4]) == {"UNS", "ODD", "FAIL"}
    assert order[4] == "BEN"


def test_a_malignant_pattern_that_the_model_doubts_is_not_called_critical(world: Any) -> None:
    world.reported(DOUBTFUL_MALIGNANT)
    assert found(world, show="critical") == set()
    assert found(world, reading="uncertain") == {"N-2026-0001"}


def test_each_tab_holds_its_own(morning: Any) -> None:
    assert found(morning, show="critical") == {"MAL"}
    assert found(morning, show="failed") == {"FAIL"}
    assert found(morning, show="review") == {"MAL", "UNS", "ODD", "BEN", "FAIL"}
    sign(morning, "MAL")
    assert found(morning, show="critical") == set()
    assert found(morning, show="signed") == {"MAL"}
    page = client_of(morning.technician).get(reverse("worklist"))
    counts = {tab["name"]: tab["count"] for tab in page.context["tabs"]}
    assert counts == {
        "Needs review": 4,
        "Critical": 0,
        "Held": 0,
        "Failed": 1,
        "Signed": 1,
        "All": 5,
    }


def test_a_failure_that_was_tried_again_leaves_its_tab(morning: Any) -> None:
    failed = Specimen.objects.get(accession="FAIL").images.get().analyses.get()
    analyses.retry(user=morning.technician, analysis=failed)
    assert found(morning, show="failed") == set()


@pytest.mark.parametrize(
    ("reading", "there"),
    [
        ("pre_b", {"MAL"}),
        ("benign", {"BEN"}),
        ("uncertain", {"UNS"}),
        ("unfamiliar", {"ODD"}),
        ("pro_b", set()),
    ],
)
@pytest.mark.parametrize("show", ["review", "all"])
def test_by_what_the_model_reads(morning: Any, show: str, reading: str, there: set[str]) -> None:
    assert found(morning, show=show, reading=reading) == there


def test_by_urgency(morning: Any) -> None:
    assert found(morning, urgency="3") == {"MAL"}
    assert found(morning, urgency="2") == {"UNS", "ODD", "FAIL"}
    assert found(morning, urgency="1", show="all") == {"BEN"}
    assert found(morning, urgency="2", show="signed") == set()


def test_by_the_microscope_of_the_newest_picture(morning: Any) -> None:
    here = str(morning.device.pk)
    assert len(found(morning, microscope=here)) == 5
    assert found(morning, microscope=str(morning.other_device.pk)) == set()
    report = DiagnosticReport.objects.get(specimen__accession="MAL")
    assert report.microscope == morning.device


def test_by_who_read_it(morning: Any) -> None:
    """Whoever signed it, or verified what nobody has signed."""
    report = DiagnosticReport.objects.get(specimen__accession="UNS")
    reports.verify(user=morning.technician, report=report, version=report.version)
    sign(morning, "BEN")
    assert found(morning, show="all", reader=str(morning.technician.pk)) == {"UNS"}
    assert found(morning, show="all", reader=str(morning.haematologist.pk)) == {"BEN"}
    assert found(morning, show="review", reader=str(morning.haematologist.pk)) == set()


def test_by_age(morning: Any) -> None:
    age("MAL", days=2)
    age("ODD", days=40)
    assert found(morning, age="day") == {"UNS", "BEN", "FAIL"}
    assert found(morning, age="week") == {"UNS", "BEN", "FAIL", "MAL"}
    assert found(morning, age="over-day") == {"MAL", "ODD"}
    assert found(morning, age="over-month", show="all") == {"ODD"}
    assert walked([morning.clinic.pk], age="over-day") == ["MAL", "ODD"]


def test_filters_narrow_each_other_and_a_search(morning: Any, monkeypatch: Any) -> None:
    """What no index finds together is looked for a stretch at a time, and found in the end."""
    monkeypatch.setattr(listing, "STRETCH", 2)
    here = str(morning.device.pk)
    assert found(morning, microscope=here, reading="benign") == {"BEN"}
    assert found(morning, microscope=here, reading="benign", age="over-day") == set()
    assert found(morning, microscope=here, urgency="2", q="rahman") == {"UNS", "ODD", "FAIL"}
    assert found(morning, reading="pre_b", q="MAL") == {"MAL"}
    assert found(morning, reading="benign", q="MAL") == set()
    assert found(morning, show="failed", reading="benign", microscope=here) == set()


def test_the_page_offers_the_filters_and_keeps_them(morning: Any) -> None:
    client = client_of(morning.technician)
    page = client.get(reverse("worklist"), {"reading": "uncertain", "age": "week"})
    text = page.content.decode()
    assert [filter["chosen"] for filter in page.context["filters"]] == [
        "uncertain",
        "",
        "",
        "",
        "week",
    ]
    assert "Hana Sato" in text and "Olga Petrova" not in text
    assert "?show=review&amp;reading=uncertain&amp;age=week" in text  # the tabs keep them
    strange = {"reading": "x", "urgency": "9", "microscope": "me", "reader": "'", "age": "old"}
    assert len(client.get(reverse("worklist"), strange).context["rows"]) == 5


def test_filters_cost_no_more_questions(morning: Any) -> None:
    client = client_of(morning.technician)
    for choice, most in [
        ({}, 10),
        ({"reading": "benign"}, 10),
        ({"show": "all", "age": "week"}, 10),
        # What has to be looked for asks one more: where the stretch that was searched ends.
        ({"reading": "benign", "microscope": str(morning.device.pk)}, 11),
        ({"reading": "benign", "q": "rahman"}, 11),
    ]:
        client.get(reverse("worklist"), choice)  # whoever is new on the list is noted once
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("worklist"), choice)
        assert len(queries) <= most, choice
