"""Putting a name to a report: who one is, what one has seen, whether a second has to look."""

from dataclasses import dataclass, fields
from typing import Any, Unpack

from django.db import transaction
from django.utils import timezone

from diagnostics.models import (
    Conclusion,
    Deed,
    DiagnosticReport,
    ReportStatus,
    ReportVersion,
    Signature,
)
from diagnostics.models.report import SIGNED
from diagnostics.services import report_row, reports, rereading, signed_words
from diagnostics.services.guards import (
    ensure_current,
    ensure_nothing_waits,
    ensure_others_waiting,
    ensure_reason,
    ensure_signable,
    ensure_waiting,
)
from diagnostics.services.snapshots import content_of, digest_of
from hospital.accounts.guards import ensure_may
from hospital.accounts.models import Clinic, SecondReader
from hospital.accounts.signin.identity import Proof, confirm_identity
from hospital.audit.services import Actor
from hospital.base.problems import Conflict, Refusal
from hospital.base.states import advance, ensure_step

SIGN = "diagnostics.sign_diagnosticreport"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader says of a report.

    Attributes:
        becomes: the `ReportStatus` that the report gets by it.
        words: the family's, as `signed_words.frozen` makes them.
        reason: why it is changed; '' for the first signature.
    """

    becomes: str
    conclusion: str
    comment: str
    words: dict[str, Any]
    reason: str = ""

    @classmethod
    def of(cls, row: Signature) -> "Reading":
        """What was said under a name."""
        return cls(row.becomes, row.conclusion, row.comment, row.words, row.reason)


@dataclass(frozen=True, slots=True)
class Change:
    """Another version of a signed report.

    Attributes:
        becomes: 'amended', as there is more to say, or 'corrected', as it was wrong.
        reason: for colleagues: on paper, and in the history.
        words: what the family reads, as for `sign`.
    """

    becomes: str
    conclusion: str
    reason: str
    comment: str = ""
    words: signed_words.Given | None = None

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> "Change":
        """The change in what a form or a program has sent, where the rest of it stays."""
        return cls(**{one.name: given.pop(one.name) for one in fields(cls)})


def sign(
    *,
    user: Any,
    report: DiagnosticReport,
    version: int,
    conclusion: str,
    comment: str = "",
    words: signed_words.Given | None = None,
    **proof: Unpack[Proof],
) -> DiagnosticReport:
    """A haematologist concludes: the report becomes final and is frozen as it stands.

    Where the clinic wants a second reader it becomes preliminary, and waits for `confirm`.

    Args:
        version: the report's version on the page that was signed.
        conclusion: a `Conclusion`; the reader's own, whatever the model said.
        words: what the family reads, see `signed_words.frozen`; None accepts the house's words.
        proof: who `user` is, once more: see `confirm_identity`.

    Raises:
        Forbidden, hospital.accounts.signin.lockouts.LockedOut: as `confirm_identity`; or `user`
            may not sign in this clinic.
        Refusal: as `ensure_signable`; the conclusion is none; the family's words hold what they
            must not; somebody's reading waits for a second reader (`waits_for_second_reader`).
        hospital.base.states.IllegalTransition: it is signed already.
    """
    reading = _reading(report, ReportStatus.FINAL, conclusion, comment, words)
    return _conclude(user, report, version, reading, **proof)


def amend(
    *,
    user: Any,
    report: DiagnosticReport,
    version: int,
    change: Change,
    **proof: Unpack[Proof],
) -> DiagnosticReport:
    """A signed report gets a new version; what stood stays as it was, and its readers are told.

    Where the clinic wants a second reader, what is signed stands until `confirm`.

    Raises:
        Refusal: as `sign`; there is no reason (`reason_missing`); the change is neither an
            amendment nor a correction (`change_unknown`).
        hospital.base.states.IllegalTransition: it is not signed.
    """
    if change.becomes not in {ReportStatus.AMENDED, ReportStatus.CORRECTED}:
        raise Refusal("Say whether you amend or correct the report.", code="change_unknown")
    reading = _reading(
        report,
        change.becomes,
        change.conclusion,
        change.comment,
        change.words,
        reason=ensure_reason(change.reason),
    )
    return _conclude(user, report, version, reading, **proof)


def confirm(
    *, user: Any, report: DiagnosticReport, version: int, **proof: Unpack[Proof]
) -> DiagnosticReport:
    """A second haematologist agrees with the reading that waits: it stands, under both names.

    Raises:
        Forbidden, Refusal: as `sign`; the reading is `user`'s own (`own_work`); none waits
            (`nothing_waits`).
    """
    ensure_signable(user, report, version)
    ensure_others_waiting(user, report)
    confirm_identity(user, **proof)
    with transaction.atomic():
        report = report_row.locked("clinic", "specimen", pk=report.pk)
        ensure_signable(user, report, version)
        waiting = ensure_others_waiting(user, report)
        return _stand(user, report, Reading.of(waiting), first=waiting.by)


@transaction.atomic
def send_back(
    *, user: Any, report: DiagnosticReport, version: int, reason: str
) -> DiagnosticReport:
    """The reading that waits is not confirmed: the report is where it was before it.

    By a second reader who disagrees, or by the first who has thought again. Asks for no password:
    it takes a name away from the report and puts none to it.

    Raises:
        Forbidden: `user` may not sign in this clinic.
        StaleState: the report changed since the page was loaded.
        Refusal: there is no reason (`reason_missing`), or too long a one (`reason_too_long`); or
            no reading waits (`nothing_waits`).
    """
    ensure_may(user, SIGN, report.clinic_id)
    reason = ensure_reason(reason)
    report = report_row.locked("clinic", pk=report.pk)
    ensure_current(report, version)
    waiting = ensure_waiting(report)
    if report.status == ReportStatus.PRELIMINARY and report.verified_by_id is None:
        advance(report, ReportStatus.PARTIAL, field="status")
    report.waiting = None
    report.version += 1
    said = Reading(waiting.becomes, waiting.conclusion, "", {}, reason)
    _put(user, report, Deed.SENT_BACK, said)
    reports.save_and_tell(report, bump=False)
    return report


def withdraw(
    *,
    user: Any,
    report: DiagnosticReport,
    version: int,
    reason: str,
    **proof: Unpack[Proof],
) -> DiagnosticReport:
    """A signed report is entered in error: printed no more, and its readers are told.

    One reader does it at once also where the clinic wants two: what is wrong must not wait.

    Raises:
        Forbidden, hospital.accounts.signin.lockouts.LockedOut: as `sign`.
        StaleState: the report changed since the page was loaded.
        Refusal: there is no reason (`reason_missing`), or it is not signed (`not_signed`).
    """
    reason = ensure_reason(reason)
    _ensure_withdrawable(user, report, version)
    confirm_identity(user, **proof)
    with transaction.atomic():
        report = report_row.locked("clinic", "specimen", pk=report.pk)
        _ensure_withdrawable(user, report, version)
        advance(report, ReportStatus.ENTERED_IN_ERROR, field="status", waiting=None)
        report.version += 1
        said = Reading(ReportStatus.ENTERED_IN_ERROR, report.conclusion, "", {}, reason)
        _put(user, report, Deed.WITHDRAWN, said)
        rereading.ask(report, but=user)
        reports.save_and_tell(report, bump=False)
    return report


def wants_second(clinic: Clinic, *conclusions: str) -> bool:
    """Whether a second haematologist has to read what concludes, or concluded so far, like this."""
    if clinic.second_reader == SecondReader.MALIGNANT:
        return any(Conclusion(one).malignant for one in conclusions if one)
    return clinic.second_reader == SecondReader.ALWAYS


# --- how ------------------------------------------------------------------------------------------


def _reading(
    report: DiagnosticReport,
    becomes: str,
    conclusion: str,
    comment: str,
    words: signed_words.Given | None,
    *,
    reason: str = "",
) -> Reading:
    if conclusion not in Conclusion.values:
        raise Refusal("Choose a conclusion before signing.", code="conclusion_missing")
    frozen = signed_words.frozen(conclusion, report.clinic, words)
    return Reading(becomes, conclusion, comment, frozen, reason)


def _conclude(
    user: Any, report: DiagnosticReport, version: int, reading: Reading, **proof: Unpack[Proof]
) -> DiagnosticReport:
    """What was said stands, or waits for a second reader."""
    # Before asking who it is, which spends a code and counts a wrong try; and again under the lock.
    ensure_signable(user, report, version)
    confirm_identity(user, **proof)
    with transaction.atomic():
        report = report_row.locked("clinic", "specimen", pk=report.pk)
        ensure_signable(user, report, version)
        ensure_nothing_waits(report)
        if wants_second(report.clinic, reading.conclusion, report.conclusion):
            return _wait(user, report, reading)
        return _stand(user, report, reading)


def _wait(user: Any, report: DiagnosticReport, reading: Reading) -> DiagnosticReport:
    ensure_step(report, reading.becomes, field="status")
    if report.status == ReportStatus.PARTIAL:
        advance(report, ReportStatus.PRELIMINARY, field="status")
    report.version += 1
    report.waiting = _put(user, report, Deed.READ, reading)
    reports.save_and_tell(report, bump=False)
    return report


def _stand(
    user: Any, report: DiagnosticReport, reading: Reading, *, first: Any = None
) -> DiagnosticReport:
    """The report is what was said, by `user` alone or confirming what `first` had said."""
    had_readers = report.is_signed
    advance(
        report,
        reading.becomes,
        field="status",
        conclusion=reading.conclusion,
        comment=reading.comment,
        words=reading.words,
        read_by=first,
        signed_by=user,
        signed_at=timezone.now(),
        waiting=None,
    )
    report.version += 1
    _put(user, report, Deed.CONFIRMED if first else Deed.SIGNED, reading)
    _freeze(report, user, reading.reason)
    if had_readers:
        rereading.ask(report, but=user)
    reports.save_and_tell(report, bump=False)
    return report


def _put(user: Any, report: DiagnosticReport, deed: str, reading: Reading) -> Signature:
    """Write the name down, and who it was into the audit trail."""
    row = Signature.objects.create(
        report=report,
        version=report.version,
        deed=deed,
        becomes=reading.becomes,
        conclusion=reading.conclusion,
        comment=reading.comment,
        words=reading.words,
        reason=reading.reason,
        by=user,
    )
    action = {Deed.SIGNED: reading.becomes, Deed.READ: "read_first"}.get(Deed(deed), deed)
    done = "signed" if action == ReportStatus.FINAL else action
    said = {"conclusion": reading.conclusion, "becomes": reading.becomes}
    report_row.audit(Actor.user(user), f"report.{done}", report, **said)
    return row


def _freeze(report: DiagnosticReport, user: Any, reason: str) -> ReportVersion:
    """Keep the report as it stands, with the digest that proves it was not changed since."""
    content = content_of(report, reason=reason)
    return ReportVersion.objects.create(
        report=report,
        version=report.version,
        status=report.status,
        content=content,
        sha256=digest_of(content),
        signed_by=user,
        signed_at=report.signed_at or timezone.now(),
    )


def _ensure_withdrawable(user: Any, report: DiagnosticReport, version: int) -> None:
    ensure_may(user, SIGN, report.clinic_id)
    ensure_current(report, version)
    if report.status not in SIGNED:
        raise Conflict("Only a signed report is withdrawn.", code="not_signed")
