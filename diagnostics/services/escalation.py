"""Who is told when nobody has called: the clinic's chain, taken step by step by the watch.

The rows are the truth: a step is a row that can be there once, the mail is sent from it. So two
watches at once tell nobody twice, and one that dies loses nothing: see `hospital.base.mailing`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from diagnostics.models import CallBack, CallBackState, Escalation, EscalationStep
from hospital.accounts.roles import Role
from hospital.accounts.selectors import clinic_topic, staff_mails
from hospital.audit.services import Actor, record
from hospital.base import mailing
from hospital.live.services import publish

WATCH = Actor.system("watch")
# The chain of a clinic that has given none.
USUAL = ((0, Role.HAEMATOLOGIST), (30, Role.HAEMATOLOGIST), (60, Role.ADMINISTRATOR))


def chain_of(clinic_id: UUID) -> list[EscalationStep]:
    """The clinic's steps in order; the usual ones, not stored, where it has none."""
    own = EscalationStep.objects.filter(clinic=clinic_id).select_related("person")
    steps = list(own.order_by("minutes", "pk"))
    return steps or [
        EscalationStep(clinic_id=clinic_id, minutes=minutes, role=role) for minutes, role in USUAL
    ]


def first_step_at(clinic_id: UUID, raised_at: datetime) -> datetime:
    """When the first of the clinic's steps is due for what is raised at `raised_at`."""
    return raised_at + timedelta(minutes=chain_of(clinic_id)[0].minutes)


def sweep() -> dict[str, int]:
    """Take every step that is due, and mail what was not mailed. Safe beside another.

    Returns how many steps were taken, and how many were mailed to somebody.
    """
    due = CallBack.objects.filter(state=CallBackState.OPEN, next_at__lte=timezone.now())
    pks = list(due.order_by("next_at").values_list("pk", flat=True)[:200])
    return {"escalated": sum(_take(pk) for pk in pks), "mailed_call_backs": _mail_due()}


@transaction.atomic
def _take(pk: UUID) -> int:
    """Tell those who are next; how many steps of the chain that were."""
    rows = CallBack.objects.select_for_update().filter(pk=pk, state=CallBackState.OPEN)
    call_back = rows.filter(next_at__lte=timezone.now()).first()
    if call_back is None:
        return 0
    chain = chain_of(call_back.clinic_id)
    minutes = min((s.minutes for s in chain if s.minutes > call_back.told_minutes), default=None)
    if minutes is None:
        CallBack.objects.filter(pk=pk).update(next_at=None)
        return 0
    steps = [step for step in chain if step.minutes == minutes]
    Escalation.objects.bulk_create(
        [
            Escalation(call_back=call_back, minutes=minutes, role=step.role, person=step.person)
            for step in steps
        ],
        ignore_conflicts=True,
    )
    call_back.told_minutes = minutes
    call_back.next_at = _next_at(call_back, chain)
    call_back.save(update_fields=["told_minutes", "next_at"])
    record(
        WATCH,
        "call_back.escalated",
        call_back,
        clinic_id=call_back.clinic_id,
        patient_id=call_back.patient_id,
        minutes=minutes,
        to=[step.role or str(step.person_id) for step in steps],
    )
    publish_change(call_back)
    return len(steps)


def _next_at(call_back: CallBack, chain: Sequence[EscalationStep]) -> datetime | None:
    later = [step.minutes for step in chain if step.minutes > call_back.told_minutes]
    return call_back.raised_at + timedelta(minutes=min(later)) if later else None


def publish_change(call_back: CallBack) -> None:
    """Let every open screen of the clinic look again: the banner stands on each."""
    topics = [clinic_topic(call_back.clinic_id)]
    publish("critical.changed", call_back.pk, version=0, topics=topics)


# --- mail -------------------------------------------------------------------------------------


def _mail_due() -> int:
    fresh = Escalation.objects.filter(mailed_at=None, at__gte=timezone.now() - mailing.NEWS)
    rows = fresh.filter(call_back__state=CallBackState.OPEN).select_related("call_back__clinic")
    waiting = rows.order_by("at")[:200]
    return sum(_mail(row) for row in waiting if mailing.claim(row, mailed_at=None))


def _mail(row: Escalation) -> bool:
    clinic = row.call_back.clinic
    to = staff_mails(clinic, Role(row.role)) if row.role else [row.person.email]  # type: ignore[union-attr]
    subject = _("[%(clinic)s] A result has to be told at once") % {"clinic": clinic.name}
    letter = subject, _text(row.call_back)
    ours = Escalation.objects.filter(pk=row.pk, mailed_at=None)
    letters = {address: letter for address in to if address}
    return mailing.send(ours, letters, mailed_at=timezone.now())


def _text(call_back: CallBack) -> str:
    """Neither whose it is nor what it says: mails are read by others."""
    at = timezone.localtime(call_back.raised_at)
    finding = call_back.findings.first()
    lines = [
        _("A result has been waiting to be told since %(at)s.") % {"at": f"{at:%Y-%m-%d %H:%M %Z}"}
    ]
    if finding and settings.PUBLIC_URL:
        lines.append(f"{settings.PUBLIC_URL}/cases/{finding.report_id}/")
    lines += ["", _("Sign in to see which it is, and note there whom you have told.")]
    return "\n".join(lines)


# --- the chain --------------------------------------------------------------------------------


@transaction.atomic
def save_step(*, actor: Actor, step: EscalationStep) -> EscalationStep:
    """Validate and store a new or changed step; it holds at once for what is open.

    Raises:
        django.core.exceptions.ValidationError: it names nobody, or a role and a person.
    """
    step.full_clean()
    step.save()
    _changed(actor, "escalation_step.changed", step)
    return step


@transaction.atomic
def drop_step(*, actor: Actor, step: EscalationStep) -> None:
    """Take a step out of the chain; without any the usual ones hold."""
    _changed(actor, "escalation_step.dropped", step)
    clinic_id = step.clinic_id
    step.delete()
    _retime(clinic_id)


def _changed(actor: Actor, action: str, step: EscalationStep) -> None:
    detail = {"minutes": step.minutes, "to": step.role or str(step.person_id)}
    record(actor, action, step, clinic_id=step.clinic_id, **detail)
    _retime(step.clinic_id)


def _retime(clinic_id: UUID) -> None:
    chain = chain_of(clinic_id)
    for call_back in CallBack.objects.filter(clinic=clinic_id, state=CallBackState.OPEN):
        CallBack.objects.filter(pk=call_back.pk, told_minutes=call_back.told_minutes).update(
            next_at=_next_at(call_back, chain)
        )
