"""Who is told when nobody has called: the clinic's chain, taken step by step by the watch.

The rows are the truth: a step is a row that can be there once, the mail is sent from it. So two
watches at once tell nobody twice, and one that dies loses nothing: see `hospital.base.mailing`.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.expressions import CombinedExpression
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from diagnostics.models import (
    CallBack,
    CallBackState,
    CriticalFinding,
    Escalation,
    EscalationStep,
)
from hospital.accounts.roles import Role
from hospital.accounts.selectors import clinic_topic, staff_mails
from hospital.audit.models import Entry
from hospital.audit.services import Actor, entry, record, record_all
from hospital.base import mailing
from hospital.live.services import publish, published_together

WATCH = Actor.system("watch")
AT_ONCE = 200  # call-backs a round; what is left comes with the next
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
    return {"escalated": _take_due(), "mailed_call_backs": _mail_due()}


@transaction.atomic
def _take_due() -> int:
    """Tell those who are next; how many steps of the chains that were."""
    due = CallBack.objects.filter(state=CallBackState.OPEN, next_at__lte=timezone.now())
    # What somebody else holds is being told of, or is taken by another watch.
    rows = due.order_by("next_at").select_for_update(skip_locked=True)[:AT_ONCE]
    alike: dict[tuple[UUID, int], list[CallBack]] = defaultdict(list)
    for row in rows:
        alike[row.clinic_id, row.told_minutes].append(row)
    with published_together():
        return sum(_take(chain_of(clinic), said, some) for (clinic, said), some in alike.items())


def _take(chain: Sequence[EscalationStep], said: int, call_backs: Sequence[CallBack]) -> int:
    """Take the step after `said` for call-backs of one clinic; how many steps that were."""
    rows = CallBack.objects.filter(pk__in=[one.pk for one in call_backs])
    minutes = _after(chain, said)
    if minutes is None:
        rows.update(next_at=None)
        return 0
    steps = [step for step in chain if step.minutes == minutes]
    Escalation.objects.bulk_create(
        [
            Escalation(call_back=call_back, minutes=minutes, role=step.role, person=step.person)
            for call_back in call_backs
            for step in steps
        ],
        ignore_conflicts=True,
    )
    rows.update(told_minutes=minutes, next_at=_due(_after(chain, minutes)))
    told = {"minutes": minutes, "to": [step.role or str(step.person_id) for step in steps]}
    record_all([_entry(call_back, told) for call_back in call_backs])
    for call_back in call_backs:
        publish_change(call_back)
    return len(steps) * len(call_backs)


def _entry(call_back: CallBack, told: dict[str, Any]) -> Entry:
    return entry(
        WATCH,
        "call_back.escalated",
        call_back,
        clinic_id=call_back.clinic_id,
        patient_id=call_back.patient_id,
        detail=told,
    )


def _after(chain: Sequence[EscalationStep], minutes: int) -> int | None:
    """When the step after `minutes` is due, in minutes after the result; None for the last."""
    return min((step.minutes for step in chain if step.minutes > minutes), default=None)


def _due(minutes: int | None) -> CombinedExpression | None:
    """The time so many minutes after each call-back's result, as an expression."""
    return None if minutes is None else F("raised_at") + timedelta(minutes=minutes)


def publish_change(call_back: CallBack) -> None:
    """Let every open screen of the clinic look again: the banner stands on each."""
    topics = [clinic_topic(call_back.clinic_id)]
    publish("critical.changed", call_back.pk, version=0, topics=topics)


# --- mail -------------------------------------------------------------------------------------


def _mail_due() -> int:
    """Mail what was not mailed; how many steps were. Whom several wait for, one mail tells."""
    fresh = Escalation.objects.filter(mailed_at=None, at__gte=timezone.now() - mailing.NEWS)
    rows = fresh.filter(call_back__state=CallBackState.OPEN)
    waiting = rows.select_related("call_back__clinic", "person").order_by("at")[:AT_ONCE]
    alike: dict[tuple[UUID, str, UUID | None], list[Escalation]] = defaultdict(list)
    for row in waiting:
        alike[row.call_back.clinic_id, row.role, row.person_id].append(row)
    return sum(_mail(mailing.claim(some, mailed_at=None)) for some in alike.values())


def _mail(rows: Sequence[Escalation]) -> int:
    """Mail steps of one clinic that tell the same people; how many were mailed."""
    if not rows:
        return 0
    clinic, role, person = rows[0].call_back.clinic, rows[0].role, rows[0].person
    to = staff_mails(clinic, Role(role)) if role else [person.email]  # type: ignore[union-attr]
    subject = ngettext(
        "[%(clinic)s] A result has to be told at once",
        "[%(clinic)s] %(count)d results have to be told at once",
        len(rows),
    ) % {"clinic": clinic.name, "count": len(rows)}
    letter = subject, _text([row.call_back for row in rows])
    ours = Escalation.objects.filter(pk__in=[row.pk for row in rows], mailed_at=None)
    letters = {address: letter for address in to if address}
    return len(rows) if mailing.send(ours, letters, mailed_at=timezone.now()) else 0


def _text(call_backs: Sequence[CallBack]) -> str:
    """Neither whose they are nor what they say: mails are read by others."""
    findings = CriticalFinding.objects.filter(call_back__in=call_backs).order_by("-at", "-pk")
    reports = {one.call_back_id: one.report_id for one in findings}  # of the first of each
    lines = []
    for call_back in call_backs:
        at = timezone.localtime(call_back.raised_at)
        said = _("A result has been waiting to be told since %(at)s.")
        lines.append(said % {"at": f"{at:%Y-%m-%d %H:%M %Z}"})
        if settings.PUBLIC_URL and (report := reports.get(call_back.pk)):
            lines.append(f"{settings.PUBLIC_URL}/cases/{report}/")
        lines.append("")
    lines.append(_("Sign in to see which it is, and note there whom you have told."))
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
    waiting = CallBack.objects.filter(clinic=clinic_id, state=CallBackState.OPEN).order_by()
    for said in set(waiting.values_list("told_minutes", flat=True)):
        waiting.filter(told_minutes=said).update(next_at=_due(_after(chain, said)))
