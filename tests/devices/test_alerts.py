"""An alert is opened once, closed once, told to those concerned, and mailed once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.utils import timezone

from devices.models import Alert, AlertKind
from devices.services.alerts import clear_alert, mail_alerts, raise_alert
from hospital.accounts.selectors import fleet_topic, live_topics
from hospital.audit.models import Entry
from hospital.base import mailing
from hospital.live.models import Event
from tests.world import World, found

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(world: World) -> Any:
    """The clinic's device manager, with a mail address."""
    world.device_manager.email = "dev@north.example"
    world.device_manager.save()
    return world.device_manager


def said() -> list[tuple[str, str]]:
    told = Event.objects.exclude(kind="reading_rule.changed")  # of the hospital's founding
    return list(told.values_list("kind", "topic"))


def deeds() -> list[str]:
    return list(
        Entry.objects.filter(action__startswith="alert.")
        .order_by("pk")
        .values_list("action", flat=True)
    )


def test_an_alert_is_raised_once_and_cleared_once(world: World) -> None:
    kind = AlertKind.BACKLOG
    assert raise_alert(device=world.device, kind=kind, detail="12 wait")
    assert not raise_alert(device=world.device, kind=kind, detail="13 wait")
    assert Alert.objects.get(cleared_at=None).detail == "12 wait"
    assert clear_alert(device=world.device, kind=kind)
    assert not clear_alert(device=world.device, kind=kind)
    assert raise_alert(device=world.device, kind=kind)
    assert Alert.objects.filter(device=world.device, kind=kind).count() == 2


def test_alerts_of_different_kinds_and_microscopes_do_not_meet(world: World) -> None:
    raise_alert(device=world.device, kind=AlertKind.DISK)
    assert raise_alert(device=world.device, kind=AlertKind.CLOCK)
    assert raise_alert(device=world.other_device, kind=AlertKind.DISK)
    assert clear_alert(device=world.device, kind=AlertKind.DISK)
    assert Alert.objects.filter(cleared_at=None).count() == 2


def test_of_two_who_clear_at_once_one_did(world: World, monkeypatch: Any) -> None:
    """Both found it open; only one of them tells of it."""
    raise_alert(device=world.device, kind=AlertKind.SILENT)
    stale = Alert.objects.get()
    monkeypatch.setattr(
        "django.db.models.query.QuerySet.first",
        lambda rows: stale if rows.model is Alert else None,
    )
    assert clear_alert(device=world.device, kind=AlertKind.SILENT)
    assert not clear_alert(device=world.device, kind=AlertKind.SILENT)
    assert deeds() == ["alert.raised", "alert.cleared"]


def test_every_change_is_audited_and_told_to_the_clinics_fleet_only(world: World) -> None:
    raise_alert(device=world.device, kind=AlertKind.SILENT)
    raise_alert(device=world.device, kind=AlertKind.SILENT)
    clear_alert(device=world.device, kind=AlertKind.SILENT)
    assert deeds() == ["alert.raised", "alert.cleared"]
    assert said() == [("device.changed", fleet_topic(world.clinic.pk))] * 2
    assert Entry.objects.filter(action="alert.raised").get().clinic_id == world.clinic.pk


def test_who_may_see_microscopes_hears_of_them(world: World) -> None:
    ours = fleet_topic(world.clinic.pk)
    assert ours in live_topics(world.technician)
    assert live_topics(world.device_manager) == [ours]
    assert ours not in live_topics(world.haematologist)
    assert ours not in live_topics(world.outsider)


def test_a_device_manager_is_mailed_once(world: World, manager: Any) -> None:
    raise_alert(device=world.device, kind=AlertKind.DISK, detail="1 GB left")
    assert mail_alerts() == 1
    assert mail_alerts() == 0
    (letter,) = mail.outbox
    assert letter.to == ["dev@north.example"]
    assert "Bench SN-1: Disk nearly full" in letter.subject
    assert "1 GB left" in letter.body


def test_what_happens_together_comes_in_one_mail(world: World, manager: Any) -> None:
    for kind in (AlertKind.DISK, AlertKind.CLOCK, AlertKind.SILENT):
        raise_alert(device=world.device, kind=kind)
    assert mail_alerts() == 3
    (letter,) = mail.outbox
    assert "and 2 more" in letter.subject


def test_what_is_over_before_the_mail_goes_is_not_mailed(world: World, manager: Any) -> None:
    raise_alert(device=world.device, kind=AlertKind.SILENT)
    clear_alert(device=world.device, kind=AlertKind.SILENT)
    assert (mail_alerts(), mail.outbox) == (0, [])


def test_another_clinics_managers_are_not_mailed(world: World, manager: Any) -> None:
    raise_alert(device=world.other_device, kind=AlertKind.SILENT)
    mail_alerts()
    assert mail.outbox == []


def test_who_has_left_is_not_mailed(world: World, manager: Any) -> None:
    manager.is_active = False
    manager.save()
    raise_alert(device=world.device, kind=AlertKind.SILENT)
    mail_alerts()
    assert mail.outbox == []


def test_a_mail_server_that_is_away_delays_the_mail(
    world: World, manager: Any, monkeypatch: Any
) -> None:
    def away(*_: Any) -> None:
        raise ConnectionRefusedError

    raise_alert(device=world.device, kind=AlertKind.SILENT)
    with monkeypatch.context() as patched:
        patched.setattr(mailing, "send_mail", away)
        assert mail_alerts() == 0
    assert mail_alerts() == 1
    assert len(mail.outbox) == 1


def test_a_watch_that_dies_while_it_mails_leaves_the_alerts_to_another(
    world: World, manager: Any, monkeypatch: Any
) -> None:
    """Not at once, for the first may only be slow."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    raise_alert(device=world.device, kind=AlertKind.SILENT)
    raise_alert(device=world.device, kind=AlertKind.DISK)
    with monkeypatch.context() as dying:
        dying.setattr(mailing, "send_mail", killed)
        with pytest.raises(KeyboardInterrupt):
            mail_alerts()
    assert not Alert.objects.exclude(mailed_at=None).exists()
    assert mail_alerts() == 0
    with time_machine.travel(timezone.now() + mailing.LEASE):
        assert mail_alerts() == 2
        assert mail_alerts() == 0


def test_old_news_is_not_mailed(world: World, manager: Any) -> None:
    raise_alert(device=world.device, kind=AlertKind.SILENT)
    Alert.objects.update(raised_at=timezone.now() - timedelta(days=2))
    assert mail_alerts() == 0


def test_a_name_with_a_line_break_makes_no_second_header(world: World, manager: Any) -> None:
    world.device.name = "Bench\nBcc: all@north.example"
    world.device.save()
    raise_alert(device=world.device, kind=AlertKind.SILENT)
    mail_alerts()
    assert "\n" not in mail.outbox[0].subject


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_at_once_raise_one_and_clear_one() -> None:
    world = found()
    kind = AlertKind.SILENT
    assert sorted(both(lambda: raise_alert(device=world.device, kind=kind))) == [False, True]
    assert sorted(both(lambda: clear_alert(device=world.device, kind=kind))) == [False, True]
    assert Alert.objects.filter(device=world.device).count() == 1
    assert deeds() == ["alert.raised", "alert.cleared"]


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_at_once_mail_once() -> None:
    world = found()
    world.device_manager.email = "dev@north.example"
    world.device_manager.save()
    raise_alert(device=world.device, kind=AlertKind.SILENT)
    assert sorted(both(mail_alerts)) == [0, 1]
    assert len(mail.outbox) == 1


def both(act: Callable[[], Any]) -> list[Any]:
    """What two who act at the same moment get."""
    together = Barrier(2)

    def one(_: int) -> Any:
        together.wait()
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as hands:
        return list(hands.map(one, range(2)))
