"""What every page's header says: where somebody works, what they may open, what waits there."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery

from devices.models import Alert
from diagnostics.models import CallBack, CallBackState, ReadingRule
from hospital.accounts.models import Clinic
from hospital.accounts.roles import GRANTS
from hospital.accounts.selectors import clinics_where

OWN_CALLS = {"diagnostics.add_owncall", "diagnostics.view_owncall"}


@dataclass(frozen=True)
class Header:
    """What one person's header depends on."""

    permissions: frozenset[str]  # held somewhere
    alerts: int  # open, of the microscopes that they may see
    calls_first: bool  # a clinic in which they make or see own calls wants them


def workplaces_of(user: Any) -> QuerySet[Any]:
    """The clinics where `user` works or reads cases, by name: a row for each `role` of theirs.

    A clinic that they only read in, as a superuser or in an emergency, has a row without a role.
    Each row has `reads`, whether they see the clinic's cases; `alerts`, how many are open there,
    or None; `calls_first`, whether its readers make their own call first; and `untold`, whether a
    critical result waits to be told. All at once, because every page asks for them: one query.
    """
    if not (user.is_authenticated and user.is_active):
        return Clinic.objects.none()
    reads = clinics_where(user, "diagnostics.view_diagnosticreport").filter(pk=OuterRef("pk"))
    alerts = Alert.objects.filter(cleared_at=None, device__clinic=OuterRef("pk")).order_by()
    number = alerts.values("device__clinic").annotate(n=Count("pk")).values("n")
    rules = ReadingRule.objects.filter(clinic=OuterRef("pk"), own_call_first=True)
    call_backs = CallBack.objects.filter(clinic=OuterRef("pk"), state=CallBackState.OPEN)
    rows = Clinic.objects.annotate(
        held=FilteredRelation("memberships", condition=Q(memberships__user=user)),
        role=F("held__role"),
        reads=Exists(reads),
        alerts=Subquery(number),
        calls_first=Exists(rules),
        untold=Exists(call_backs),
    )
    return rows.filter(Q(reads=True) | Q(role__isnull=False))


def header_of(user: Any, workplaces: Iterable[Any]) -> Header:
    """The header of `user`, who works in `workplaces`, as `workplaces_of` gives them."""
    everything = frozenset().union(*GRANTS.values()) if user.is_superuser else frozenset()
    granted = [(row, everything or GRANTS.get(row.role, frozenset())) for row in workplaces]
    alerts = {row.pk: row.alerts or 0 for row, held in granted if "devices.view_device" in held}
    return Header(
        permissions=everything.union(*(held for _, held in granted)),
        alerts=sum(alerts.values()),
        calls_first=any(row.calls_first and held & OWN_CALLS for row, held in granted),
    )
