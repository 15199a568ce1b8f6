"""Reports: rebuilt from what the model found, verified, signed, released."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

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
from diagnostics.services import critical, own_call, release, signed_words
from diagnostics.services.reading_rules import rule_of
from diagnostics.services.snapshots import content_of, digest_of
from hospital.accounts.selectors import clinic_topic, may
from hospital.audit.services import Actor, record
from hospital.base.problems import Conflict, Forbidden, Refusal
from hospital.base.states import StaleState, advance
from hospital.live.services import publish
from ml.classes import CLASSES
from patients.selectors import patient_topic

# Below these the model's leading class is not a statement, only a hint for the reader.
CLEAR_FROM = 0.90
LEANING_FROM = 0.70

# What changes without a step of the table; the rest is written by `advance`, with the step.
MOVING = (
    *("findings", "impression", "certainty", "last_picture"),
    *("version", "updated_at", *release.SETTLED),
)

# What a picture can be counted as without having a say.
UNSETTLED = frozenset({"pending", "failed", "held", "set_aside"})


@transaction.atomic(savepoint=False)
def rebuild(specimen: Specimen) -> DiagnosticReport:
    """Bring the specimen's report up to what its analyses say now, and tell the open screens.

    A signed report keeps its status, conclusion and frozen version; only its findings move on, so
    that the clinic sees that pictures came after the signature.
    """
    return _rebuilt(_opened(specimen, "clinic__reading_rule"), specimen)


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
        report = _locked(*with_, specimen_id=specimen.pk)
    except DiagnosticReport.DoesNotExist:
        report = DiagnosticReport(
            specimen=specimen, clinic_id=specimen.clinic_id, patient_id=specimen.patient_id
        )
        # Two first pictures may race to make it: one of them does, and both lock the same row.
        DiagnosticReport.objects.bulk_create([report], ignore_conflicts=True)
        report = _locked(*with_, specimen_id=specimen.pk)
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
    _follow_findings(report, changed=changed)
    _save_and_tell(report)
    return report


def findings_of(specimen: Specimen, images: Sequence[FieldImage]) -> dict[str, Any]:
    """What the latest analysis of each of the specimen's pictures says, put together.

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
    latest = _latest_analyses(specimen)
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
        Conflict: every picture is held ('all_held'), or `user` has not made the own call that the
            clinic wants first ('own_call_first').
    """
    _ensure_may(user, "diagnostics.verify_diagnosticreport", report)
    report = _locked("clinic", "specimen", pk=report.pk)
    _ensure_current(report, version)
    own_call.ensure_called(user, report)
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
        Refusal: pictures are still being analysed, all are held, the conclusion is none, the
            family's words hold what they must not, or the own call is missing.
        hospital.base.states.IllegalTransition: it is signed already.
    """
    _ensure_may(user, "diagnostics.sign_diagnosticreport", report)
    if not user.check_password(password):
        raise Forbidden("The password is not right. Nothing was signed.", code="wrong_password")
    if conclusion not in Conclusion.values:
        raise Refusal("Choose a conclusion before signing.", code="conclusion_missing")
    report = _locked("clinic", "specimen", pk=report.pk)
    _ensure_current(report, version)
    own_call.ensure_called(user, report)
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


def _latest_analyses(specimen: Specimen) -> dict[Any, Analysis]:
    rows = Analysis.objects.filter(image__specimen=specimen, speaks=True).order_by("queued_at")
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
        names = ("findings", "impression", "certainty", "last_picture")
        findings = {name: getattr(report, name) for name in names}
        if wanted == ReportStatus.PARTIAL:  # the model's first word
            findings["blind"] = rule_of(report.clinic).own_call_first
        advance(report, wanted, field="status", verified_by=None, verified_at=None, **findings)


def _save_and_tell(report: DiagnosticReport, *, bump: bool = True) -> None:
    """Store the report's new version and publish it to those who may see it, or could so far."""
    if bump:
        report.version += 1
    report.updated_at = timezone.now()
    was_open = release.is_open(report)
    release.settle(report)
    report.save(update_fields=MOVING)
    critical.judge(report)
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
