"""Reports: rebuilt from what the model found, verified, stored and told of. Signing: `signing`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from diagnostics.models import DiagnosticReport, FieldImage, ReportStatus, Specimen
from diagnostics.models.report import UNSIGNED
from diagnostics.services import guards, release
from diagnostics.services.findings import counting, findings_of, latest_analyses
from hospital.accounts.selectors import clinic_topic
from hospital.audit.services import Actor, record
from hospital.base.states import advance, ensure_step
from hospital.live.services import publish, published_together
from patients.selectors import patient_topic

PIPELINE = Actor.system("pipeline")
# What moves with the findings; what people decide is written by `advance`, with the step.
MOVING = (
    *("status", "verified_by", "verified_at", "waiting"),
    *("findings", "impression", "certainty", "last_picture"),
    *("version", "updated_at", *release.SETTLED),
)


def rebuild(specimen: Specimen) -> DiagnosticReport:
    """Do for one specimen what `rebuild_all` does."""
    (report,) = rebuild_all([specimen])
    return report


@transaction.atomic(savepoint=False)
def rebuild_all(specimens: Iterable[Specimen]) -> list[DiagnosticReport]:
    """Bring the specimens' reports up to what their analyses say now, and tell the open screens.

    Each once, locked in one order everywhere, and in as many statements however many there are. A
    signed report keeps its status, conclusion and frozen version; only its findings move on, so
    that the clinic sees that pictures came after the signature.
    """
    by_key = {specimen.pk: specimen for specimen in specimens}
    return _rebuilt(_opened([by_key[pk] for pk in sorted(by_key)])) if by_key else []


@transaction.atomic(savepoint=False)
def count_in(specimen: Specimen, images: Sequence[FieldImage]) -> DiagnosticReport:
    """Do what `rebuild` does when nothing has changed but that `images` are new and unanalysed.

    Without reading what is there already: under the report's lock its findings are what the
    other analyses say, and a picture without a result changes nothing but the counts.
    """
    (report,) = _opened([specimen])
    if not report.findings:
        _rebuilt([report])
        return report
    fields = dict(report.findings["fields"])
    fields["total"] += len(images)
    for image in images:
        standing = "held" if image.held else "pending"
        fields[standing] = fields.get(standing, 0) + 1
    synthetic = report.findings["synthetic"] or any(image.synthetic for image in images)
    report.last_picture = max(report.last_picture, *(image.received_at for image in images))
    _renew(report, {**report.findings, "fields": fields, "synthetic": synthetic})
    save_and_tell(report)
    return report


def _opened(specimens: Sequence[Specimen]) -> list[DiagnosticReport]:
    """The specimens' reports, locked in this order; made now where the first picture has come."""
    found = _locked_of(specimens)
    if missing := [specimen for specimen in specimens if specimen.pk not in found]:
        # Two first pictures may race to make it: one of them does, and both lock the same row.
        new = [
            DiagnosticReport(specimen=s, clinic_id=s.clinic_id, patient_id=s.patient_id)
            for s in missing
        ]
        DiagnosticReport.objects.bulk_create(new, ignore_conflicts=True)
        found |= _locked_of(missing)
    for specimen in specimens:
        found[specimen.pk].specimen = specimen
    return [found[specimen.pk] for specimen in specimens]


def _locked_of(specimens: Sequence[Specimen]) -> dict[UUID, DiagnosticReport]:
    rows = DiagnosticReport.objects.select_for_update(of=("self",)).order_by("specimen_id")
    return {report.specimen_id: report for report in rows.filter(specimen__in=specimens)}


def _rebuilt(reports: list[DiagnosticReport]) -> list[DiagnosticReport]:
    specimens = [report.specimen_id for report in reports]
    images: dict[UUID | None, list[FieldImage]] = defaultdict(list)
    columns = "specimen_id", "sha256", "synthetic", "received_at", "held", "rejection"
    for image in FieldImage.objects.filter(specimen__in=specimens).only(*columns):
        images[image.specimen_id].append(image)
    latest = latest_analyses(specimens)
    for report in reports:
        pictures = images[report.specimen_id]
        report.last_picture = max((i.received_at for i in pictures), default=report.created_at)
        _renew(report, findings_of(pictures, latest))
    save_and_tell(*reports)
    return reports


def _renew(report: DiagnosticReport, findings: dict[str, Any]) -> None:
    changed = findings != report.findings
    report.findings = findings
    report.impression = findings["leading"]
    report.certainty = findings["certainty"]
    if changed and report.waiting_id is not None:
        # Who read it first had not seen this.
        audit(PIPELINE, "report.reading_lapsed", report)
        report.waiting = None
    _follow_findings(report, changed=changed)


@transaction.atomic
def verify(*, user: Any, report: DiagnosticReport, version: int) -> DiagnosticReport:
    """A technician has looked: the report becomes preliminary.

    Raises:
        Forbidden: `user` may not verify in this clinic.
        hospital.base.states.StaleState: the report changed since the page was loaded.
        hospital.base.states.IllegalTransition: it is past that.
        Conflict: every picture is held ('all_held').
    """
    guards.ensure_may(user, "diagnostics.verify_diagnosticreport", report)
    report = locked("clinic", "specimen", pk=report.pk)
    guards.ensure_current(report, version)
    guards.ensure_something_counts(report)
    advance(
        report,
        ReportStatus.PRELIMINARY,
        field="status",
        verified_by=user,
        verified_at=timezone.now(),
    )
    audit(Actor.user(user), "report.verified", report)
    save_and_tell(report)
    return report


def locked(*with_: str, **which: Any) -> DiagnosticReport:
    """The report under a row lock, so that concurrent rebuilds and signatures take turns."""
    reports = DiagnosticReport.objects.select_for_update(of=("self",)).order_by()
    return (reports.select_related(*with_) if with_ else reports).get(**which)


def _follow_findings(report: DiagnosticReport, *, changed: bool) -> None:
    """Move an unsigned report to the status that its findings call for."""
    if report.status not in UNSIGNED:
        return
    fields = report.findings["fields"]
    analysed = counting(fields) - fields.get("pending", 0)
    wanted = ReportStatus.PARTIAL if analysed else ReportStatus.REGISTERED
    if report.status == ReportStatus.PRELIMINARY and not changed:
        return
    if report.status != wanted:
        # Locked since it was read, and saved with the rest: no compare-and-swap is needed.
        ensure_step(report, wanted, field="status")
        report.status = wanted
        report.verified_by = report.verified_at = None


def save_and_tell(*reports: DiagnosticReport, bump: bool = True) -> None:
    """Store the reports' new versions and publish them to those who may see them, or could."""
    was_open = {report.pk for report in reports if release.is_open(report)}
    for report in reports:
        report.version += bump
        report.updated_at = timezone.now()
    release.settle_all(reports)
    if len(reports) == 1:
        reports[0].save(update_fields=MOVING)
    else:
        # An upsert of rows that exist and are locked: an UPDATE with other values for each row.
        DiagnosticReport.objects.bulk_create(
            reports, update_conflicts=True, unique_fields=["id"], update_fields=MOVING
        )
    with published_together():
        for report in reports:
            topics = [clinic_topic(report.clinic_id)]
            # Also a page that has to let go of the report is told.
            if report.pk in was_open or release.is_open(report):
                topics.append(patient_topic(report.patient_id))
            publish("report.changed", report.pk, version=report.version, topics=topics)


def tell_changed(specimen: Specimen) -> None:
    """Let open screens look again at a case of which something beside the report has changed."""
    report = DiagnosticReport.objects.filter(specimen=specimen).first()
    if report:
        topics = [clinic_topic(report.clinic_id)]
        publish("report.changed", report.pk, version=report.version, topics=topics)


def audit(actor: Actor, action: str, report: DiagnosticReport, **detail: Any) -> None:
    """Note in the audit trail what `actor` did with the report, at which version."""
    record(
        actor,
        action,
        report,
        clinic_id=report.clinic_id,
        patient_id=report.patient_id,
        version=report.version,
        **detail,
    )
