"""Putting a name to a report: who one is, what one has seen, what is frozen."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from diagnostics.models import Conclusion, DiagnosticReport, ReportStatus, ReportVersion
from diagnostics.services import reports, signed_words
from diagnostics.services.guards import ensure_signable
from diagnostics.services.snapshots import content_of, digest_of
from hospital.accounts.services import confirm_identity
from hospital.audit.services import Actor
from hospital.base.problems import Refusal
from hospital.base.states import advance


def sign(
    *,
    user: Any,
    report: DiagnosticReport,
    version: int,
    conclusion: str,
    comment: str = "",
    words: signed_words.Given | None = None,
    password: str = "",
    code: str = "",
) -> DiagnosticReport:
    """A haematologist concludes: the report becomes final and is frozen as it stands.

    Args:
        version: the report's version on the page that was signed.
        conclusion: a `Conclusion`; the reader's own, whatever the model said.
        words: what the family reads, see `signed_words.frozen`; None accepts the house's words.
        password, code: who `user` is, once more: see `confirm_identity`.

    Raises:
        Forbidden, hospital.accounts.signin.lockouts.LockedOut: as `confirm_identity`; or `user`
            may not sign in this clinic.
        Refusal: as `ensure_signable`; the conclusion is none; the family's words hold what they
            must not.
        hospital.base.states.IllegalTransition: it is signed already.
    """
    # Before asking who it is, which spends a code and counts a wrong try; and again under the lock.
    ensure_signable(user, report, version)
    if conclusion not in Conclusion.values:
        raise Refusal("Choose a conclusion before signing.", code="conclusion_missing")
    confirm_identity(user, password=password, code=code)
    with transaction.atomic():
        report = reports.locked("clinic", "specimen", pk=report.pk)
        ensure_signable(user, report, version)
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
        freeze(report, user)
        reports.audit(Actor.user(user), "report.signed", report, conclusion=conclusion)
        reports.save_and_tell(report, bump=False)
    return report


def freeze(report: DiagnosticReport, user: Any) -> ReportVersion:
    """Keep the report as it stands, with the digest that proves it was not changed since."""
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
