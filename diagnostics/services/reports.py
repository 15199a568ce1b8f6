"""Reports: rebuilt from what the model found, verified, signed, released."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from diagnostics.models import (
    Analysis,
    AnalysisState,
    Certainty,
    Conclusion,
    DiagnosticReport,
    FieldImage,
    Outcome,
    ReportStatus,
    ReportVersion,
    Specimen,
)
from diagnostics.models.image import SET_ASIDE
from diagnostics.models.report import UNSIGNED
from diagnostics.services import release, signed_words
from diagnostics.services.snapshots import content_of, digest_of
from hospital.accounts.selectors import clinic_topic, may
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.base.rows import rows_by
from hospital.base.states import StaleState, advance, ensure_step
from hospital.live.services import publish, published_together
from ml.classes import CLASSES
from patients.selectors import patient_topic

# Below these the model's leading class is not a statement, only a hint for the reader.
CLEAR_FROM = 0.90
LEANING_FROM = 0.70

# What moves with the findings; what people decide is written by `advance`, with the step.
MOVING = (
    *("status", "verified_by", "verified_at"),
    *("findings", "impression", "certainty", "last_picture"),
    *("version", "updated_at", *release.SETTLED),
)

# What a picture can be counted as without having a say.
UNSETTLED = frozenset({"pending", "failed", "held", "set_aside"})


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
def count_in(images: Sequence[FieldImage], *, anew: Iterable[Specimen] = ()) -> None:
    """Do what `rebuild_all` does for the specimens of `images`, which are new and unanalysed.

    Without reading what is there already: under the report's lock its findings are what the
    other analyses say, and a picture without a result changes nothing but the counts.

    Args:
        images: those of control slides are passed over.
        anew: specimens in which something else has changed as well; these are rebuilt.
    """
    again = {specimen.pk: specimen for specimen in anew}
    arrived: dict[UUID, list[FieldImage]] = defaultdict(list)
    specimens = dict(again)
    for image in images:
        if image.specimen:
            specimens[image.specimen.pk] = image.specimen
            arrived[image.specimen.pk].append(image)
    if not specimens:
        return
    opened = _opened([specimens[pk] for pk in sorted(specimens)])
    unread = [report for report in opened if report.specimen_id in again or not report.findings]
    counted = [report for report in opened if report not in unread]
    for report in counted:
        _count(report, arrived[report.specimen_id])
    if unread:
        _rebuilt(unread)
    if counted:
        _save_and_tell(*counted)


def _count(report: DiagnosticReport, images: Sequence[FieldImage]) -> None:
    fields = dict(report.findings["fields"])
    fields["total"] += len(images)
    for image in images:
        standing = "held" if image.held else "pending"
        fields[standing] = fields.get(standing, 0) + 1
    synthetic = report.findings["synthetic"] or any(image.synthetic for image in images)
    report.last_picture = max(report.last_picture, *(image.received_at for image in images))
    _renew(report, {**report.findings, "fields": fields, "synthetic": synthetic})


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
    wanted = [specimen.pk for specimen in specimens]
    rows = rows_by(DiagnosticReport, "specimen", wanted, locked=True)
    return {report.specimen_id: report for report in rows}


def _rebuilt(reports: list[DiagnosticReport]) -> list[DiagnosticReport]:
    specimens = [report.specimen_id for report in reports]
    images: dict[UUID | None, list[FieldImage]] = defaultdict(list)
    columns = "specimen_id", "sha256", "synthetic", "received_at", "held", "rejection"
    for image in FieldImage.objects.filter(specimen__in=specimens).only(*columns):
        images[image.specimen_id].append(image)
    latest = _latest_analyses(specimens)
    for report in reports:
        pictures = images[report.specimen_id]
        report.last_picture = max((i.received_at for i in pictures), default=report.created_at)
        _renew(report, findings_of(pictures, latest))
    _save_and_tell(*reports)
    return reports


def _renew(report: DiagnosticReport, findings: dict[str, Any]) -> None:
    changed = findings != report.findings
    report.findings = findings
    report.impression = findings["leading"]
    report.certainty = findings["certainty"]
    _follow_findings(report, changed=changed)


def findings_of(images: Sequence[FieldImage], latest: Mapping[UUID, Analysis]) -> dict[str, Any]:
    """What the latest analysis of each of a specimen's pictures says, put together.

    Args:
        latest: the analyses by the ids of their pictures; those of others do not matter.

    Returns:
        fields: how many pictures there are, by what became of them. A picture that is the same
            to the byte as an earlier one is 'repeated': shown, but no evidence of its own. One
            that is 'held' does not count until it is released, one 'set_aside' by a person never.
        probabilities: mean of the calibrated probabilities over the classified fields, or None.
        leading: code of the most probable class, '' when no field was classified.
        certainty: see `certainty_of`; '' when no field was classified.
        dissent: how many classified fields lead with another class.
        packages: name and digest of every model package involved.
        synthetic: whether any picture was made by a program.
    """
    fields: Counter[str] = Counter()
    classified = []
    seen: set[str] = set()
    for image in images:
        analysis = latest.get(image.pk)
        standing = _standing(image, analysis)
        if standing not in UNSETTLED:
            standing = "repeated" if image.sha256 in seen else standing
            seen.add(image.sha256)
        fields[standing] += 1
        if analysis and standing == Outcome.CLASSIFIED:
            classified.append(analysis)
    probabilities = _mean([a.probabilities or {} for a in classified])
    leading = max(probabilities, key=lambda c: probabilities[c]) if probabilities else ""
    return {
        "fields": {"total": len(images), **fields},
        "probabilities": probabilities,
        "leading": leading,
        "certainty": certainty_of(probabilities),
        "dissent": sum(a.label != leading for a in classified),
        "packages": sorted({f"{a.package_name} {a.package_digest[:12]}" for a in classified}),
        "synthetic": any(image.synthetic for image in images),
    }


def counting(fields: dict[str, int]) -> int:
    """How many of the pictures counted in `fields` of the findings have a say, or will have."""
    return fields.get("total", 0) - fields.get("held", 0) - fields.get("set_aside", 0)


def certainty_of(probabilities: dict[str, float] | None) -> str:
    """The model's sureness in words, by its largest calibrated probability; '' without any."""
    if not probabilities:
        return ""
    top = max(probabilities.values())
    if top >= CLEAR_FROM:
        return Certainty.CLEAR
    return Certainty.LEANING if top >= LEANING_FROM else Certainty.UNCERTAIN


@transaction.atomic
def verify(*, user: Any, report: DiagnosticReport, version: int) -> DiagnosticReport:
    """A technician has looked: the report becomes preliminary.

    Raises:
        Forbidden, StaleState, hospital.base.states.IllegalTransition: as for `sign`.
        Conflict: every picture is held ('all_held').
    """
    _ensure_may(user, "diagnostics.verify_diagnosticreport", report)
    report = _locked("clinic", "specimen", pk=report.pk)
    _ensure_current(report, version)
    _ensure_something_counts(report)
    advance(
        report,
        ReportStatus.PRELIMINARY,
        field="status",
        verified_by=user,
        verified_at=timezone.now(),
    )
    _audit(Actor.user(user), "report.verified", report)
    _save_and_tell(report)
    return report


@transaction.atomic
def sign(
    *,
    user: Any,
    password: str,
    report: DiagnosticReport,
    version: int,
    conclusion: str,
    comment: str = "",
    words: signed_words.Given | None = None,
) -> DiagnosticReport:
    """A haematologist concludes: the report becomes final and is frozen as it stands.

    Args:
        password: typed again by `user`, for this signature.
        version: the report's version on the page that was signed.
        conclusion: a `Conclusion`; the reader's own, whatever the model said.
        words: what the family reads, see `signed_words.frozen`; None accepts the house's words.

    Raises:
        Forbidden: `user` may not sign in this clinic (403), or the password is wrong.
        StaleState: the report changed since the page was loaded.
        Refusal: pictures are still being analysed, all are held, the conclusion is none, or the
            family's words hold what they must not.
        hospital.base.states.IllegalTransition: it is signed already.
    """
    _ensure_may(user, "diagnostics.sign_diagnosticreport", report)
    if not user.check_password(password):
        raise Forbidden("The password is not right. Nothing was signed.", code="wrong_password")
    if conclusion not in Conclusion.values:
        raise Refusal("Choose a conclusion before signing.", code="conclusion_missing")
    report = _locked("clinic", "specimen", pk=report.pk)
    _ensure_current(report, version)
    _ensure_something_counts(report)
    if report.findings["fields"].get("pending"):
        raise Conflict(
            "Pictures are still being analysed. Wait for them, then sign.", code="pending_images"
        )
    advance(
        report,
        ReportStatus.FINAL,
        field="status",
        conclusion=conclusion,
        comment=comment,
        words=signed_words.frozen(conclusion, report.clinic, words),
        signed_by=user,
        signed_at=timezone.now(),
    )
    report.version += 1
    _freeze(report, user)
    _audit(Actor.user(user), "report.signed", report, conclusion=conclusion)
    _save_and_tell(report, bump=False)
    return report


def _freeze(report: DiagnosticReport, user: Any) -> ReportVersion:
    """Keep the report as it stands, with the digest that proves it was not changed since."""
    if report.words.get("conclusion") != report.conclusion:
        # Whoever concludes otherwise than before does not leave the old words standing.
        report.words = signed_words.frozen(report.conclusion, report.clinic)
        report.save(update_fields=["words"])
    content = content_of(report)
    return ReportVersion.objects.create(
        report=report,
        version=report.version,
        status=report.status,
        content=content,
        sha256=digest_of(content),
        signed_by=user,
        signed_at=report.signed_at or timezone.now(),
    )


def _locked(*with_: str, **which: Any) -> DiagnosticReport:
    """The report under a row lock, so that concurrent rebuilds and signatures take turns."""
    reports = DiagnosticReport.objects.select_for_update(of=("self",)).order_by()
    return (reports.select_related(*with_) if with_ else reports).get(**which)


def _latest_analyses(specimens: Sequence[UUID]) -> dict[UUID, Analysis]:
    rows = Analysis.objects.filter(image__specimen__in=specimens, speaks=True)
    rows = rows.order_by("queued_at")
    rows = rows.only(
        "image_id", "state", "outcome", "label", "probabilities", "package_name", "package_digest"
    )
    return {analysis.image_id: analysis for analysis in rows}


def _standing(image: FieldImage, analysis: Analysis | None) -> str:
    """What became of a picture, as counted in the findings."""
    if image.rejection in SET_ASIDE:
        return "set_aside"
    if image.held:
        return "held"
    if analysis is None or analysis.state in {AnalysisState.QUEUED, AnalysisState.RUNNING}:
        return "pending"
    if analysis.state == AnalysisState.FAILED:
        return "failed"
    return analysis.outcome


def _mean(rows: list[dict[str, float]]) -> dict[str, float] | None:
    if not rows:
        return None
    return {c.value: round(sum(row[c] for row in rows) / len(rows), 6) for c in CLASSES}


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


def _save_and_tell(*reports: DiagnosticReport, bump: bool = True) -> None:
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


def _ensure_may(user: Any, permission: str, report: DiagnosticReport) -> None:
    if not may(user, permission, report.clinic_id):
        raise Forbidden("Your role does not let you do this in this clinic.")


def _ensure_current(report: DiagnosticReport, version: int) -> None:
    if report.version != version:
        raise StaleState(
            "The report has changed since this page was loaded. Look at it again, then sign."
        )


def _ensure_something_counts(report: DiagnosticReport) -> None:
    fields = report.findings["fields"]
    if fields.get("held") and not counting(fields):
        raise Conflict(
            "Every picture of this report is held. Release those that you trust, or have them "
            "taken again; then go on.",
            code="all_held",
        )


def _audit(actor: Actor, action: str, report: DiagnosticReport, **detail: Any) -> None:
    record(
        actor,
        action,
        report,
        clinic_id=report.clinic_id,
        patient_id=report.patient_id,
        version=report.version,
        **detail,
    )
