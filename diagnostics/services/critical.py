"""Critical results: a malignant pattern raises a call-back, which stands until it was read back.

`judge` looks at a report whenever it has changed. What is critical, and whose word counts, is the
clinic's rule (`ReadingRule.critical`); who has to be told when nobody calls is in `escalation`, the
calls themselves in `contacts`.
"""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from diagnostics.models import (
    CallBack,
    CallBackState,
    Conclusion,
    ConclusionGroup,
    CriticalFinding,
    CriticalFrom,
    CriticalSource,
    DiagnosticReport,
    ReadingRule,
    ReportStatus,
)
from diagnostics.models.critical import TOLD
from diagnostics.models.report import WITHDRAWN
from diagnostics.services import escalation
from diagnostics.services.release import group_of
from hospital.audit.services import Actor, record
from hospital.base.states import StaleState, advance

RULE = Actor.system("critical results")
# A confirmed call about what is signed covers the model's word; not the other way round.
_COVERED_BY = {
    CriticalSource.MODEL: [CriticalSource.MODEL, CriticalSource.SIGNED],
    CriticalSource.SIGNED: [CriticalSource.SIGNED],
}


@transaction.atomic(savepoint=False)
def judge(report: DiagnosticReport) -> None:
    """Raise what is critical in `report`, locked by the caller; drop what is so no more.

    A word of the model's that is withdrawn by the model itself drops nothing: a person has to say.
    """
    found = finding_of(report)
    if found and not _is_told(report, *found):
        _raise(report, *found)
    elif found or report.is_signed or report.status in WITHDRAWN:
        _drop(report)


def finding_of(report: DiagnosticReport) -> tuple[CriticalSource, str] | None:
    """What is critical in `report` as it stands, and whose word it is; None when nothing is.

    That a malignant pattern was told which stands no more is critical as well.
    """
    stands = report.status not in WITHDRAWN and group_of(report) == ConclusionGroup.MALIGNANT
    # By far the most, and asked for each report of a worker's batch.
    if not (stands or report.is_signed or report.status == ReportStatus.ENTERED_IN_ERROR):
        return None
    rule = ReadingRule.objects.filter(pk=report.clinic_id).first() or ReadingRule()
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


def _told_otherwise(report: DiagnosticReport, value: str) -> bool:
    last = report.contacts.filter(outcome__in=TOLD).order_by("-at").first()
    return last is not None and last.value != value


def _is_told(report: DiagnosticReport, source: CriticalSource, value: str) -> bool:
    """Whether just this was read back, and nothing else was told since."""
    known = CriticalFinding.objects.filter(report=report, source=source, value=value)
    read_back = known.filter(call_back__state=CallBackState.CONFIRMED).exists()
    return read_back and not _told_otherwise(report, value)


def _raise(report: DiagnosticReport, source: CriticalSource, value: str) -> None:
    known = CriticalFinding.objects.filter(report=report, source=source, value=value)
    if known.filter(call_back__state=CallBackState.OPEN).exists():
        return
    otherwise = _told_otherwise(report, value)
    call_back, new = None if otherwise else _covering(report, source, value), False
    if call_back is None:
        now = timezone.now()
        call_back, new = CallBack.objects.get_or_create(
            patient_id=report.patient_id,
            state=CallBackState.OPEN,
            defaults={
                "clinic_id": report.clinic_id,
                "raised_at": now,
                "next_at": escalation.first_step_at(report.clinic_id, now),
            },
        )
    finding = {"report": report, "source": source, "value": value}
    CriticalFinding.objects.get_or_create(
        call_back=call_back, **finding, defaults={"version": report.version}
    )
    _audit("call_back.raised" if new else "call_back.repeated", call_back, report)
    escalation.publish_change(call_back)


def _covering(report: DiagnosticReport, source: CriticalSource, value: str) -> CallBack | None:
    """The call that was confirmed lately about the same result of the same patient, if any was."""
    rule = ReadingRule.objects.filter(pk=report.clinic_id).first() or ReadingRule()
    confirmed = CallBack.objects.filter(
        patient=report.patient_id,
        state=CallBackState.CONFIRMED,
        closed_at__gte=timezone.now() - timedelta(hours=rule.repeat_hours),
        findings__value=value,
        findings__source__in=_COVERED_BY.get(source, []),
    )
    return confirmed.order_by("-closed_at").first()


def _drop(report: DiagnosticReport) -> None:
    rows = CallBack.objects.filter(state=CallBackState.OPEN, findings__report=report).distinct()
    for call_back in rows:
        others = DiagnosticReport.objects.filter(critical_findings__call_back=call_back)
        if any(finding_of(other) for other in others.exclude(pk=report.pk).distinct()):
            continue
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
