"""Promises about a call that nobody makes: the next are told, each once."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from diagnostics.models import (
    CallBack,
    CallBackState,
    DiagnosticReport,
    Escalation,
    EscalationStep,
    Specimen,
)
from diagnostics.services import escalation
from hospital.accounts.models import User
from hospital.accounts.roles import Role
from hospital.base import mailing
from tests.diagnostics.test_critical import CLINICIAN, second, sign
from tests.world import SETUP, World, add_patient, add_specimen

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain(world: World) -> World:
    """Haematologists at once, the technician by name after 20 minutes, administrators after 60."""
    people = (world.haematologist, world.technician, world.administrator)
    for user in people:
        User.objects.filter(pk=user.pk).update(email=f"{user.username}@example.org")
    for minutes, to in ((20, {"person": world.technician}), (60, {"role": Role.ADMINISTRATOR})):
        step = EscalationStep(clinic=world.clinic, minutes=minutes, **to)
        escalation.save_step(actor=SETUP, step=step)
    return world


def swept_at(minutes: float) -> list[str]:
    """To whom the watch mails when it comes so many minutes after the result."""
    mail.outbox.clear()
    raised = CallBack.objects.get().raised_at
    with time_machine.travel(raised + timedelta(minutes=minutes)):
        escalation.sweep()
    return sorted(message.to[0] for message in mail.outbox)


def test_who_is_next_is_told_when_nobody_has_called(chain: World) -> None:
    sign(chain, chain.reported())
    assert swept_at(0.1) == ["haematologist@example.org"]
    assert swept_at(0.2) == []
    assert swept_at(19) == []
    assert swept_at(20.5) == ["technician@example.org"]
    assert swept_at(61) == ["administrator@example.org"]
    assert swept_at(1000) == []
    assert Escalation.objects.count() == 3


def test_a_mail_tells_neither_whose_result_it_is_nor_what(chain: World, settings: Any) -> None:
    settings.PUBLIC_URL = "https://lab.example.org"
    report = sign(chain, chain.reported())
    swept_at(1)
    (message,) = mail.outbox
    text = f"{message.subject} {message.body}"
    for secret in ("Rahman", "Amina", "N-2026", "N-1", "Pre-B", "leuk", "alignant"):
        assert secret not in text
    assert f"/cases/{report.pk}/" in text


def others(world: World, count: int) -> list[DiagnosticReport]:
    """Critical results of so many more patients."""
    reports = []
    before = 700 + Specimen.objects.count()
    for number in range(before, before + count):
        patient = add_patient(world.clinic, f"N-{number}", "Sultana", "Rina")
        specimen = add_specimen(patient, f"S-{number}")
        world.succeed(world.receive(number, specimen=specimen))
        reports.append(sign(world, DiagnosticReport.objects.get(specimen=specimen)))
    return reports


def test_whom_several_results_wait_for_is_told_by_one_mail(chain: World, settings: Any) -> None:
    settings.PUBLIC_URL = "https://lab.example.org"
    reports = [sign(chain, chain.reported()), *others(chain, 2)]
    escalation.sweep()
    (message,) = mail.outbox
    assert "3 results" in message.subject
    for report in reports:
        assert message.body.count(f"/cases/{report.pk}/") == 1
    assert not Escalation.objects.filter(mailed_at=None).exists()
    assert CallBack.objects.filter(told_minutes=0).count() == 3
    for back in CallBack.objects.all():
        assert back.next_at == back.raised_at + timedelta(minutes=20)


def test_each_goes_its_own_way_through_the_chain(chain: World) -> None:
    """What was raised later is told later, and what is told leaves the others where they are."""
    first = sign(chain, chain.reported())
    start = CallBack.objects.get().raised_at
    with time_machine.travel(start + timedelta(minutes=10)):
        escalation.sweep()
        others(chain, 1)
        mail.outbox.clear()
        escalation.sweep()
    assert [message.to[0] for message in mail.outbox] == ["haematologist@example.org"]
    with time_machine.travel(start + timedelta(minutes=21)):
        chain.call(first, **CLINICIAN, outcome="confirmed")
        mail.outbox.clear()
        escalation.sweep()
        assert not mail.outbox
    with time_machine.travel(start + timedelta(minutes=31)):
        escalation.sweep()
    assert [message.to[0] for message in mail.outbox] == ["technician@example.org"]


def test_a_round_asks_the_database_no_more_for_many_than_for_few(
    chain: World, django_assert_max_num_queries: Any
) -> None:
    sign(chain, chain.reported())
    others(chain, 1)
    with CaptureQueriesContext(connection) as few:
        escalation.sweep()
    others(chain, 6)
    with django_assert_max_num_queries(len(few)):
        assert escalation.sweep() == {"escalated": 6, "mailed_call_backs": 6}


def test_a_watch_that_was_away_tells_them_all_and_nobody_twice(chain: World) -> None:
    """One step a round, so that the first to be told have a chance."""
    sign(chain, chain.reported())
    told = [swept_at(90) for _ in range(5)]
    assert [len(one) for one in told] == [1, 1, 1, 0, 0]


def test_what_is_told_escalates_no_further(chain: World) -> None:
    report = sign(chain, chain.reported())
    swept_at(0.1)
    chain.call(report, **CLINICIAN, outcome="confirmed")
    assert swept_at(200) == []


def test_what_a_call_did_not_tell_is_escalated_by_its_own_time(chain: World) -> None:
    """From the step that is due by when it was found, whatever was escalated before."""
    told = sign(chain, chain.reported())
    with time_machine.travel(timezone.now() + timedelta(minutes=90)):
        for _ in range(3):
            escalation.sweep()
        sign(chain, second(chain), "pro_b")
    with time_machine.travel(timezone.now() + timedelta(minutes=95)):
        chain.call(told, **CLINICIAN, outcome="confirmed")
        waiting = CallBack.objects.get(state=CallBackState.OPEN)
        assert waiting.raised_at == waiting.findings.get().at
        mail.outbox.clear()
        escalation.sweep()
        escalation.sweep()
    assert [message.to[0] for message in mail.outbox] == ["haematologist@example.org"]


def test_a_mail_server_that_is_away_is_tried_again(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(chain, chain.reported())

    def away(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    with monkeypatch.context() as broken:
        broken.setattr(mailing, "send_mail", away)
        assert swept_at(0.1) == []
    assert swept_at(0.5) == ["haematologist@example.org"]
    assert swept_at(1) == []


def test_a_watch_that_dies_while_it_mails_has_told_nobody(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another tells them; not at once, for the first may only be slow."""
    sign(chain, chain.reported())

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(mailing, "send_mail", killed)
        with pytest.raises(KeyboardInterrupt):
            swept_at(0.1)
    assert Escalation.objects.get().mailed_at is None
    assert swept_at(0.5) == []
    assert swept_at(5) == ["haematologist@example.org"]
    assert swept_at(10) == []


def test_an_address_that_is_none_keeps_nobody_else_from_being_told(
    chain: World, colleague: User
) -> None:
    User.objects.filter(pk=colleague.pk).update(email="a line\nand another")
    sign(chain, chain.reported())
    assert swept_at(0.1) == ["haematologist@example.org"]


def test_a_changed_chain_holds_for_what_is_open(chain: World) -> None:
    sign(chain, chain.reported())
    swept_at(0.1)
    step = EscalationStep.objects.get(minutes=20)
    escalation.drop_step(actor=SETUP, step=step)
    assert swept_at(30) == []
    assert swept_at(60) == ["administrator@example.org"]


def test_a_clinic_without_a_chain_has_the_usual_one(world: World) -> None:
    EscalationStep.objects.filter(clinic=world.clinic).delete()
    sign(world, world.reported())
    assert CallBack.objects.get().next_at == CallBack.objects.get().raised_at
