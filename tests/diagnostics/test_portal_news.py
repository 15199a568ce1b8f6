"""Promises when something changes: told without the result, and who read what is known."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from diagnostics.models import DiagnosticReport, Receipt, ReleaseWay
from diagnostics.selectors import readers_of
from diagnostics.services import notices, signing
from hospital.base import mailing
from patients.models import PortalAccess, Relation
from patients.services import grant_portal_access, revoke_portal_access
from tests.world import PASSWORD, SETUP, World, look, look_and_sign

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mails(settings: Any, world: World) -> None:
    settings.PORTAL_MAILS = True
    settings.PUBLIC_URL = "https://clinic.example"
    for user in (world.guardian, world.stranger):
        user.email = f"{user.username}@example.org"
        user.save()


def sign(world: World, conclusion: str = "pre_b") -> DiagnosticReport:
    report = world.reported()
    return look_and_sign(world.haematologist, report, conclusion)


def amend(world: World, report: DiagnosticReport, conclusion: str) -> DiagnosticReport:
    report.refresh_from_db()
    look(world.haematologist, report)
    return signing.amend(
        user=world.haematologist,
        password=PASSWORD,
        report=report,
        version=report.version,
        change=signing.Change(becomes="amended", conclusion=conclusion, reason="More was seen."),
    )


def open_page(user: Any, report: DiagnosticReport, name: str = "portal-report") -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(reverse(name, args=[report.pk]))
    return answer.content.decode(errors="replace")


# --- mails --------------------------------------------------------------------------------------


def test_a_release_is_mailed_once_to_those_who_may_read_and_tells_nothing(world: World) -> None:
    sign(world)
    assert notices.mail_families() == {"mailed_families": 1}
    assert notices.mail_families() == {"mailed_families": 0}
    (message,) = mail.outbox
    assert message.to == ["guardian@example.org"]
    said = f"{message.subject} {message.body}"
    assert "https://clinic.example/portal/" in said
    for secret in ["Amina", "Rahman", "N-2026", "N-1", "leuk", "Pre-B", "specialist", "blood"]:
        assert secret not in said, secret


def test_good_and_bad_news_look_the_same(world: World) -> None:
    report = sign(world, "benign")
    notices.mail_families()
    amend(world, report, "pro_b")
    notices.mail_families()
    first, second = mail.outbox
    assert (first.subject, first.body) == (second.subject, second.body)


def test_nobody_is_mailed_before_the_release(world: World) -> None:
    world.release(ReleaseWay.AFTER_CALL)
    sign(world)
    assert notices.mail_families() == {"mailed_families": 0}


def test_who_may_no_longer_read_gets_no_mail(world: World) -> None:
    access = PortalAccess.objects.get(user=world.guardian)
    sign(world)
    revoke_portal_access(actor=SETUP, access=access)
    assert notices.mail_families() == {"mailed_families": 0}
    assert not mail.outbox


def test_it_is_off_where_no_mail_is_set_up(world: World, settings: Any) -> None:
    settings.PORTAL_MAILS = False
    sign(world)
    notices.mail_families()
    settings.PORTAL_MAILS = True
    assert notices.mail_families() == {"mailed_families": 0}, "no flood when it is switched on"
    assert not mail.outbox


def test_a_mail_server_that_is_away_is_tried_again_for_a_day(
    world: World, monkeypatch: Any
) -> None:
    def away(*_: Any) -> None:
        raise ConnectionRefusedError

    sign(world)
    with monkeypatch.context() as patched:
        patched.setattr(mailing, "send_mail", away)
        assert notices.mail_families() == {"mailed_families": 0}
    assert notices.mail_families() == {"mailed_families": 1}
    DiagnosticReport.objects.update(mail_due=True)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert notices.mail_families() == {"mailed_families": 0}


def test_a_watch_that_dies_while_it_mails_leaves_the_family_to_another(
    world: World, monkeypatch: Any
) -> None:
    """Not at once, for the first may only be slow."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    sign(world)
    with monkeypatch.context() as dying:
        dying.setattr(mailing, "send_mail", killed)
        with pytest.raises(KeyboardInterrupt):
            notices.mail_families()
    assert notices.mail_families() == {"mailed_families": 0}
    with time_machine.travel(timezone.now() + mailing.LEASE):
        assert notices.mail_families() == {"mailed_families": 1}
        assert notices.mail_families() == {"mailed_families": 0}


def test_what_is_released_anew_while_the_mail_goes_is_mailed_as_well(
    world: World, monkeypatch: Any
) -> None:
    report = sign(world, "benign")
    send_mail = mailing.send_mail

    def slowly(*letter: Any) -> None:
        monkeypatch.setattr(mailing, "send_mail", send_mail)
        amend(world, report, "pro_b")
        send_mail(*letter)

    monkeypatch.setattr(mailing, "send_mail", slowly)
    assert notices.mail_families() == {"mailed_families": 1}
    with time_machine.travel(timezone.now() + mailing.LEASE):
        assert notices.mail_families() == {"mailed_families": 1}
        assert notices.mail_families() == {"mailed_families": 0}


# --- who read what ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["portal-report", "portal-report-live", "portal-pdf"])
def test_the_first_reading_of_a_version_is_kept(world: World, name: str) -> None:
    report = sign(world)
    open_page(world.guardian, report, name)
    open_page(world.guardian, report, name)
    receipt = Receipt.objects.get()
    assert (receipt.user, receipt.version, receipt.signed) == (
        world.guardian,
        report.versions.get().version,
        True,
    )


def test_the_list_and_the_staffs_own_reading_are_no_receipt(world: World) -> None:
    report = sign(world)
    client = Client()
    client.force_login(world.guardian)
    client.get(reverse("portal"))
    open_page(world.haematologist, report, "case")
    assert not Receipt.objects.exists()


def test_after_an_amendment_the_page_says_what_it_replaces_and_staff_know_who_read(
    world: World,
) -> None:
    report = sign(world, "benign")
    first = report.versions.get().version
    second_parent = world.stranger
    grant_portal_access(
        actor=SETUP, patient=world.patient, user=second_parent, relation=Relation.GUARDIAN
    )
    open_page(world.guardian, report)
    report = amend(world, report, "pro_b")
    assert "This replaces what you read on" in open_page(world.guardian, report)
    assert "This replaces what you read on" in open_page(world.guardian, report)
    assert "This replaces" not in open_page(second_parent, report), "had read nothing before"
    assert [r.user for r in readers_of(report, first)] == [world.guardian]
    newest = report.versions.first()
    assert newest is not None
    assert {r.user for r in readers_of(report, newest.version)} == {world.guardian, second_parent}
    case = open_page(world.technician, report, "case")
    assert case.count("Nadia Rahman") == 3  # two versions read, the second of them again


def test_what_was_read_before_the_signature_is_replaced_by_it(world: World) -> None:
    world.at_once()
    report = world.reported()
    assert "This replaces" not in open_page(world.guardian, report)
    report = look_and_sign(world.haematologist, report, "benign")
    assert "This replaces what you read on" in open_page(world.guardian, report)


def test_the_picture_is_closed_until_somebody_wants_it(world: World) -> None:
    from diagnostics.models import FieldImage

    report = sign(world)
    FieldImage.objects.update(state="accepted")
    page = open_page(world.guardian, report)
    assert '<details class="pictures" id="pictures"><summary>' in page
    assert 'width="224" height="224"' in page
