"""Cells that readers name, fields they have seen, and what the case page costs."""

import uuid
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from diagnostics.models import Analysis, CellCall, DiagnosticReport, FieldImage, FieldSeen
from diagnostics.pages import listing
from diagnostics.services import looking
from hospital.audit.models import Entry
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.live.models import Event
from tests.diagnostics.test_pages import client_of
from tests.world import UNSURE, add_specimen, look_and_sign


@pytest.fixture
def run(world: Any) -> Analysis:
    """An analysis that found seven cells."""
    done = world.succeed(world.receive(1))
    world.outline(done, cells=7)
    return done


def call(world: Any, run: Analysis, cell: int, label: str, who: str = "technician") -> Any:
    """By the page's own address."""
    return client_of(getattr(world, who)).post(
        reverse("picture-call", args=[run.image_id]),
        {"analysis": run.pk, "cell": cell, "label": label},
    )


def calls(world: Any, run: Analysis) -> list[Any]:
    found = client_of(world.technician).get(reverse("picture-cells", args=[run.image_id])).json()
    return [(one["cell"], one["label"], one["by"]) for one in found["calls"]]


# --- naming cells ---------------------------------------------------------------------------------


def test_the_latest_call_on_a_cell_counts_and_all_are_kept(world: Any, run: Analysis) -> None:
    assert call(world, run, 2, "pre_b").status_code == 201
    assert call(world, run, 2, "artefact", who="haematologist").status_code == 201
    assert calls(world, run) == [(2, "artefact", "Hana Sato")]
    assert CellCall.objects.count() == 2


def test_a_call_taken_back_lets_the_one_before_count_again(world: Any, run: Analysis) -> None:
    call(world, run, 2, "pre_b")
    second = call(world, run, 2, "benign", who="haematologist").json()
    undo = reverse("call-undo", args=[second["id"]])
    assert client_of(world.technician).post(undo).status_code == 403
    answer = client_of(world.haematologist).post(undo)
    assert answer.json()["call"]["label"] == "pre_b"
    assert calls(world, run) == [(2, "pre_b", "Tara Lindt")]
    again = client_of(world.haematologist).post(undo)
    assert (again.status_code, again.json()["code"]) == (409, "undone_already")


@pytest.mark.parametrize(
    ("cell", "label", "code"),
    [(7, "pre_b", "cell_unknown"), (-1, "pre_b", "cell_unknown"), (1, "lymphoma", "label_unknown")],
)
def test_what_makes_no_sense_is_refused(
    world: Any, run: Analysis, cell: int, label: str, code: str
) -> None:
    answer = call(world, run, cell, label)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not CellCall.objects.exists()


def test_an_analysis_that_was_replaced_meanwhile_takes_no_call(world: Any, run: Analysis) -> None:
    """The outlines on the reader's screen are not those of the present analysis."""
    answer = client_of(world.technician).post(
        reverse("picture-call", args=[run.image_id]),
        {"analysis": uuid.uuid4(), "cell": 1, "label": "pre_b"},
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "analysis_stale")


def test_a_signed_report_keeps_its_cells_as_they_were(world: Any, run: Analysis) -> None:
    made = looking.call_cell(user=world.haematologist, analysis=run, cell=0, label="pre_b")
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    look_and_sign(world.haematologist, report)
    with pytest.raises(Conflict, match="stay as they were"):
        looking.call_cell(user=world.haematologist, analysis=run, cell=1, label="benign")
    with pytest.raises(Conflict):
        looking.undo_call(user=world.haematologist, call=made)
    assert calls(world, run) == [(0, "pre_b", "Hana Sato")]


@pytest.mark.parametrize("who", ["administrator", "device_manager", "outsider", "guardian"])
def test_only_readers_of_the_clinic_name_cells(world: Any, run: Analysis, who: str) -> None:
    with pytest.raises(Forbidden):
        looking.call_cell(user=getattr(world, who), analysis=run, cell=0, label="pre_b")


def test_a_call_leaves_its_trace_and_tells_the_other_screens(world: Any, run: Analysis) -> None:
    made = looking.call_cell(user=world.technician, analysis=run, cell=3, label="other")
    looking.undo_call(user=world.technician, call=made)
    said = list(
        Entry.objects.filter(subject_id=run.pk, actor_id=world.technician.pk).order_by("pk")
    )
    assert [one.action for one in said] == ["cell.called", "cell.call_undone"]
    assert said[0].detail == {"cell": 3, "label": "other"}
    told = Event.objects.filter(kind="report.looked_at")
    assert [event.topic for event in told] == [f"clinic.{world.clinic.pk}"] * 2


def test_a_refusal_leaves_no_trace(world: Any, run: Analysis) -> None:
    with pytest.raises(Refusal):
        looking.call_cell(user=world.technician, analysis=run, cell=99, label="other")
    assert not Entry.objects.filter(action="cell.called").exists()


def test_cells_are_counted_as_the_model_reads_their_fields_and_as_readers_name_them(
    world: Any, run: Analysis
) -> None:
    world.succeed(world.receive(2), UNSURE)
    call(world, run, 0, "pre_b")
    call(world, run, 1, "artefact")
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    page = client_of(world.technician).get(reverse("case", args=[report.pk]))
    assert [tuple(row.values()) for row in page.context["counts"]] == [
        ("Uncertain", 7, 0),
        ("Pre-B ALL", 7, 1),
        ("Not a cell", 0, 1),
    ]


# --- fields seen ----------------------------------------------------------------------------------


def seen(client: Any, report: DiagnosticReport, *images: Any, **how: Any) -> Any:
    """The page says that these were on the screen."""
    return client.post(reverse("case-seen", args=[report.pk]), {"image": images}, **how)


def test_a_field_is_seen_by_whom_it_was_on_the_screen_of(world: Any, run: Analysis) -> None:
    """Not by whom it was only sent to: whoever turns the pages quickly has not been shown them."""
    other = world.receive(2)
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    client = client_of(world.technician)
    client.get(reverse("case", args=[report.pk]))
    client.get(reverse("case-field", args=[report.pk, other.pk]))
    assert not FieldSeen.objects.exists()
    for _ in range(2):
        answer = seen(client, report, other.pk, headers={"HX-Request": "true"})
    assert "<strong>1 of 2 fields</strong> was not shown to you yet" in answer.content.decode()
    assert "Look at field 1" in answer.content.decode()
    assert client.get(reverse("case", args=[report.pk])).context["seen"] == {other.pk}
    assert not client_of(world.haematologist).get(reverse("case", args=[report.pk])).context["seen"]


def test_only_pictures_of_the_case_are_seen_with_it(world: Any, run: Analysis) -> None:
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    elsewhere = world.receive(3, specimen=world.other_specimen)
    seen(client_of(world.technician), report, elsewhere.pk, "no id at all", uuid.uuid4())
    assert not FieldSeen.objects.exists()


def test_without_scripts_a_button_says_it_and_leads_to_the_next_field(
    world: Any, run: Analysis
) -> None:
    other = world.receive(2)
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    client = client_of(world.technician)
    assert (
        "I have looked at this field"
        in client.get(reverse("case", args=[report.pk])).content.decode()
    )
    assert seen(client, report, run.image_id)["Location"].endswith(f"?field={other.pk}")
    assert seen(client, report, other.pk)["Location"] == reverse("case", args=[report.pk])


# --- beside ---------------------------------------------------------------------------------------


def three_cases(world: Any) -> list[DiagnosticReport]:
    """In the order of the worklist."""
    for number in range(3):
        specimen = add_specimen(world.patient, f"N-2026-100{number}")
        world.succeed(world.receive(20 + number, specimen=specimen))
    new = DiagnosticReport.objects.filter(specimen__accession__startswith="N-2026-100")
    return list(new.order_by("-urgency", "-last_picture", "-pk"))


def test_the_next_and_the_previous_case_are_those_of_the_worklist(world: Any) -> None:
    first, second, third = three_cases(world)
    beside = listing.beside
    clinics = [world.other_clinic.pk, world.clinic.pk]
    assert beside(first, clinics, later=True) == second
    assert beside(second, clinics, later=True) == third
    assert beside(third, clinics, later=False) == second
    assert beside(first, clinics, later=False) is None
    answer = client_of(world.technician).get(reverse("case-beside", args=[second.pk, "previous"]))
    assert answer["Location"] == reverse("case", args=[first.pk])
    answer = client_of(world.technician).get(reverse("case-beside", args=[second.pk, "sideways"]))
    assert answer.status_code == 404


def test_the_patients_other_samples_are_listed(world: Any, run: Analysis) -> None:
    three_cases(world)
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    page = client_of(world.technician).get(reverse("case", args=[report.pk])).content.decode()
    for number in range(3):
        assert f"N-2026-100{number}" in page


# --- a large case ---------------------------------------------------------------------------------


def test_the_page_asks_no_more_of_the_database_with_a_hundred_fields(
    world: Any, run: Analysis
) -> None:
    """100 fields and 2,000 cells cost the queries of one field; only one field is written out."""
    from django.db import connection

    report = DiagnosticReport.objects.get(specimen=world.specimen)
    client = client_of(world.technician)
    addresses = [reverse("case", args=[report.pk]), reverse("case-live", args=[report.pk])]
    addresses += [reverse("picture-cells", args=[run.image_id])]

    def asked() -> list[int]:
        counts = []
        for address in addresses:
            client.get(address)  # the first look at a field is noted
        for address in addresses:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address).status_code == 200
            counts.append(len(queries))
        return counts

    few = asked()
    many_fields(run, 99)
    CellCall.objects.bulk_create(
        CellCall(analysis=one, cell=cell, label="pre_b", by=world.technician)
        for one in Analysis.objects.exclude(pk=run.pk)
        for cell in range(20)
    )
    assert asked() == few
    page = client.get(addresses[0]).content.decode()
    assert page.count('class="pick ') == 100
    assert page.count('class="field-view') == 1


def many_fields(run: Analysis, number: int) -> None:
    """So many more fields like the analysis's own, each with twenty cells."""
    image, done = values_of(FieldImage.objects.get(pk=run.image_id)), values_of(run)
    ids = [uuid.uuid4() for _ in range(number)]
    FieldImage.objects.bulk_create(FieldImage(**{**image, "id": one}) for one in ids)
    Analysis.objects.bulk_create(
        Analysis(**{**done, "id": uuid.uuid4(), "image_id": one, "cell_count": 20}) for one in ids
    )


def values_of(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
