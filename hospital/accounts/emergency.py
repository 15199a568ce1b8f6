"""Breaking the glass: reading another clinic's cases in an emergency, for a while, seen by all.

It lets a reader read, nothing else, and only who reads in some clinic anyway. Whoever answers for
the clinic is told at once; what was read meanwhile is in the audit trail like any other reading.
"""

import logging
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from hospital.accounts.models import BreakGlass, Clinic, User
from hospital.accounts.roles import BREAK_GLASS, Role
from hospital.accounts.selectors import clinics_where, may, staff_mails
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.live.services import recheck

log = logging.getLogger(__name__)

SHORTEST_REASON = 15


def visible_to(user: User) -> QuerySet[BreakGlass]:
    """One's own that are in force, and those into the clinics whose trail one may read."""
    rows = BreakGlass.objects.select_related("user", "clinic")
    watched = rows.filter(clinic__in=clinics_where(user, "audit.view_entry"))
    return watched | rows.filter(user=user, ended_at=None, ends_at__gt=timezone.now())


def clinics_closed_to(user: User) -> QuerySet[Clinic]:
    """The clinics whose cases `user` may not read now."""
    open_ = clinics_where(user, "diagnostics.view_diagnosticreport")
    return Clinic.objects.exclude(pk__in=open_.values("pk"))


@transaction.atomic
def begin(*, user: User, clinic: Clinic, reason: str) -> BreakGlass:
    """Let `user` read the clinic's cases for BREAK_GLASS_MINUTES. They have proved who they are.

    Raises:
        Forbidden: their role does not read cases anywhere.
        Refusal: no reason that could be judged (`reason_missing`).
        Conflict: they may read there already (`access_exists`).
    """
    if not clinics_where(user, BREAK_GLASS).exists():
        raise Forbidden(_("This is for those who read cases."))
    if len(reason.strip()) < SHORTEST_REASON:
        raise Refusal(
            _("Say in a sentence why it cannot wait. The clinic will read it."),
            code="reason_missing",
        )
    if not clinics_closed_to(user).filter(pk=clinic.pk).exists():
        raise Conflict(_("You may read this clinic's cases already."), code="access_exists")
    now = timezone.now()
    opened = BreakGlass.objects.create(
        user=user,
        clinic=clinic,
        reason=reason.strip(),
        begun_at=now,
        ends_at=now + timedelta(minutes=settings.BREAK_GLASS_MINUTES),
    )
    minutes = settings.BREAK_GLASS_MINUTES
    told = {"reason": opened.reason, "minutes": minutes}
    record(Actor.user(user), "break_glass.begun", opened, clinic_id=clinic.pk, **told)
    recheck(user.pk)
    transaction.on_commit(partial(_alert, opened), robust=True)
    return opened


@transaction.atomic
def end(*, user: User, opened: BreakGlass) -> None:
    """End it early: one's own, or as an administrator of the clinic. Ending it twice is fine.

    Raises:
        Forbidden: it is neither.
    """
    if opened.user_id != user.pk and not may(user, "accounts.change_membership", opened.clinic_id):
        raise Forbidden(_("Only they themselves and the clinic's administrators may end this."))
    living = BreakGlass.objects.filter(pk=opened.pk, ended_at=None)
    if living.update(ended_at=timezone.now()):
        record(Actor.user(user), "break_glass.ended", opened, clinic_id=opened.clinic_id)
        recheck(opened.user_id)


def _alert(opened: BreakGlass) -> None:
    """Tell the clinic's administrators and the privacy officers, each by a mail of their own."""
    addresses = {*staff_mails(opened.clinic, Role.ADMINISTRATOR), *settings.PRIVACY_OFFICER_MAILS}
    subject = f"Break-glass access to {opened.clinic}"
    text = (
        f"{opened.user} reads the cases of {opened.clinic} until "
        f"{timezone.localtime(opened.ends_at):%H:%M}.\n\n"
        f"Reason given: {opened.reason}\n\n"
        f"To look at it or end it: {settings.PUBLIC_URL}/emergency/\n"
    )
    for address in sorted(addresses):
        try:
            send_mail(subject, text, None, [address])
        except OSError:
            log.warning("an alert of a break-glass access could not be mailed", exc_info=True)
