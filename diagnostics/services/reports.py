"""Reports: rebuilt from what the model found, verified, stored and told of. Signing: `signing`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from diagnostics.models import DiagnosticReport, FieldImage, ReportStatus, Specimen
from diagnostics.models.report import UNSIGNED
from diagnostics.services import critical, guards, own_call, release
from diagnostics.services.findings import counting, findings_of, latest_analyses
from diagnostics.services.reading_rules import rule_of
from diagnostics.services.report_row import audit, locked, tell
from hospital.accounts.guards import ensure_may
from hospital.audit.services import Actor
from hospital.base.logs import followed, following
from hospital.base.rows import rows_by, update
from hospital.base.states import advance, ensure_step
from hospital.live.services import published_together

PIPELINE = Actor.system("pipeline")
# What moves with the findings; what people decide is written by `advance`, with the step.
MOVING = (
    *("status", "verified_by", "verified_at", "waiting"),
    *("findings", "impression", "certainty", "last_picture", "microscope"),
    *("version", "updated_at", *release.SETTLED),
)


def rebuild(specimen: Specimen) -> DiagnosticReport:
    """Do for one specimen what `rebuild_all` does."""
    (report,) = rebuild_all({specimen: followed()})
    return report


@transaction.atomic(savepoint=False)
def rebuild_all(causes: Mapping[Specimen, object]) -> list[DiagnosticReport]:
    """Bring the specimens' reports up to what their analyses say now, and tell the open screens.

    Each once, locked in one order everywhere, and in as many statements however many there are. A
    signed report keeps its status, conclusion and frozen version; only its findings move on, so
    that the clinic sees that pictures came after the signature.

    Args:
        causes: the specimens, each with the id by which its change is followed
            (`hospital.base.logs`): that of a picture, or of a request.
    """
    reports = _opened(causes)
    _rebuild(reports)
    save_and_tell(*reports, causes=causes)
    return reports


@transaction.atomic(savepoint=False)
def count_in(images: Sequence[FieldImage], *, anew: Iterable[Specimen] = ()) -> None:
    """Do what `rebuild_all` does for the specimens of `images`, which are new and unanalysed.

    Without reading what is there already: under the report's lock its findings are what the
    other analyses say, and a picture without a result changes nothing but the counts.

    Args:
        images: those of control slides are passed over.
        anew: specimens in which something else has changed as well; these are rebuilt.
    """
    again: dict[Specimen, object] = dict.fromkeys(anew, followed())
    arrived: dict[Specimen, list[FieldImage]] = {}
    for image in images:
        if image.specimen:
            arrived.setdefault(image.specimen, []).append(image)
    causes = again | {specimen: new[0].pk for specimen, new in arrived.items()}
    reports = _opened(causes)
    unread = [report for report in reports if report.specimen in again or not report.findings]
    for report in reports:
        if report not in unread:
            _count(report, arrived[report.specimen])
    _rebuild(unread)
    save_and_tell(*reports, causes=causes)


def _count(report: DiagnosticReport, images: Sequence[FieldImage]) -> None:
    fields = dict(report.findings["fields"])
    fields["total"] += len(images)
    for image in images:
        standing = "held" if image.held else "pending"
        fields[standing] = fields.get(standing, 0) + 1
    synthetic = report.findings["synthetic"] or any(image.synthetic for image in images)
    newest = _newest(images)
    if newest.received_at >= report.last_picture:
        _date_by(report, newest)
    _renew(report, {**report.findings, "fields": fields, "synthetic": synthetic})


def _opened(specimens: Iterable[Specimen]) -> list[DiagnosticReport]:
    """The specimens' reports, locked in one order everywhere; made now where there is none."""
    by_pk = {specimen.pk: specimen for specimen in specimens}
    reports = rows_by(DiagnosticReport, "specimen", by_pk, locked=True)
    if missing := by_pk.keys() - {report.specimen_id for report in reports}:
        # Two first pictures may race to make one: one of them does, and both lock the same row.
        new = [by_pk[pk] for pk in sorted(missing)]
        DiagnosticReport.objects.bulk_create(map(_first, new), ignore_conflicts=True)
        reports = rows_by(DiagnosticReport, "specimen", by_pk, locked=True)
    for report in reports:
        report.specimen = by_pk[report.specimen_id]
    return reports


def _first(specimen: Specimen) -> DiagnosticReport:
    """A specimen's report before anything is known."""
    return DiagnosticReport(
        specimen=specimen,
        clinic_id=specimen.clinic_id,
        patient_id=specimen.patient_id,
        blind=rule_of(specimen.clinic).own_call_first,
    )


def _rebuild(reports: Sequence[DiagnosticReport]) -> None:
    """Put the findings of `reports`, which are locked, together anew; their caller saves them."""
    if not reports:
        return
    specimens = [report.specimen_id for report in reports]
    images: dict[UUID | None, list[FieldImage]] = defaultdict(list)
    columns = "specimen", "sha256", "synthetic", "received_at", "held", "rejection", "device"
    for image in FieldImage.objects.filter(specimen__in=specimens).only(*columns):
        images[image.specimen_id].append(image)
    latest = latest_analyses(specimens)
    for report in reports:
        pictures = images[report.specimen_id]
        report.last_picture = report.created_at
        if pictures:
            _date_by(report, _newest(pictures))
        _renew(report, findings_of(pictures, latest))


def _newest(images: Sequence[FieldImage]) -> FieldImage:
    return max(images, key=lambda image: image.received_at)


def _date_by(report: DiagnosticReport, newest: FieldImage) -> None:
    """Note when the newest picture came, and from which microscope."""
    report.last_picture, report.microscope_id = newest.received_at, newest.device_id


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
        Conflict: every picture is held ('all_held'), or `user` has not made the own call that the
            clinic wants first ('own_call_first').
    """
    ensure_may(user, "diagnostics.verify_diagnosticreport", report.clinic_id)
    report = locked("clinic", "specimen", pk=report.pk)
    guards.ensure_current(report, version)
    own_call.ensure_called(user, report)
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


def save_and_tell(
    *reports: DiagnosticReport, bump: bool = True, causes: Mapping[Specimen, object] | None = None
) -> None:
    """Store the reports' new versions and publish them to those who may see them, or could."""
    was_open = {report.pk for report in reports if release.is_open(report)}
    for report in reports:
        report.version += bump
        report.updated_at = timezone.now()
    release.settle_all(reports)
    if len(reports) == 1:
        update(reports[0], MOVING)
    elif reports:
        # An upsert of rows that exist and are locked: an UPDATE with other values for each row.
        DiagnosticReport.objects.bulk_create(
            reports, update_conflicts=True, unique_fields=["id"], update_fields=MOVING
        )
    with published_together():
        critical.judge_all(reports)
        for report in reports:
            with following(causes[report.specimen] if causes else followed()):
                # Also a page that has to let go of the report is told.
                tell(report, family=report.pk in was_open or release.is_open(report))


def tell_changed(specimen: Specimen) -> None:
    """Let open screens look again at a case of which something beside the report has changed."""
    report = DiagnosticReport.objects.filter(specimen=specimen).first()
    if report:
        tell(report, family=False)
