"""Promises of the lists in a large archive: no row skipped or repeated, no table read whole."""

import json
import uuid
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import F
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from diagnostics import search
from diagnostics.models import DiagnosticReport, FieldImage, Outcome, Specimen, Urgency
from diagnostics.pages import listing
from diagnostics.selectors import reports_in
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role
from tests.diagnostics.test_pages import client_of, listed
from tests.world import BENIGN, SETUP, SURE, UNSURE, add_patient, add_specimen

BIG = ("diagnosticreport", "specimen", "fieldimage", "analysis", "patients_patient", "live_event")


def archive(world: Any, count: int, *, clinics: int = 1, family: str = "Kowalska") -> None:
    """`count` unsigned reports of as many patients, oldest first, in turn over the clinics."""
    for number in range(count):
        clinic = (world.clinic, world.other_clinic)[number % clinics]
        patient = add_patient(clinic, f"MRN-{number:05d}", family, "Zofia")
        specimen = add_specimen(patient, f"A-{number:05d}")
        fields = {"total": 1, "classified": 1}
        DiagnosticReport.objects.create(
            specimen=specimen,
            clinic=clinic,
            patient=patient,
            status="partial",
            impression="benign",
            certainty="clear",
            findings={"fields": fields, "dissent": int(number % 3 == 0)},
        )


def walked(clinics: list[Any], between: Any = None, **choice: str) -> list[str]:
    """The accessions on all pages, one after the other; `between` happens after each page."""
    seen: list[str] = []
    query = QueryDict(mutable=True)
    query.update(choice)
    while True:
        page = listing.page_of(reports_in(clinics), clinics, listing.Choice.of(query))
        seen += [report.specimen.accession for report in page.reports]
        if not page.older:
            return seen
        query["after"] = page.older
        if between:
            between()


@pytest.mark.parametrize("clinics", [1, 2])
@pytest.mark.parametrize("show", ["review", "all"])
def test_every_report_is_on_exactly_one_page(
    world: Any, monkeypatch: Any, show: str, clinics: int
) -> None:
    """Also when many came at the same moment, and for those who work in several clinics."""
    monkeypatch.setattr(listing, "PAGE", 3)
    archive(world, 14, clinics=clinics)
    DiagnosticReport.objects.update(last_picture=timezone.now())
    ids = [world.clinic.pk, world.other_clinic.pk][:clinics]
    seen = walked(ids, show=show)
    assert len(seen) == len(set(seen)) == 14
    first = {f"A-{n:05d}" for n in range(0, 14, 3)}
    assert set(seen[: len(first)]) == first


def test_what_changes_between_pages_neither_hides_nor_repeats_another(
    world: Any, monkeypatch: Any
) -> None:
    """New reports go to the top; one that moved up is met where it was not yet passed, or not."""
    monkeypatch.setattr(listing, "PAGE", 3)
    archive(world, 12)
    untouched = {f"A-{n:05d}" for n in range(1, 12) if n != 10}
    numbers = iter(range(100))

    def between() -> None:
        world.succeed(world.receive(next(numbers)), SURE)  # N-2026-0001 comes and moves up
        DiagnosticReport.objects.filter(specimen__accession="A-00010").update(
            last_picture=timezone.now()
        )
        DiagnosticReport.objects.filter(specimen__accession="A-00000").update(status="cancelled")

    seen = [label for label in walked([world.clinic.pk], between) if label in untouched]
    assert sorted(seen) == sorted(untouched)


def test_nothing_of_another_clinic_comes_in_by_any_way(world: Any) -> None:
    archive(world, 6, clinics=2)
    others = {f"A-{n:05d}" for n in range(1, 6, 2)}
    for query in [{}, {"q": "kowalska"}, {"q": "a-00001"}, {"q": "o"}, {"clinic": "south"}]:
        page = listed(world, show="all", **query)
        assert not any(label in page for label in others), query
    grant_role(actor=SETUP, user=world.technician, clinic=world.other_clinic, role=Role.TECHNICIAN)
    assert all(label in listed(world, show="all", q="kowalska") for label in others)
    assert "A-00000" not in listed(world, show="all", clinic="south")


@pytest.mark.parametrize(
    "query", [{}, {"show": "all"}, {"q": "kowalska"}, {"q": "o"}, {"q": "o a s k"}]
)
@pytest.mark.parametrize("address", ["worklist", "worklist-live"])
def test_no_more_than_ten_questions_however_many_reports(
    world: Any, query: dict[str, str], address: str
) -> None:
    grant_role(actor=SETUP, user=world.technician, clinic=world.other_clinic, role=Role.TECHNICIAN)
    client = client_of(world.technician)
    asked = []
    for _ in range(2):
        client.get(reverse(address), query)  # whoever is new on the list is noted once
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse(address), query)
        asked.append(len(queries))
        if not DiagnosticReport.objects.exists():
            archive(world, 50, clinics=2)
    # An empty archive has no rows to fetch by name; a full one asks for them once.
    assert max(asked) <= 10
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse(address), query)
    assert len(queries) == asked[1]


def test_counts_end_where_nobody_counts_on(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(listing, "COUNTED", 3)
    archive(world, 3)
    assert 'class="count">3<' in listed(world)
    more = add_specimen(world.patient, "A-MORE")
    world.succeed(world.receive(1, specimen=more), UNSURE)
    assert 'class="count">3+<' in listed(world)


# --- searching -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["A-00007", "a-00007", "MRN-00007", "kowal", "zofia KOWALSKA", "kowalska 00007"]
)
def test_a_search_finds_the_old_through_the_index(world: Any, monkeypatch: Any, words: str) -> None:
    """However far down the list it is: nothing is read row by row."""
    monkeypatch.setattr(listing, "STRETCH", 0)
    archive(world, 12)
    assert "A-00007" in walked([world.clinic.pk], show="all", q=words)


def test_the_end_of_a_label_finds_it(world: Any) -> None:
    archive(world, 12)
    assert walked([world.clinic.pk], show="all", q="0007") == ["A-00007"]
    assert walked([world.clinic.pk], show="all", q="owals 0007") == ["A-00007"]


def test_a_search_that_says_little_goes_on_stretch_by_stretch(world: Any, monkeypatch: Any) -> None:
    """It finds everything in the end, and says on each page that there is more to look through."""
    monkeypatch.setattr(listing, "PAGE", 2)
    monkeypatch.setattr(listing, "STRETCH", 4)
    archive(world, 10)
    rare = {"A-00003", "A-00008"}
    for label in rare:
        patient = Specimen.objects.get(accession=label).patient
        patient.family_name = "Xu"
        patient.save()
    assert set(walked([world.clinic.pk], show="all", q="u")) == rare
    page = listed(world, show="all", q="u")
    assert "Search older reports" in page
    assert "Nothing found so far" in listed(world, show="all", q="?")


def test_a_word_that_names_too_many_is_looked_for_all_the_same(
    world: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("diagnostics.search.FEW", 3)
    archive(world, 8)
    assert len(walked([world.clinic.pk], show="all", q="kowalska")) == 8


def test_a_search_gives_a_long_list_as_one_value_where_the_database_can(world: Any) -> None:
    archive(world, 2)
    one, other = Specimen.objects.filter(accession__startswith="A-")
    named = [uuid.uuid4() for _ in range(500)] + [one.pk, other.patient_id]
    specimens = search.specimens_with(Specimen.objects.all(), "", named)
    reports = search.reports_with(DiagnosticReport.objects.all(), "", named)
    assert {specimen.pk for specimen in specimens} == {one.pk, other.pk}
    assert {report.specimen_id for report in reports} == {one.pk, other.pk}
    for rows in (specimens, reports):
        _, values = rows.query.sql_with_params()
        assert len(values) == (2 if connection.vendor == "postgresql" else 2 * len(named))


# --- what is stored ------------------------------------------------------------------------------


def test_the_place_on_the_list_follows_every_change(world: Any) -> None:
    def urgency() -> int:
        return DiagnosticReport.objects.get(specimen=world.specimen).urgency

    first = world.receive(1)
    assert urgency() == Urgency.ORDINARY
    world.succeed(first, outcome=Outcome.UNUSABLE, rejection="out_of_focus")
    assert urgency() == Urgency.UNREADABLE
    world.succeed(world.receive(2), BENIGN)
    assert urgency() == Urgency.ORDINARY
    last = world.receive(3)
    world.succeed(last, UNSURE)
    assert urgency() == Urgency.ATTENTION
    report = DiagnosticReport.objects.get(specimen=world.specimen)
    assert report.last_picture == last.received_at


def test_reports_from_before_are_dated_by_their_newest_picture(world: Any) -> None:
    """The migration's step, on rows as the older version left them."""
    image = world.receive(1)
    world.receive(2)
    FieldImage.objects.filter(pk=image.pk).update(received_at=timezone.now())
    DiagnosticReport.objects.update(last_picture=F("created_at"))
    migration = import_module("diagnostics.migrations.0003_worklist")
    migration.date_by_newest_picture(apps, None)
    image.refresh_from_db()
    assert DiagnosticReport.objects.get().last_picture == image.received_at


# --- plans ---------------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor != "postgresql", reason="plans are PostgreSQL's")
@pytest.mark.parametrize("clinics", [1, 2])
@pytest.mark.parametrize(
    "address",
    [
        "/worklist/live/",
        "/worklist/live/?show=held",
        "/worklist/live/?show=signed",
        "/worklist/live/?show=all",
        "/worklist/live/?show=all&after=1_2026-01-01T00:00:00%2B00:00_"
        "00000000-0000-0000-0000-000000000000",
        "/worklist/live/?show=all&q=A-00007",
        "/worklist/live/?show=critical",
        "/worklist/live/?show=failed",
        "/worklist/live/?reading=uncertain",
        "/worklist/live/?show=all&reading=pre_b&age=over-week",
        "/worklist/live/?show=all&age=day&urgency=1",
        "/worklist/live/?show=signed&microscope=00000000-0000-0000-0000-000000000000",
        "/worklist/?show=all&reader=00000000-0000-0000-0000-000000000000&reading=benign",
        "/api/v1/reports/",
    ],
)
def test_no_table_that_grows_must_be_read_whole(world: Any, address: str, clinics: int) -> None:
    from bench.archive_rows import statements

    with connection.cursor() as cursor:
        for statement in statements(
            6000, {"north": world.clinic.pk, "south": world.other_clinic.pk}
        ):
            cursor.execute(statement)
        cursor.execute("ANALYZE")
    if clinics > 1:
        grant_role(
            actor=SETUP, user=world.technician, clinic=world.other_clinic, role=Role.TECHNICIAN
        )
    client = client_of(world.technician)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    for query in [q["sql"] for q in queries if q["sql"].startswith("SELECT")]:
        with connection.cursor() as cursor:
            # A table as small as a test's may rightly be read whole: asked is whether it must.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query}")
            plan = json.dumps(cursor.fetchone()[0])
        read_whole = [
            table
            for table in BIG
            if any(
                node.get("Node Type") == "Seq Scan" and table in node.get("Relation Name", "")
                for node in nodes(json.loads(plan)[0]["Plan"])
            )
        ]
        assert not read_whole, (query, plan)


def nodes(plan: dict[str, Any]) -> Any:
    """A plan's steps, with all those below; but not what a LIMIT stops after a few rows anyway."""
    yield plan
    for below in plan.get("Plans", []):
        if plan["Node Type"] != "Limit" or "Plans" in below:
            yield from nodes(below)
