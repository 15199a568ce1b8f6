"""Promises of the clock: each stage where it happened, and medians that a week can be judged by."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from diagnostics import turnaround
from diagnostics.models import Analysis, DiagnosticReport, FieldImage
from diagnostics.turnaround import Clock
from hospital.audit.models import Entry
from tests.world import World, add_specimen, look_and_sign

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


def sign(world: World, report: DiagnosticReport, at: datetime | None = None) -> DiagnosticReport:
    report.refresh_from_db()
    signed = look_and_sign(world.haematologist, report)
    if at:
        DiagnosticReport.objects.filter(pk=signed.pk).update(signed_at=at, released_at=at)
    return DiagnosticReport.objects.get(pk=signed.pk)


def test_every_stage_is_noted_where_it_happened(world: World) -> None:
    report = world.reported()
    FieldImage.objects.update(captured_at=AT, received_at=AT + minutes(1))
    Analysis.objects.update(finished_at=AT + minutes(2))
    for who, path in [(world.haematologist, "/cases/"), (world.guardian, "/portal/reports/")]:
        if who == world.guardian:
            report = sign(world, report, AT + minutes(30))
        client = Client()
        client.force_login(who)
        assert client.get(f"{path}{report.pk}/").status_code == 200
    clock = turnaround.clock_of(report)
    assert (clock.captured, clock.uploaded) == (AT, AT + minutes(1))
    assert clock.analysed == AT + minutes(2)
    assert clock.signed == clock.released == AT + minutes(30)
    first = Entry.objects.filter(subject_id=str(report.pk)).order_by("pk")
    assert clock.opened == first.filter(action="report.read")[0].at
    assert clock.read == first.filter(action="report.read_in_portal")[0].at


def test_what_has_not_happened_or_is_not_known_has_no_time(world: World) -> None:
    world.receive(1)
    clock = turnaround.clock_of(DiagnosticReport.objects.get())
    assert clock.captured is None
    assert clock.uploaded
    assert clock.analysed is clock.opened is clock.signed is clock.read is None
    assert clock.total is None


def test_a_span_counts_from_the_last_stage_reached() -> None:
    clock = Clock(uploaded=AT, analysed=AT + minutes(2), signed=AT + minutes(12))
    took = {step["code"]: step["took"] for step in clock.steps}
    assert took == {
        "captured": None,
        "uploaded": None,
        "analysed": 120,
        "opened": None,
        "signed": 600,
        "released": None,
        "read": None,
    }
    assert clock.total == 720
    unknown = [step["code"] for step in clock.steps if step["unknown"]]
    assert unknown == ["captured", "opened"], "what is past and was not seen; the rest is to come"


def test_a_result_released_before_it_was_signed_says_no_span_backwards() -> None:
    clock = Clock(
        uploaded=AT,
        analysed=AT + minutes(2),
        signed=AT + minutes(60),
        released=AT + minutes(3),
        read=AT + minutes(61),
    )
    took = {step["code"]: step["took"] for step in clock.steps}
    assert took["released"] is None
    assert took["read"] == 60


def test_a_later_reading_does_not_move_the_clock(world: World) -> None:
    report = world.reported()
    run = Analysis.objects.get()
    Analysis.objects.update(finished_at=AT)
    Analysis.objects.create(
        image=run.image,
        state="succeeded",
        outcome="classified",
        finished_at=AT + minutes(500),
    )
    assert turnaround.clock_of(report).analysed == AT


def test_weeks_have_medians_of_the_clinics_own_reports(world: World) -> None:
    now = timezone.now()
    for number, wait in enumerate([10, 20, 60]):
        specimen = add_specimen(world.patient, f"W-{number}")
        image = world.receive(number, specimen=specimen)
        world.succeed(image)
        report = sign(world, specimen.report, now)
        FieldImage.objects.filter(pk=image.pk).update(
            captured_at=now - minutes(wait), received_at=now - minutes(wait - 1)
        )
        Analysis.objects.filter(image=image).update(finished_at=now - minutes(wait - 2))
        assert report.signed_at == now
    weeks = turnaround.weeks_of([world.clinic.pk])
    assert len(weeks) == turnaround.WEEKS
    assert [week.monday.weekday() for week in weeks] == [0] * turnaround.WEEKS
    assert (weeks[-1].reports, weeks[-1].total) == (3, 1200)
    assert weeks[-1].medians["uploaded"] == 60
    assert weeks[-1].medians["signed"] == pytest.approx(18 * 60)
    assert weeks[0].reports == 0
    assert turnaround.weeks_of([world.other_clinic.pk])[-1].reports == 0


def test_clocks_of_many_reports_cost_three_queries(
    world: World, django_assert_num_queries: Any
) -> None:
    report = world.reported()
    with django_assert_num_queries(3):
        turnaround.clocks_of([report])


def test_the_case_page_shows_the_strip_and_renews_it(world: World) -> None:
    report = world.reported()
    client = Client()
    client.force_login(world.haematologist)
    text = client.get(f"/cases/{report.pk}/").content.decode()
    assert 'id="case-clock"' in text
    assert "not yet" in text
    live = client.get(f"/cases/{report.pk}/live/").content.decode()
    assert 'id="case-clock"' in live
