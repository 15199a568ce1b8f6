"""Promises of the dashboard: true numbers, of one's own clinics only, in few queries."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bench.archive_rows import statements
from devices.models import AlertKind
from devices.services.alerts import raise_alert
from diagnostics import dashboard
from diagnostics.models import (
    Analysis,
    DayTally,
    DiagnosticReport,
    ModelPackage,
    PackageState,
    Priority,
)
from diagnostics.services import analyses, packages, tallies
from hospital.accounts.models import User
from hospital.accounts.roles import Role
from hospital.accounts.services import grant_role
from ml import packages as ml_packages
from tests.diagnostics.test_listing import BIG, nodes
from tests.world import (
    BENIGN,
    SETUP,
    SURE,
    World,
    add_specimen,
    look_and_sign,
    result_of,
    store_result,
)

pytestmark = pytest.mark.django_db


def page(user: User, path: str = "/dashboard/") -> Any:
    client = Client()
    client.force_login(user)
    return client.get(path)


def finished(days_ago: int, *runs: Analysis) -> None:
    """Let the runs have finished at noon of another day."""
    noon = timezone.localtime().replace(hour=12) - timedelta(days=days_ago)
    Analysis.objects.filter(pk__in=[run.pk for run in runs]).update(finished_at=noon)


def sign(world: World, report: DiagnosticReport) -> None:
    report.refresh_from_db()
    look_and_sign(world.haematologist, report)


# --- now ----------------------------------------------------------------------------------------


def test_todays_numbers_are_the_clinics_own(world: World) -> None:
    world.reported()
    world.succeed(world.receive(2), outcome="unusable", rejection="out_of_focus")
    world.succeed(world.receive(4, specimen=world.other_specimen))
    world.receive(3)
    ours = dashboard.today_in([world.clinic.pk])
    assert (ours.received, ours.analysed, ours.rejected) == (3, 2, 1)
    assert (ours.waiting, ours.signed, ours.held) == (1, 0, 0)
    both = dashboard.today_in([world.clinic.pk, world.other_clinic.pk])
    assert (both.received, both.waiting) == (4, 2)
    queue = dashboard.queue_in([world.clinic.pk])
    assert queue.live == 1
    assert queue.oldest
    assert dashboard.queue_in([world.other_clinic.pk]).live == 0


def test_the_signed_of_today_and_what_still_waits(world: World) -> None:
    report = world.reported()
    sign(world, report)
    today = dashboard.today_in([world.clinic.pk])
    assert (today.signed, today.waiting) == (1, 0)


def test_workers_say_what_they_run_on_and_what_they_hold(world: World) -> None:
    world.succeed(world.receive(1))
    world.claim(world.receive(2), worker="other:1")
    workers = dashboard.workers_in([world.clinic.pk])
    assert [(w.name, w.engine, w.finished, w.holds) for w in workers] == [
        ("other:1", "", 0, 1),
        ("tests", "tests", 1, 0),
    ]
    assert dashboard.workers_in([world.other_clinic.pk]) == []


def test_a_worker_that_rests_for_more_than_an_hour_is_not_shown(world: World) -> None:
    finished(1, world.succeed(world.receive(1)))
    assert dashboard.workers_in([world.clinic.pk]) == []


def test_silent_microscopes_are_named_and_those_of_others_are_not(world: World) -> None:
    for device in (world.device, world.other_device):
        raise_alert(device=device, kind=AlertKind.SILENT)
    text = page(world.administrator).content.decode()
    assert world.device.name in text
    assert world.other_device.name not in text


# --- what the model says ------------------------------------------------------------------------


def test_days_are_added_up_once_and_say_the_same_as_counting_them(world: World) -> None:
    finished(3, world.succeed(world.receive(1), SURE))
    finished(2, world.succeed(world.receive(2), SURE), world.succeed(world.receive(3), BENIGN))
    world.succeed(world.receive(4), outcome="unfamiliar")
    clinics = [world.clinic.pk]
    before = dashboard.said_in(clinics, days=30)
    assert tallies.tally() == 3
    assert tallies.tally() == 0
    assert DayTally.objects.count() == 3
    after = dashboard.said_in(clinics, days=30)
    key = lambda tally: (tally.day, tally.verdict)  # noqa: E731
    assert sorted(before.tallies, key=key) == sorted(after.tallies, key=key)
    today = timezone.localdate()
    assert after.mix() == {
        "pre_b": {today - timedelta(days=3): 1, today - timedelta(days=2): 1},
        "benign": {today - timedelta(days=2): 1},
        "unfamiliar": {today: 1},
    }
    assert after.confidence() == {
        today - timedelta(days=3): pytest.approx(95),
        today - timedelta(days=2): pytest.approx(96),
    }
    assert after.share("unfamiliar") == 0.25


def test_a_day_that_came_after_the_last_tally_is_added_later(world: World) -> None:
    finished(3, world.succeed(world.receive(1)))
    tallies.tally()
    # Not yesterday: that is over an hour after midnight only.
    finished(2, world.succeed(world.receive(2)))
    assert tallies.tally() == 1
    assert dashboard.said_in([world.clinic.pk], days=7).runs == 2


def test_other_clinics_controls_and_the_archive_do_not_count(world: World) -> None:
    finished(1, world.succeed(world.receive(1, specimen=world.other_specimen)))
    archive = world.succeed(world.receive(2))
    Analysis.objects.filter(pk=archive.pk).update(priority=Priority.BACKGROUND)
    tallies.tally()
    assert dashboard.said_in([world.clinic.pk], days=30).runs == 0
    assert dashboard.said_in([world.other_clinic.pk], days=30).runs == 1


def test_each_package_and_each_microscope_has_its_own_figures(world: World) -> None:
    world.succeed(world.receive(1), SURE)
    shadow = world.succeed(world.receive(2), BENIGN)
    Analysis.objects.filter(pk=shadow.pk).update(
        priority=Priority.SHADOW, speaks=False, package_digest="cd" * 32
    )
    said = dashboard.said_in([world.clinic.pk], days=30)
    assert set(said.of(package="cd" * 32).mix()) == {"benign"}
    assert set(said.of(package="ab" * 32).mix()) == {"pre_b"}
    assert said.of(device=world.other_device.pk).runs == 0
    [(device, now, before)] = said.devices()
    assert (device, now.runs, before.runs) == (world.device.pk, 2, 0)


# --- the page -----------------------------------------------------------------------------------


def test_failures_stand_there_by_reason_and_lead_to_where_one_may_look(world: World) -> None:
    run = world.claim(world.receive(1))
    analyses.fail(run, code="undecodable")
    text = page(world.administrator).content.decode()
    assert "could not be decoded" in text
    assert f"/admin/diagnostics/specimen/{world.specimen.pk}/change/" in text
    report = DiagnosticReport.objects.get()
    assert f"/cases/{report.pk}/" not in text
    assert f"/cases/{report.pk}/" in page(world.superuser).content.decode()
    grant_role(
        actor=SETUP, user=world.administrator, clinic=world.other_clinic, role=Role.HAEMATOLOGIST
    )
    assert f"/cases/{report.pk}/" not in page(world.administrator).content.decode()


def test_the_other_clinic_is_not_seen_and_the_whole_house_sees_both(world: World) -> None:
    analyses.fail(world.claim(world.receive(1, specimen=world.other_specimen)), code="internal")
    text = page(world.administrator).content.decode()
    for secret in ["S-2026-0001", "South Clinic", world.other_device.name]:
        assert secret not in text
    assert "S-2026-0001" in page(world.superuser).content.decode()


@pytest.mark.parametrize("who", ["technician", "haematologist", "device_manager", "guardian"])
def test_it_is_for_administrators(world: World, who: str) -> None:
    for path in ("/dashboard/", "/dashboard/live/", "/dashboard/packages/"):
        assert page(getattr(world, who), path).status_code == 403
    assert page(world.administrator, "/dashboard/packages/").status_code == 403


def test_it_leads_to_people_roles_and_clinics(world: World) -> None:
    text = page(world.administrator).content.decode()
    for kind in ("user", "membership", "clinic"):
        assert f"/admin/accounts/{kind}/" in text
    assert "/dashboard/packages/" not in text
    assert 'id="to-dashboard"' in text
    assert 'id="to-dashboard"' not in page(world.technician, "/worklist/").content.decode()


def test_nonsense_in_the_address_is_passed_over(world: World) -> None:
    world.reported()
    answer = page(world.administrator, "/dashboard/?days=9999&package=%FF&device=x'")
    assert answer.status_code == 200
    assert answer.context["days"] == 30


def test_the_number_of_queries_does_not_grow(
    world: World, django_assert_max_num_queries: Any
) -> None:
    client = Client()
    client.force_login(world.superuser)
    for seed in range(6):
        specimen = add_specimen(world.patient, f"Q-{seed}")
        world.succeed(world.receive(seed, specimen=specimen))
        sign(world, specimen.report)
        analyses.fail(world.claim(world.receive(50 + seed)), code="internal")
        raise_alert(device=world.device, kind=AlertKind.SILENT)
    with django_assert_max_num_queries(40):
        assert client.get("/dashboard/").status_code == 200
    with django_assert_max_num_queries(15):
        assert client.get("/dashboard/live/").status_code == 200


@pytest.mark.skipif(connection.vendor != "postgresql", reason="plans are PostgreSQL's")
@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/live/"])
@pytest.mark.parametrize("who", ["administrator", "superuser"])
def test_no_table_that_grows_must_be_read_whole(world: World, who: str, path: str) -> None:
    clinics = {"north": world.clinic.pk, "south": world.other_clinic.pk}
    with connection.cursor() as cursor:
        for statement in statements(6000, clinics):
            cursor.execute(statement)
        cursor.execute("ANALYZE")
    tallies.tally()
    with CaptureQueriesContext(connection) as queries:
        assert page(getattr(world, who), path).status_code == 200
    for query in [q["sql"] for q in queries if q["sql"].startswith("SELECT")]:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query}")
            plan = json.loads(json.dumps(cursor.fetchone()[0]))[0]["Plan"]
        whole = [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
        assert not [name for name in whole if any(big in name for big in BIG)], query


# --- packages -----------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Any) -> tuple[ModelPackage, ModelPackage]:
    """Two packages: the first in use, the second reads along."""
    first = packages.register(actor=SETUP, folder=ml_packages.COMMITTED)
    packages.activate(actor=SETUP, package=first)
    made = ml_packages.revise(
        ml_packages.verify(ml_packages.COMMITTED), tmp_path / "n", version="2.9", documents={}
    )
    second = packages.register(actor=SETUP, folder=made.folder)
    return first, packages.shadow(actor=SETUP, package=second)


def read_by_both(world: World, pair: Any, seed: int, was: Any, said: Any) -> Analysis:
    """A new picture, read as `was` by the one in use and as `said` by the one that reads along."""
    live = world.succeed(world.receive(seed), was)
    Analysis.objects.filter(pk=live.pk).update(package_digest=pair[0].digest)
    [run] = analyses.claim(worker="w", limit=0, package=pair[1].digest, background=1)
    result = result_of(run, said, "classified") | {"package_digest": pair[1].digest}
    assert store_result(run, outcome="classified", rejection="", result=result)
    return run


def test_two_packages_are_compared_over_the_same_pictures(world: World, pair: Any) -> None:
    read_by_both(world, pair, 1, SURE, SURE)
    read_by_both(world, pair, 2, SURE, BENIGN)
    read_by_both(world, pair, 3, BENIGN, BENIGN)
    answer = page(world.superuser, f"/dashboard/packages/{pair[1].pk}/compare/")
    comparison = answer.context["comparison"]
    assert (comparison.whole.pictures, comparison.whole.alike) == (3, 2)
    assert comparison.verdicts == ["Benign (haematogones)", "Pre-B ALL"]
    assert comparison.table == [("Benign (haematogones)", [1, 0]), ("Pre-B ALL", [1, 1])]
    assert [(row.subject, row.pictures, row.alike) for row in comparison.devices] == [
        (world.device.name, 3, 2)
    ]
    [week] = comparison.weeks
    assert week.subject.weekday() == 0
    [change] = comparison.changes
    assert (change["was"], change["said"]) == ("Pre-B ALL", "Benign (haematogones)")
    report = DiagnosticReport.objects.get()
    assert f"/cases/{report.pk}/?field={change['run'].image_id}" in answer.content.decode()


def test_nothing_to_compare_is_said(world: World, pair: Any) -> None:
    text = page(world.superuser, f"/dashboard/packages/{pair[1].pk}/compare/").content.decode()
    assert "No picture has been read by both" in text
    assert page(world.superuser, f"/dashboard/packages/{pair[0].pk}/compare/").status_code == 404


def test_the_whole_houses_administrator_changes_packages_by_buttons(
    world: World, pair: Any
) -> None:
    first, second = pair
    client = Client()
    client.force_login(world.superuser)
    assert "Read along no more" in client.get("/dashboard/packages/").content.decode()
    base = f"/dashboard/packages/{second.pk}"
    answer = client.post(f"{base}/activate/", follow=True)
    assert "New pictures are read by" in answer.content.decode()
    assert packages.in_use() == second
    answer = client.post(f"{base}/activate/", follow=True)
    assert "cannot go from" in answer.content.decode()
    client.post("/dashboard/packages/rollback/")
    assert packages.in_use() == first
    assert client.post(f"{base}/explode/").status_code == 404
    client.post(f"{base}/retire/")
    second.refresh_from_db()
    assert second.state == PackageState.RETIRED
    assert client.get(f"{base}/activate/").status_code == 405
