"""Critical results: a malignant pattern raises a call-back, which stands until it was read back.

`judge_all` looks at reports whenever they have changed. What is critical, and whose word counts,
is the clinic's rule (`ReadingRule.critical`); who has to be told when nobody calls is in
`escalation`, the calls themselves in `contacts`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

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
    ReadingRule,
    ReportStatus,
)
from diagnostics.models.critical import TOLD
from diagnostics.models.report import WITHDRAWN
from diagnostics.services import escalation
from diagnostics.services.reading_rules import rule_in, rules_in
from diagnostics.services.release import group_of
from hospital.audit.models import Entry
from hospital.audit.services import Actor, entry, record_all
from hospital.base.states import StaleState, advance

RULE = Actor.system("critical results")
# A report, whose word on it is critical, and what that says.
Critical: TypeAlias = tuple[DiagnosticReport, CriticalSource, str]
# How a call may have said it: one about what is signed covers the model's word; not the other way
# round. A correction has to be told of the very report.
_SAID_AS = {
    CriticalSource.MODEL: [CriticalSource.MODEL, CriticalSource.SIGNED],
    CriticalSource.SIGNED: [CriticalSource.SIGNED],
    CriticalSource.CHANGED: [CriticalSource.SIGNED],
    CriticalSource.WITHDRAWN: [CriticalSource.WITHDRAWN],
}
_REPEATED = (CriticalSource.MODEL, CriticalSource.SIGNED)


def judge(report: DiagnosticReport) -> None:
    """Do for one report what `judge_all` does."""
    judge_all([report])


@transaction.atomic(savepoint=False)
def judge_all(reports: Iterable[DiagnosticReport]) -> None:
    """Raise what is critical in `reports`, locked by the caller; drop what is so no more.

    A word of the model's that is withdrawn by the model itself drops nothing: a person has to say.
    A worker's whole batch takes as many statements as one report.
    """
    found = _findings_of(reports)
    patients = {report.patient_id for report, _ in found}
    # First the lock: a call that is noted just now has settled this, or has not seen it.
    waiting = _open_call_backs(patients)
    read_back = _read_back_to(patients)
    untold: list[Critical] = []
    for report, what in found:
        call = _read_back(report, *what) if what and report.patient_id in read_back else None
        if what and call is None:
            untold.append((report, *what))
            continue
        if what and call and call.call_back and call.report_id != report.pk:
            _add_all([(report, *what)], {report.patient_id: call.call_back})
        call_back = waiting.get(report.patient_id)
        if call_back and _drop(call_back, report):
            del waiting[report.patient_id]
    _raise_all(untold, waiting)


def open_call_back(report: DiagnosticReport) -> CallBack | None:
    """The call-back of the report's patient that waits, if any does, locked."""
    return _open_call_backs({report.patient_id}).get(report.patient_id)


def _open_call_backs(patients: Collection[UUID]) -> dict[UUID, CallBack]:
    """The call-backs that wait, by patient, locked in one order everywhere.

    Whoever adds to one, or ends it, holds it: so nothing joins what has just been ended.
    """
    if not patients:
        return {}
    rows = CallBack.objects.select_for_update().filter(state=CallBackState.OPEN)
    return {one.patient_id: one for one in rows.filter(patient__in=patients).order_by("patient")}


def _read_back_to(patients: Collection[UUID]) -> set[UUID]:
    """Those of whom something was ever read back: few, and the others need no closer look."""
    if not patients:
        return set()
    calls = ContactTry.objects.filter(outcome=CallEnd.CONFIRMED, report__patient__in=patients)
    return set(calls.order_by().values_list("report__patient", flat=True))


def _findings_of(
    reports: Iterable[DiagnosticReport],
) -> list[tuple[DiagnosticReport, tuple[CriticalSource, str] | None]]:
    """Those in which something is critical, and what; and those on which a person has decided."""
    likely = [report for report in reports if _stands(report) or _is_decided(report)]
    rules = rules_in({report.clinic_id for report in likely}) if likely else {}
    found = [(report, finding_of(report, rules[report.clinic_id])) for report in likely]
    return [(report, what) for report, what in found if what or _is_decided(report)]


def finding_of(
    report: DiagnosticReport, rule: ReadingRule | None = None
) -> tuple[CriticalSource, str] | None:
    """What is critical in `report` as it stands, and whose word it is; None when nothing is.

    That a malignant pattern was told which stands no more is critical as well. `rule` is that of
    the report's clinic, from whoever has it already.
    """
    stands = _stands(report)
    # By far the most.
    if not (stands or report.is_signed or report.status == ReportStatus.ENTERED_IN_ERROR):
        return None
    rule = rule or rule_in(report.clinic_id)
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


def _stands(report: DiagnosticReport) -> bool:
    """Whether it says that the pattern is malignant."""
    return report.status not in WITHDRAWN and group_of(report) == ConclusionGroup.MALIGNANT


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


def _raise_all(found: Sequence[Critical], waiting: dict[UUID, CallBack]) -> None:
    """Have each wait in its patient's call-back: one of `waiting`, which are locked, or a new."""
    clinics = {report.patient_id: report.clinic_id for report, *_ in found}
    raised: set[UUID] = set()
    # Another sample's may be raised at this moment, and be ended before it is held here.
    while missing := sorted(clinics.keys() - waiting.keys()):
        now = timezone.now()
        due = {clinic: escalation.first_step_at(clinic, now) for clinic in set(clinics.values())}
        new = [
            CallBack(
                clinic_id=clinics[patient],
                patient_id=patient,
                raised_at=now,
                next_at=due[clinics[patient]],
            )
            for patient in missing
        ]
        CallBack.objects.bulk_create(new, ignore_conflicts=True)
        raised |= {call_back.pk for call_back in new}
        waiting |= _open_call_backs(missing)
    _add_all(found, waiting, raised=raised)


def _add_all(
    found: Sequence[Critical],
    call_backs: Mapping[UUID, CallBack],
    *,
    raised: Collection[UUID] = (),
) -> None:
    """Note what was found in the call-backs of its patients, unless it stands there.

    The reports are locked by the caller: nobody else adds the same. `raised` are the call-backs
    that begin with it.
    """
    if not found:
        return
    known = set(
        CriticalFinding.objects.filter(report__in=[report for report, *_ in found])
        .order_by()
        .values_list("call_back", "report", "source", "value")
    )
    findings, entries, begun = [], [], set(raised)
    for report, source, value in found:
        call_back = call_backs[report.patient_id]
        if (call_back.pk, report.pk, source, value) in known:
            continue
        action = "call_back.raised" if call_back.pk in begun else "call_back.repeated"
        begun.discard(call_back.pk)
        entries.append(_entry(action, call_back, report))
        findings.append(
            CriticalFinding(
                call_back=call_back,
                report=report,
                source=source,
                value=value,
                version=report.version,
            )
        )
    record_all(entries, beside=[findings])
    for call_back in {one.call_back for one in findings}:
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
    record_all([_entry("call_back.raised", waiting, report)])
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


def _drop(call_back: CallBack, report: DiagnosticReport) -> bool:
    """End `call_back` if nothing of `report` has to be told any more, nor of the others in it."""
    reports = _reports_of(call_back)
    if report not in reports or any(_has_to_be_told(one) for one in reports):
        return False
    close(call_back, CallBackState.DROPPED)
    record_all([_entry("call_back.dropped", call_back, report)])
    return True


def close(call_back: CallBack, to: CallBackState) -> bool:
    """End an open call-back; False when another was first."""
    try:
        advance(call_back, to, closed_at=timezone.now(), next_at=None)
    except StaleState:
        return False
    escalation.publish_change(call_back)
    return True


def _entry(action: str, call_back: CallBack, report: DiagnosticReport) -> Entry:
    return entry(
        RULE,
        action,
        call_back,
        clinic_id=call_back.clinic_id,
        patient_id=call_back.patient_id,
        detail={"report": str(report.pk), "version": report.version},
    )
