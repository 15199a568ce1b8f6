"""Promise: in an emergency one may read elsewhere, for a while, and whom it concerns knows."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.utils import timezone

from hospital.accounts import emergency
from hospital.accounts.models import BreakGlass, User
from hospital.accounts.selectors import live_topics, may
from hospital.accounts.services import revoke_role
from hospital.audit.models import Entry
from hospital.base.problems import Refusal
from hospital.live import pusher
from tests.hospital.sockets import is_event, socket, until
from tests.world import PASSWORD, SETUP, World

WHY = "A child of theirs bleeds here tonight"


def broken(world: World) -> BreakGlass:
    return emergency.begin(user=world.outsider, clinic=world.clinic, reason=WHY)


def signed_in(user: User) -> Client:
    client = Client()
    client.post("/login/", {"username": user.username, "password": PASSWORD})
    return client


def test_it_opens_the_clinics_cases_to_read_and_nothing_else(world: World) -> None:
    report = world.reported()
    client = signed_in(world.outsider)
    assert client.get(f"/cases/{report.pk}/").status_code == 404
    client.post("/emergency/", {"clinic": "north", "reason": WHY})
    assert client.get(f"/cases/{report.pk}/").status_code == 200
    assert may(world.outsider, "patients.view_patient", world.clinic)
    for more in ("diagnostics.sign_diagnosticreport", "patients.change_patient"):
        assert not may(world.outsider, more, world.clinic)
    sign = {"version": report.version, "conclusion": "benign", "password": PASSWORD}
    assert client.post(f"/cases/{report.pk}/sign/", sign).status_code in {403, 404}
    report.refresh_from_db()
    assert not report.is_signed
    assert Entry.objects.filter(action="report.read", actor_id=str(world.outsider.pk)).exists()


def test_it_ends_by_itself(world: World) -> None:
    opened = broken(world)
    assert f"clinic.{world.clinic.pk}" in live_topics(world.outsider)
    BreakGlass.objects.filter(pk=opened.pk).update(ends_at=timezone.now() - timedelta(seconds=1))
    assert not may(world.outsider, "diagnostics.view_diagnosticreport", world.clinic)
    assert f"clinic.{world.clinic.pk}" not in live_topics(world.outsider)


def test_whoever_answers_for_the_clinic_is_told_at_once_and_sees_it_above_the_trail(
    world: World, mailoutbox: Any, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.PRIVACY_OFFICER_MAILS = ["privacy@example.org"]
    User.objects.filter(pk=world.administrator.pk).update(email="ada@example.org")
    with django_capture_on_commit_callbacks(execute=True):
        broken(world)
    assert {to for mail in mailoutbox for to in mail.to} == {
        "ada@example.org",
        "privacy@example.org",
    }
    assert all(WHY in mail.body for mail in mailoutbox)
    page = signed_in(world.administrator).get("/admin/audit/entry/").content.decode()
    assert WHY in page
    assert Entry.objects.filter(action="break_glass.begun", clinic_id=world.clinic.pk).exists()


def test_a_mail_server_that_is_away_keeps_nobody_from_reading(
    world: World, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.PRIVACY_OFFICER_MAILS = ["privacy@example.org"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    with django_capture_on_commit_callbacks(execute=True):
        assert broken(world).is_open


def test_its_administrators_end_it_with_a_button_and_others_cannot(world: World) -> None:
    opened = broken(world)
    end = f"/emergency/{opened.pk}/end/"
    assert signed_in(world.haematologist).post(end).status_code == 404
    assert opened.is_open
    page = signed_in(world.administrator).get("/emergency/").content.decode()
    assert WHY in page
    assert end in page
    # Clinics that one does not work in are offered, and do not stand in the page's head.
    offered = signed_in(world.haematologist).get("/emergency/").content.decode()
    assert offered.count("South Clinic") == 1
    assert '<option value="south">' in offered
    assert signed_in(world.administrator).post(end).status_code == 302
    assert not may(world.outsider, "diagnostics.view_diagnosticreport", world.clinic)
    assert Entry.objects.filter(action="break_glass.ended").count() == 1


@pytest.mark.django_db(transaction=True)
async def test_open_pages_hear_of_the_clinic_at_once_and_lose_it_at_once(
    world: World, settings: Any
) -> None:
    settings.LIVE_TICK_SECONDS = 600
    async with socket("/ws/clinic/", world.outsider) as page:
        await page.connect()
        await until(page, lambda m: "hello" in m)
        opened = await sync_to_async(broken)(world)
        await sync_to_async(pusher.flush)()
        await sync_to_async(world.receive)(3)
        assert await until(page, is_event)
        await sync_to_async(emergency.end)(user=world.administrator, opened=opened)
        await sync_to_async(pusher.flush)()
        assert await until(page, lambda m: "reload" in m)


def test_it_takes_a_reason_a_reader_and_a_closed_clinic(world: World) -> None:
    with pytest.raises(Refusal, match="why"):
        emergency.begin(user=world.outsider, clinic=world.clinic, reason="urgent")
    with pytest.raises(Refusal, match="those who read cases"):
        emergency.begin(user=world.technician, clinic=world.other_clinic, reason=WHY)
    with pytest.raises(Refusal, match="already"):
        emergency.begin(user=world.haematologist, clinic=world.clinic, reason=WHY)
    assert not BreakGlass.objects.exists()


def test_whoever_was_signed_in_long_ago_is_asked_again_who_they_are(world: World) -> None:
    client = Client()
    client.force_login(world.outsider)
    answer = client.post("/emergency/", {"clinic": "north", "reason": WHY})
    assert answer.status_code == 302
    assert "/login/again/" in answer["Location"]
    assert not BreakGlass.objects.exists()


def test_it_is_over_when_the_reader_reads_nowhere_any_more(world: World) -> None:
    broken(world)
    revoke_role(actor=SETUP, membership=world.outsider.memberships.get())
    assert not may(world.outsider, "diagnostics.view_diagnosticreport", world.clinic)


def test_a_clinic_or_reason_left_out_is_said_and_opens_nothing(world: World) -> None:
    client = signed_in(world.outsider)
    for given in ({"clinic": "nowhere", "reason": WHY}, {"clinic": "north", "reason": "x"}):
        assert client.post("/emergency/", given).status_code == 200
    assert not BreakGlass.objects.exists()
