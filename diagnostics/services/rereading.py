"""Who had read what was changed since, and is to be told until they have read what stands."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from diagnostics.models import DiagnosticReport, Receipt, ReportVersion, Rereading
from hospital.accounts.models import User
from hospital.audit.models import ActorKind, Entry

# Reading on the case page or over the API, and copies on paper; portal copies have receipts.
_BY_STAFF = ("report.read", "report.printed")


def ask(report: DiagnosticReport, *, but: Any) -> int:
    """Note who is to read `report` again, at the version it has now; in the caller's transaction.

    All who were shown a signed version, by the portal's receipts and the audit trail, but for
    whoever made the change. Returns how many.
    """
    rows = [
        Rereading(report=report, version=report.version, user_id=user, in_portal=in_portal)
        for in_portal, users in [(True, _families(report)), (False, _staff(report) - {but.pk})]
        for user in sorted(users)
    ]
    Rereading.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def done(*, user: Any, report: DiagnosticReport, in_portal: bool) -> None:
    """`user` has been shown what stands now: they need not be told any more."""
    mine = Rereading.objects.filter(report=report, user=user, in_portal=in_portal, read_at=None)
    mine.update(read_at=timezone.now())


def _families(report: DiagnosticReport) -> set[UUID]:
    read = Receipt.objects.filter(report=report, signed=True, version__lt=report.version)
    return set(read.values_list("user_id", flat=True))


def _staff(report: DiagnosticReport) -> set[UUID]:
    first = ReportVersion.objects.filter(report=report).order_by("version").first()
    if first is None:
        return set()
    read = Entry.objects.filter(
        subject_type=report._meta.label_lower,
        subject_id=str(report.pk),
        action__in=_BY_STAFF,
        actor_kind=ActorKind.USER,
        at__gte=first.signed_at,
    )
    rows = read.values_list("actor_id", "detail")
    ids = {UUID(actor) for actor, detail in rows if not detail.get("in_portal")}
    return set(User.objects.filter(pk__in=ids).values_list("pk", flat=True))
