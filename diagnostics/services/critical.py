"""Critical results: a malignant pattern raises a call-back, which stands until it was read back.

`judge` looks at a report whenever it has changed. What is critical, and whose word counts, is the
clinic's rule (`ReadingRule.critical`); who has to be told when nobody calls is in `escalation`, the
calls themselves in `contacts`.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from diagnostics.models import (
    CallBack,
    CallBackState,
    CallEnd,
    Conclusion,
    ConclusionGroup,
    ContactTry,
    CriticalFinding,
    CriticalFrom,
    CriticalSource,
    DiagnosticReport,
    ReportStatus,
)
from diagnostics.models.critical import TOLD
from diagnostics.models.report import WITHDRAWN
from diagnostics.services import escalation
from diagnostics.services.reading_rules import rule_in
from diagnostics.services.release import group_of
from hospital.audit.services import Actor, record
from hospital.base.states import StaleState, advance

RULE = Actor.system("critical results")
# How a call may have said it: one about what is signed covers the model's word; not the other way
# round. A correction has to be told of the very report.
_SAID_AS = {
    CriticalSource.MODEL: [CriticalSource.MODEL, CriticalSource.SIGNED],
    CriticalSource.SIGNED: [CriticalSource.SIGNED],
    CriticalSource.CHANGED: [CriticalSource.SIGNED],
    CriticalSource.WITHDRAWN: [CriticalSource.WITHDRAWN],
}
_REPEATED = (CriticalSource.MODEL, CriticalSource.SIGNED)


@transaction.atomic(savepoint=False)
def judge(report: DiagnosticReport) -> None:
    """Raise what is critical in `report`, locked by the caller; drop what is so no more.

    A word of the model's that is withdrawn by the model itself drops nothing: a person has to say.
    """
    found = finding_of(report)
    if found is None and not _is_decided(report):
        return
    # First the lock: a call that is noted just now has settled this, or has not seen it.
    waiting = open_call_back(report)
    call = _read_back(report, *found) if found else None
    if found and call is None:
        _raise(waiting, report, *found)
        return
    if found and call and call.call_back and call.report_id != report.pk:
        _add(call.call_back, report, *found)
    if waiting:
        _drop(waiting, report)


def open_call_back(report: DiagnosticReport) -> CallBack | None:
    """The call-back of the report's patient that waits, if any does, locked.

    Whoever adds to it, or ends it, holds it: so nothing joins what has just been ended.
    """
    rows = CallBack.objects.select_for_update()
    return rows.filter(patient=report.patient_id, state=CallBackState.OPEN).first()


def finding_of(report: DiagnosticReport) -> tuple[CriticalSource, str] | None:
    """What is critical in `report` as it stands, and whose word it is; None when nothing is.

    That a malignant pattern was told which stands no more is critical as well.
    """
    stands = report.status not in WITHDRAWN and group_of(report) == ConclusionGroup.MALIGNANT
    # By far the most, and asked for each report of a worker's batch.
    if not (stands or report.is_signed or report.status == ReportStatus.ENTERED_IN_ERROR):
        return None
    rule = rule_in(report.clinic_id)
    if rule.critical == CriticalFrom.NEVER:
        return None
    if not stands:
        return _instead_of_what_was_told(report)
    if report.is_signed:
        return CriticalSource.SIGNED, report.conclusion
    # Where a reader has to call first, the model's word is out once one has.
    if rule.critical == CriticalFrom.SIGNED or (report.blind and not report.own_calls.exists()):
        return None
    return CriticalSource.MODEL, report.impression


def _instead_of_what_was_told(report: DiagnosticReport) -> tuple[CriticalSource, str] | None:
    malignant = [one for one in Conclusion if one.malignant]
    if not report.contacts.filter(outcome__in=TOLD, value__in=malignant).exists():
        return None
    if report.status == ReportStatus.ENTERED_IN_ERROR:
        return CriticalSource.WITHDRAWN, report.conclusion
    return (CriticalSource.CHANGED, report.conclusion) if report.is_signed else None


def _is_decided(report: DiagnosticReport) -> bool:
    """Whether a person has said what the report says."""
    return report.is_signed or report.status in WITHDRAWN


def _read_back(report: DiagnosticReport, source: CriticalSource, value: str) -> ContactTry | None:
    """The call by which just this was read back; None while it has to be told.

    One about the report itself, after which nothing else was told. Or, of a report of which
    nothing else was ever told, one about the same result of another sample of the patient, at
    most `repeat_hours` before this became known.
    """
    calls = ContactTry.objects.filter(
        outcome=CallEnd.CONFIRMED, source__in=_SAID_AS[source], value=value
    ).order_by("at")
    own = calls.filter(report=report)
    otherwise = report.contacts.filter(outcome__in=TOLD).exclude(value=value).order_by("at").last()
    if otherwise:
        return own.filter(at__gt=otherwise.at).last()
    if source not in _REPEATED:
        return own.last()
    known = CriticalFinding.objects.filter(report=report, source=source, value=value)
    first = known.order_by("at").first()
    rule = rule_in(report.clinic_id)
    since = (first.at if first else timezone.now()) - timedelta(hours=rule.repeat_hours)
    others = calls.filter(report__patient=report.patient_id, call_back__isnull=False, at__gte=since)
    return own.last() or others.first()


def _raise(
    call_back: CallBack | None, report: DiagnosticReport, source: CriticalSource, value: str
) -> None:
    now, new = timezone.now(), False
    # Another sample's may be raised at this moment, and be ended before it is held here.
    while call_back is None:
        _, new = CallBack.objects.get_or_create(
            patient_id=report.patient_id,
            state=CallBackState.OPEN,
            defaults={
                "clinic_id": report.clinic_id,
                "raised_at": now,
                "next_at": escalation.first_step_at(report.clinic_id, now),
            },
        )
        call_back = open_call_back(report)
    _add(call_back, report, source, value, action="call_back.raised" if new else "")


def _add(
    call_back: CallBack,
    report: DiagnosticReport,
    source: CriticalSource,
    value: str,
    *,
    action: str = "",
) -> None:
    _, new = CriticalFinding.objects.get_or_create(
        call_back=call_back,
        report=report,
        source=source,
        value=value,
        defaults={"version": report.version},
    )
    if new:
        _audit(action or "call_back.repeated", call_back, report)
        escalation.publish_change(call_back)


def settle(call_back: CallBack, call: ContactTry) -> None:
    """End `call_back`, held by the caller, by a call that was read back, for what that has said.

    What it has not said waits on in a call-back of its own, timed by when it was found.
    """
    reports = _reports_of(call_back)
    left = [report for report in reports if _has_to_be_told(report)]
    told = [report for report in reports if report not in left]
    if not any(report.pk == call.report_id or finding_of(report) for report in told):
        return
    close(call_back, CallBackState.CONFIRMED)
    if left:
        _wait_on(call_back.findings.filter(report__in=left).order_by("at", "pk"))


def _wait_on(findings: Iterable[CriticalFinding]) -> None:
    """Have `findings` of a patient, the first first, wait in a new call-back."""
    first, *others = findings
    report = first.report
    waiting = CallBack.objects.create(
        clinic_id=report.clinic_id,
        patient_id=report.patient_id,
        raised_at=first.at,
        next_at=escalation.first_step_at(report.clinic_id, first.at),
    )
    # A finding is written once: where it waited before, its row stays, and counts as moved.
    CriticalFinding.objects.bulk_create(
        CriticalFinding(
            call_back=waiting,
            report_id=one.report_id,
            version=one.version,
            source=one.source,
            value=one.value,
            at=one.at,
        )
        for one in (first, *others)
    )
    _audit("call_back.raised", waiting, report)
    escalation.publish_change(waiting)


def _has_to_be_told(report: DiagnosticReport) -> bool:
    """Whether a report that was found critical still has to be told, or a person has to say."""
    if found := finding_of(report):
        return _read_back(report, *found) is None
    if _is_decided(report):
        return False
    # The model took it back by itself.
    last = report.critical_findings.latest("at")
    return not report.contacts.filter(outcome=CallEnd.CONFIRMED, at__gte=last.at).exists()


def _reports_of(call_back: CallBack) -> list[DiagnosticReport]:
    found = call_back.findings.order_by().values("report")
    return list(DiagnosticReport.objects.filter(pk__in=found).order_by("pk"))


def _drop(call_back: CallBack, report: DiagnosticReport) -> None:
    """End `call_back` if nothing of `report` has to be told any more, nor of the others in it."""
    reports = _reports_of(call_back)
    if report in reports and not any(_has_to_be_told(one) for one in reports):
        close(call_back, CallBackState.DROPPED)
        _audit("call_back.dropped", call_back, report)


def close(call_back: CallBack, to: CallBackState) -> bool:
    """End an open call-back; False when another was first."""
    try:
        advance(call_back, to, closed_at=timezone.now(), next_at=None)
    except StaleState:
        return False
    escalation.publish_change(call_back)
    return True


def _audit(action: str, call_back: CallBack, report: DiagnosticReport) -> None:
    record(
        RULE,
        action,
        call_back,
        clinic_id=call_back.clinic_id,
        patient_id=call_back.patient_id,
        report=str(report.pk),
        version=report.version,
    )
