"""Reports: rebuilt from what the model found, verified, stored and told of. Signing: `signing`."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from diagnostics.models import DiagnosticReport, FieldImage, ReportStatus, Specimen
from diagnostics.models.report import UNSIGNED
from diagnostics.services import guards, release
from diagnostics.services.findings import counting, findings_of
from hospital.accounts.selectors import clinic_topic
from hospital.audit.services import Actor, record
from hospital.base.states import advance
from hospital.live.services import publish
from patients.selectors import patient_topic

PIPELINE = Actor.system("pipeline")
# What changes without a step of the table; the rest is written by `advance`, with the step.
MOVING = (
    *("findings", "impression", "certainty", "last_picture"),
    *("version", "updated_at", "waiting", *release.SETTLED),
)


@transaction.atomic(savepoint=False)
def rebuild(specimen: Specimen) -> DiagnosticReport:
    """Bring the specimen's report up to what its analyses say now, and tell the open screens.

    A signed report keeps its status, conclusion and frozen version; only its findings move on, so
    that the clinic sees that pictures came after the signature.
    """
    return _rebuilt(_opened(specimen, "clinic"), specimen)


@transaction.atomic(savepoint=False)
def count_in(specimen: Specimen, images: Sequence[FieldImage]) -> DiagnosticReport:
    """Do what `rebuild` does when nothing has changed but that `images` are new and unanalysed.

    Without reading what is there already: under the report's lock its findings are what the
    other analyses say, and a picture without a result changes nothing but the counts.
    """
    report = _opened(specimen)
    if not report.findings:
        return _rebuilt(report, specimen)
    fields = dict(report.findings["fields"])
    fields["total"] += len(images)
    for image in images:
        standing = "held" if image.held else "pending"
        fields[standing] = fields.get(standing, 0) + 1
    synthetic = report.findings["synthetic"] or any(image.synthetic for image in images)
    report.last_picture = max(report.last_picture, *(image.received_at for image in images))
    return _renew(report, {**report.findings, "fields": fields, "synthetic": synthetic})


def _opened(specimen: Specimen, *with_: str) -> DiagnosticReport:
    """The specimen's report, locked; made now if this is its first picture.

    Args:
        with_: what is read in the same statement; what is not is read when it is asked for.
    """
    try:
        report = locked(*with_, specimen_id=specimen.pk)
    except DiagnosticReport.DoesNotExist:
        report = DiagnosticReport(
            specimen=specimen, clinic_id=specimen.clinic_id, patient_id=specimen.patient_id
        )
        # Two first pictures may race to make it: one of them does, and both lock the same row.
        DiagnosticReport.objects.bulk_create([report], ignore_conflicts=True)
        report = locked(*with_, specimen_id=specimen.pk)
    report.specimen = specimen
    return report


def _rebuilt(report: DiagnosticReport, specimen: Specimen) -> DiagnosticReport:
    pictures = FieldImage.objects.filter(specimen=specimen)
    images = list(pictures.only("sha256", "synthetic", "received_at", "held", "rejection"))
    report.last_picture = max((i.received_at for i in images), default=report.created_at)
    return _renew(report, findings_of(specimen, images))


def _renew(report: DiagnosticReport, findings: dict[str, Any]) -> DiagnosticReport:
    changed = findings != report.findings
    report.findings = findings
    report.impression = findings["leading"]
    report.certainty = findings["certainty"]
    if changed and report.waiting_id is not None:
        # Who read it first had not seen this.
        audit(PIPELINE, "report.reading_lapsed", report)
        report.waiting = None
    _follow_findings(report, changed=changed)
    save_and_tell(report)
    return report


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
        names = ("findings", "impression", "certainty", "last_picture", "waiting")
        findings = {name: getattr(report, name) for name in names}
        advance(report, wanted, field="status", verified_by=None, verified_at=None, **findings)


def save_and_tell(report: DiagnosticReport, *, bump: bool = True) -> None:
    """Store the report's new version and publish it to those who may see it, or could so far."""
    if bump:
        report.version += 1
    report.updated_at = timezone.now()
    was_open = release.is_open(report)
    release.settle(report)
    report.save(update_fields=MOVING)
    topics = [clinic_topic(report.clinic_id)]
    # Also a page that has to let go of the report is told.
    if was_open or release.is_open(report):
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
