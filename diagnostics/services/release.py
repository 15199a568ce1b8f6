"""When a family may read a report: decided here, stored as a time, read by everybody else.

`opens_at` is the one rule. Whatever changes a report, its clinic's rules or the patient's wish
stores its answer in `portal_from`; `open_now` and `is_open` compare that with the clock. So a page,
the PDF, the pictures and the socket agree, and a time that comes by itself needs nobody: who opens
the page after it sees the report, the sweep only tells of it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from diagnostics.models import (
    Certainty,
    Conclusion,
    ConclusionGroup,
    ContactTry,
    Deed,
    DiagnosticReport,
    ReleaseRule,
    ReleaseWay,
    ReleaseWish,
    ReportStatus,
    Signature,
    Wish,
)
from diagnostics.models.critical import FAMILY, TOLD
from diagnostics.models.report import SIGNED, UNSIGNED
from diagnostics.services.report_row import audit_all, locked, tell, under_lock
from hospital.accounts.models import Clinic
from hospital.audit.services import Actor, record
from patients.models import Patient

RULE = Actor.system("release rule")
# What `settle` writes.
SETTLED = ("portal_from", "released_at", "mail_due")
_READABLE_UNSIGNED = frozenset({ReportStatus.PARTIAL, ReportStatus.PRELIMINARY})


# --- the rule ---------------------------------------------------------------------------------


def opens_at(report: DiagnosticReport, rule: ReleaseRule | None, wish: str) -> datetime | None:
    """From when the family may read `report` as it stands; None as long as it may not.

    Args:
        rule: the clinic's for this group of conclusions; None is ON_SIGNATURE.
        wish: the patient's, which goes before the rule.
    """
    way = rule.way if rule else ReleaseWay.ON_SIGNATURE
    if wish == Wish.AFTER_CALL:
        way = ReleaseWay.AFTER_CALL
    if wish == Wish.NOT_IN_PORTAL or not _says_something(report):
        return None
    if not report.is_signed:
        return report.created_at if way == ReleaseWay.AT_ONCE else None
    signed_at = report.signed_at or report.updated_at
    if way == ReleaseWay.AFTER_CALL:
        call = told(report)
        return call.at if call else None
    hours = (rule.hours if rule else None) or 0
    return signed_at + timedelta(hours=hours) if way == ReleaseWay.AFTER_HOURS else signed_at


def group_of(report: DiagnosticReport) -> ConclusionGroup:
    """Which rule is about `report`: by what was signed, before that by the model's impression."""
    said = report.conclusion if report.is_signed else report.impression
    unsure = not report.is_signed and report.certainty in {"", Certainty.UNCERTAIN}
    if not said or unsure or said == Conclusion.UNDETERMINED:
        return ConclusionGroup.UNDETERMINED
    malignant = Conclusion(said).malignant
    return ConclusionGroup.MALIGNANT if malignant else ConclusionGroup.BENIGN


def rule_for(report: DiagnosticReport) -> ReleaseRule | None:
    """The clinic's most specific rule about `report`, as it stands now."""
    return _rule_among(_rules([report]), report)


def wish_of(patient_id: UUID) -> str:
    """How the patient wants to learn of results."""
    wish = ReleaseWish.objects.filter(patient_id=patient_id).values_list("wish", flat=True)
    return wish.first() or Wish.AS_RULE


def _rules(reports: Iterable[DiagnosticReport]) -> dict[tuple[UUID, str], ReleaseRule]:
    """All rules of the reports' clinics, by clinic and group."""
    rules = ReleaseRule.objects.filter(clinic__in={report.clinic_id for report in reports})
    return {(rule.clinic_id, rule.group): rule for rule in rules.order_by()}


def _rule_among(
    rules: dict[tuple[UUID, str], ReleaseRule], report: DiagnosticReport
) -> ReleaseRule | None:
    clinic = report.clinic_id
    return rules.get((clinic, group_of(report))) or rules.get((clinic, ConclusionGroup.ANY))


def open_now() -> Q:
    """The reports that their families may read, for a query; a withdrawn one only as being so."""
    return Q(portal_from__lte=timezone.now()) & ~Q(status=ReportStatus.CANCELLED)


def is_open(report: DiagnosticReport) -> bool:
    """Whether its family may read `report`: what `open_now` says of one in memory."""
    if report.portal_from is None or report.status == ReportStatus.CANCELLED:
        return False
    return report.portal_from <= timezone.now()


def told(report: DiagnosticReport) -> ContactTry | None:
    """The first call by which the family was told what stands signed now, of `contacts`."""
    if not report.is_signed or report.signed_at is None:
        return None
    calls = report.contacts.filter(relation__in=FAMILY, outcome__in=TOLD, at__gte=report.signed_at)
    return calls.select_related("by").order_by("at").first()


def _says_something(report: DiagnosticReport) -> bool:
    return report.status in SIGNED or (
        report.status in _READABLE_UNSIGNED and bool(report.impression)
    )


# --- keeping to it ----------------------------------------------------------------------------


def settle(report: DiagnosticReport) -> None:
    """Do for one report what `settle_all` does."""
    settle_all([report])


def settle_all(reports: Sequence[DiagnosticReport]) -> None:
    """Decide anew about `reports`, locked by the caller, who saves the fields of `SETTLED`."""
    # Of a picture that has just come in, no rule need be read.
    saying = [report for report in reports if _says_something(report)]
    wished = ReleaseWish.objects.filter(patient__in={report.patient_id for report in saying})
    wishes = dict(wished.order_by().values_list("patient_id", "wish")) if saying else {}
    rules = _rules(saying) if saying else {}
    for report in reports:
        wish = wishes.get(report.patient_id, Wish.AS_RULE)
        if report.status == ReportStatus.ENTERED_IN_ERROR:
            report.portal_from = _withdrawal(report)
        elif not _says_something(report):
            report.portal_from = None
        elif not _in_hand(report) or wish == Wish.NOT_IN_PORTAL:
            report.portal_from = opens_at(report, _rule_among(rules, report), wish)
    _release(*(report for report in reports if is_open(report) and not _announced(report)))


def _withdrawal(report: DiagnosticReport) -> datetime | None:
    """Whoever was let in is told at once that what they read does not hold; nobody else."""
    if report.released_at is None or wish_of(report.patient_id) == Wish.NOT_IN_PORTAL:
        return None
    told = Signature.objects.filter(report=report, deed=Deed.WITHDRAWN).first()
    return told.at if told else report.updated_at


def _in_hand(report: DiagnosticReport) -> bool:
    """Whether the family could read what is signed already: a stricter rule does not take it back.

    What it could read before this signature does not count.
    """
    opened, signed_at = report.portal_from, report.signed_at
    return (
        report.is_signed and is_open(report) and bool(opened and signed_at and opened >= signed_at)
    )


def _announced(report: DiagnosticReport) -> bool:
    """Whether what stands now was released already, not only what stood before."""
    return bool(
        report.released_at and report.portal_from and report.released_at >= report.portal_from
    )


def _release(*reports: DiagnosticReport) -> None:
    for report in reports:
        report.released_at = timezone.now()
        report.mail_due = True
    audit_all(RULE, "report.released", reports)


def sweep() -> dict[str, int]:
    """Tell of the reports whose time has come. Safe beside another that does the same."""
    due = DiagnosticReport.objects.filter(open_now(), _unannounced()).order_by("portal_from")
    return {
        "released": sum(_release_due(pk) for pk in list(due.values_list("pk", flat=True)[:200]))
    }


def _unannounced() -> Q:
    return Q(released_at=None) | Q(released_at__lt=F("portal_from"))


@transaction.atomic
def _release_due(pk: UUID) -> bool:
    report = under_lock().filter(open_now(), _unannounced(), pk=pk).first()
    if report is None:
        return False
    _release(report)
    report.save(update_fields=SETTLED)
    tell(report, family=True)
    return True


def _resettle(reports: Iterable[UUID]) -> int:
    """Decide anew about these after a rule or wish has changed; returns how many it concerned.

    Args:
        reports: by their specimens, as `reports.rebuild_all` locks them: two who lock several
            must not wait for each other in turn.
    """
    return sum(_resettle_one(pk) for pk in reports)


def _resettle_one(pk: UUID) -> bool:
    report = locked(pk=pk)
    before, was_open = report.portal_from, is_open(report)
    settle(report)
    if report.portal_from == before:
        return False
    report.save(update_fields=SETTLED)
    tell(report, family=was_open or is_open(report))
    return True


# --- what people do ---------------------------------------------------------------------------


@transaction.atomic
def set_rule(
    *, actor: Actor, clinic: Clinic, group: str, way: str, hours: int | None = None
) -> ReleaseRule:
    """Give the clinic a rule for a group of conclusions, in place of the one it has.

    Raises:
        django.core.exceptions.ValidationError: hours are missing, or given where none belong.
    """
    rule = ReleaseRule.objects.filter(clinic=clinic, group=group).first()
    rule = rule or ReleaseRule(clinic=clinic, group=group)
    rule.way, rule.hours = way, hours
    return save_rule(actor=actor, rule=rule)


@transaction.atomic
def save_rule(*, actor: Actor, rule: ReleaseRule) -> ReleaseRule:
    """Validate and store a new or changed rule; it holds at once for what is not yet released.

    Raises: as `set_rule`.
    """
    rule.full_clean()
    rule.save()
    detail = {"group": rule.group, "way": rule.way, "hours": rule.hours}
    record(actor, "release_rule.changed", rule, clinic_id=rule.clinic_id, **detail)
    _resettle(_waiting_in(rule.clinic_id))
    return rule


@transaction.atomic
def drop_rule(*, actor: Actor, rule: ReleaseRule) -> None:
    """Take a rule away: the clinic's rule for any conclusion holds, else the signature."""
    record(actor, "release_rule.dropped", rule, clinic_id=rule.clinic_id, group=rule.group)
    clinic_id = rule.clinic_id
    rule.delete()
    _resettle(_waiting_in(clinic_id))


@transaction.atomic
def set_wish(*, actor: Actor, patient: Patient, wish: str) -> ReleaseWish:
    """Store how a patient wants to learn of results, in place of what was wished before."""
    row = ReleaseWish.objects.filter(patient=patient).first() or ReleaseWish(patient=patient)
    row.wish = wish
    return save_wish(actor=actor, wish=row)


@transaction.atomic
def save_wish(*, actor: Actor, wish: ReleaseWish) -> ReleaseWish:
    """Store how a patient wants to learn of results; it holds at once.

    'Not in the portal' also hides what was there; another wish brings that back.
    """
    wish.full_clean()
    wish.save()
    patient: Patient = wish.patient
    whose = {"clinic_id": patient.clinic_id, "patient_id": patient.pk}
    record(actor, "release_wish.changed", patient, **whose, wish=wish.wish)
    reports = DiagnosticReport.objects.filter(patient=patient).order_by("specimen_id")
    _resettle(reports.values_list("pk", flat=True))
    return wish


def follow_call(report: DiagnosticReport) -> None:
    """Decide anew about `report`, locked by the caller, after a call about it was noted."""
    settle(report)
    report.save(update_fields=SETTLED)
    tell(report, family=is_open(report))


def _waiting_in(clinic_id: UUID) -> list[UUID]:
    """The clinic's reports that a change of its rules concerns, by their specimens."""
    closed = Q(portal_from=None) | Q(portal_from__gt=timezone.now())
    concerned = Q(status__in=UNSIGNED) & ~Q(impression="") | Q(status__in=SIGNED) & closed
    rows = DiagnosticReport.objects.filter(concerned, clinic_id=clinic_id)
    return list(rows.order_by("specimen_id").values_list("pk", flat=True))
