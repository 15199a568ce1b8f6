"""Promises of reading an archive again: once, resumably, behind the live pictures, silently."""

from collections import Counter
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from diagnostics.models import Analysis, DiagnosticReport, FieldImage, Outcome, Priority
from diagnostics.services import analyses, intake, reanalysis, reports
from diagnostics.services.reanalysis import Progress, UnknownFilter, Where
from diagnostics.services.results import Found, succeed_all
from hospital.audit.models import Entry
from hospital.live.models import Event
from ml import packages
from tests.diagnostics.test_pages import client_of
from tests.world import BENIGN, SETUP, World, look_and_sign, result_of

EVERYTHING = Where()
NEXT = "cd" * 32


def queue(where: Where = EVERYTHING, package: str = NEXT) -> int:
    return sum(reanalysis.queue(actor=SETUP, where=where, package=package))


def read_again(probabilities: dict[str, float] = BENIGN, *, outcome: str = "classified") -> int:
    """What a worker with the next package does."""
    batch = analyses.claim(worker="next", limit=0, background=99, package=NEXT)
    return succeed_all(
        [
            Found(
                analysis=run,
                outcome=outcome,
                rejection="not_a_smear" if outcome == Outcome.NOT_A_SMEAR else "",
                result={**result_of(run, probabilities, outcome), "package_digest": NEXT},
            )
            for run in batch
        ]
    )


def signed(world: World) -> DiagnosticReport:
    report = world.reported()
    return look_and_sign(world.haematologist, report)


# --- what is queued -----------------------------------------------------------------------------


def test_what_was_read_or_asked_for_is_not_queued_twice(world: World) -> None:
    world.reported()
    world.receive(1)  # still waits for its first reading
    assert queue() == 1
    assert queue() == 0
    assert read_again() == 1
    assert queue() == 0
    assert queue(package="ef" * 32) == 1


def test_whoever_is_stopped_half_way_goes_on_where_it_ended(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(reanalysis, "CHUNK", 2)
    for seed in range(5):
        world.succeed(world.receive(seed))
    chunks = reanalysis.queue(actor=SETUP, where=Where(), package=NEXT)
    assert next(chunks) == 2
    chunks.close()
    assert queue() == 3
    assert reanalysis.progress(NEXT) == Progress(queued=5, running=0, succeeded=0, failed=0)


def test_the_trail_of_each_clinic_says_who_asked_for_what(world: World) -> None:
    world.reported()
    world.succeed(world.receive(2, specimen=world.other_specimen))
    queue(Where(since="2020-01-01"))
    entries = Entry.objects.filter(action="reanalysis.queued")
    assert {entry.clinic_id for entry in entries} == {world.clinic.pk, world.other_clinic.pk}
    assert entries[0].actor_name == SETUP.name
    assert entries[0].detail == {"package": NEXT, "pictures": 1, "where": {"since": "2020-01-01"}}


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ({"clinic": "north"}, 1),
        ({"device": "SN-2"}, 1),
        ({"since": "2020-01-01"}, 2),
        ({"since": "2999-01-01"}, 0),
        ({"until": "2020-01-01T08:00"}, 0),
        ({"package": "abababab"}, 2),
        ({"package": "01234567"}, 0),
        ({"report": "unsigned"}, 2),
        ({"report": "signed"}, 0),
        ({"clinic": "north", "device": "SN-2"}, 0),
    ],
)
def test_filters_narrow_it_down(world: World, where: dict[str, str], count: int) -> None:
    world.reported()
    world.succeed(world.receive(2, specimen=world.other_specimen))
    assert reanalysis.candidates(Where(**where), package=NEXT).count() == count


@pytest.mark.parametrize(
    "text",
    ["id=1", "clinic", "clinic=", "1=1; DROP TABLE", "image__sha256=ab", "as_dict=1"],
)
def test_only_the_documented_filters_exist(text: str) -> None:
    with pytest.raises(UnknownFilter):
        Where.parsed([text])


@pytest.mark.parametrize(
    "text",
    ["clinic=nrth", "device=none", "since=soon", "until=2026-13-40", "package=ab", "report=good"],
)
def test_a_typo_never_means_everything(world: World, text: str) -> None:
    with pytest.raises(UnknownFilter):
        Where.parsed([text]).images().exists()


def test_a_filter_is_said_once() -> None:
    with pytest.raises(UnknownFilter):
        Where.parsed(["clinic=north", "clinic=south"])


# --- who takes it -------------------------------------------------------------------------------


def test_live_pictures_are_claimed_first_and_never_together_with_the_archive(
    world: World,
) -> None:
    world.reported()
    queue()
    live = world.receive(7)
    (first,) = analyses.claim(worker="a", limit=8, background=8, package=NEXT)
    assert first.image_id == live.pk
    (second,) = analyses.claim(worker="a", limit=8, background=8, package=NEXT)
    assert second.priority == Priority.BACKGROUND


def test_only_a_worker_with_the_package_takes_it(world: World) -> None:
    world.reported()
    queue()
    assert analyses.claim(worker="old", limit=8, background=8, package="ab" * 32) == []
    assert len(analyses.claim(worker="new", limit=8, background=8, package=NEXT)) == 1


def test_an_archive_that_waits_keeps_no_microscope_out(world: World, settings: Any) -> None:
    for seed in range(3):
        world.succeed(world.receive(seed))
    queue()
    settings.MAX_QUEUED_ANALYSES = 1
    world.receive(8)
    with pytest.raises(intake.Overloaded):
        world.receive(9)


# --- what it does to reports --------------------------------------------------------------------


def test_while_it_waits_or_when_it_fails_everything_stays_as_it_is(world: World) -> None:
    report = world.reported()
    queue()
    reports.rebuild(world.specimen)
    (run,) = analyses.claim(worker="next", limit=0, background=9, package=NEXT)
    analyses.fail(run, code="internal")
    reports.rebuild(world.specimen)
    report.refresh_from_db()
    assert (report.findings["fields"], report.impression) == (
        {"total": 1, "classified": 1},
        "pre_b",
    )
    page = client_of(world.technician).get(reverse("case", args=[report.pk])).content.decode()
    assert "Pre-B" in page


def test_an_unsigned_report_follows_the_new_reading_and_loses_its_verification(
    world: World,
) -> None:
    report = world.reported()
    reports.verify(user=world.technician, report=report, version=report.version)
    queue()
    read_again(BENIGN)
    report.refresh_from_db()
    assert (report.impression, report.status) == ("benign", "partial")
    assert report.findings["packages"] == [f"tests-package {NEXT[:12]}"]


def test_a_signed_report_does_not_move_and_nobody_is_told(world: World) -> None:
    report = signed(world)
    image = FieldImage.objects.get()
    queue()
    events = Event.objects.count()
    assert read_again(BENIGN, outcome=Outcome.NOT_A_SMEAR) == 1
    again = DiagnosticReport.objects.get()
    assert (again.version, again.findings, again.conclusion) == (
        report.version,
        report.findings,
        "pre_b",
    )
    image.refresh_from_db()
    assert image.state == "accepted"
    assert Event.objects.count() == events
    # Nor does it move when a late picture has the report rebuilt.
    world.receive(3)
    again = DiagnosticReport.objects.get()
    assert again.findings["fields"] == {"total": 2, "classified": 1, "pending": 1}
    assert again.findings["probabilities"] == report.findings["probabilities"]


def test_what_is_read_otherwise_is_counted(world: World) -> None:
    signed(world)
    world.succeed(world.receive(2, specimen=world.other_specimen))
    queue()
    read_again(BENIGN)
    assert reanalysis.dissents(NEXT) == (2, 1)


# --- the command --------------------------------------------------------------------------------


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("reanalyse", *arguments, stdout=said)
    return said.getvalue()


def test_a_dry_run_counts_and_queues_nothing(world: World) -> None:
    world.reported()
    assert "1 pictures" in run("--package", NEXT, "--dry-run")
    assert Analysis.objects.count() == 1


def test_the_command_queues_and_says_who(world: World) -> None:
    world.reported()
    run("--package", str(packages.COMMITTED), "--where", "clinic=north")
    digest = packages.verify(packages.COMMITTED).digest
    assert reanalysis.progress(digest).queued == 1
    assert Entry.objects.get(action="reanalysis.queued").actor_name.startswith("reanalyse command")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--package", "/nowhere"],
        ["--package", NEXT, "--where", "nonsense=1"],
        ["--package", NEXT, "--where", "clinic=nrth"],
        ["--package", NEXT, "--work"],
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(world: World, wrong: list[str]) -> None:
    world.reported()
    with pytest.raises(CommandError):
        run(*wrong)
    assert Analysis.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_command_can_do_the_work_itself_and_leaves_live_pictures_to_the_workers(
    world: World, monkeypatch: Any
) -> None:
    from diagnostics import pipeline
    from ml.reading import Reader
    from tests.diagnostics.test_pipeline import Engine, post

    post(world, seed=1)
    reader = Reader(packages.verify(packages.COMMITTED), Engine())
    monkeypatch.setattr(pipeline, "reader", lambda: reader)
    pipeline.drain()
    Analysis.objects.update(package_digest="ab" * 32)
    post(world, seed=2)  # live: not for this process
    monkeypatch.setattr("ml.reading.load", lambda folder: reader)
    monkeypatch.setattr("os.nice", lambda more: 0)
    assert "1 read, 0 failed" in run("--package", str(packages.COMMITTED), "--work")
    assert Counter(Analysis.objects.values_list("state", "priority")) == {
        ("succeeded", Priority.LIVE): 1,
        ("queued", Priority.LIVE): 1,
        ("succeeded", Priority.BACKGROUND): 1,
    }
