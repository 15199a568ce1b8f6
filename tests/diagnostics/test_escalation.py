"""Promises about a call that nobody makes: the next are told, each once."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from diagnostics.models import (
    CallBack,
    CallBackState,
    Escalation,
    EscalationStep,
)
from diagnostics.services import escalation
from hospital.accounts.models import User
from hospital.accounts.roles import Role
from hospital.base import mailing
from tests.diagnostics.test_critical import CLINICIAN, second, sign
from tests.world import SETUP, World

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
